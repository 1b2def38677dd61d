"""On which line of a TOML file each key stands: `tomllib` checks and reads the text, but gives no places.

1  [vtn]                    ("vtn",): 1
2  url = "https://vtn"      ("vtn", "url"): 2
3  [[site]]                 ("site",): 3   ("site", 0): 3
4  at = { x = 1,            ("site", 0, "at"): 4   ("site", 0, "at", "x"): 4
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

Path = tuple[str | int, ...]

_LINE = re.compile(r"\(at line (\d+)")
#: A string from its opening quotes to its closing ones; the long kinds first.
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_COMMENT = re.compile(r"#[^\n]*")
_KEY_PART = re.compile(r'[ \t]*("(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|[A-Za-z0-9_-]+)[ \t]*')


def lines_of(text: str) -> Mapping[Path, int]:
    """Return the line of each key, table and element of an array of tables in a valid TOML text."""
    found = _Lines(text.replace("\r\n", "\n"))
    found.read()
    return found.lines


def line_of_error(error: tomllib.TOMLDecodeError, text: str) -> int:
    """Return the line on which a text stops being TOML."""
    named = _LINE.search(str(error))
    return int(named[1]) if named else text.count("\n", 0, len(text.rstrip())) + 1


def line_at(lines: Mapping[Path, int], path: Path) -> int | None:
    """Return the line of a key, or else that of the innermost table that it would stand in."""
    for length in range(len(path), 0, -1):
        if (line := lines.get(path[:length])) is not None:
            return line
    return None


class _Lines:
    """A walk over a text that tomllib has read without an error."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._counted = (0, 1)
        #: How many elements each array of tables has so far.
        self._elements: dict[Path, int] = {}

    def read(self) -> None:
        table: Path = ()
        while True:
            self._skip()
            if self._at >= len(self._text):
                return
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _line(self) -> int:
        """Return the line of the place that is read now; places only go forward."""
        place, line = self._counted
        line += self._text.count("\n", place, self._at)
        self._counted = self._at, line
        return line

    def _skip(self) -> None:
        """Go on to the next character that means something."""
        while self._at < len(self._text):
            if self._text[self._at] in " \t\n\r":
                self._at += 1
            elif self._text[self._at] == "#":
                self._at = _end(_COMMENT, self._text, self._at)
            else:
                return

    def _header(self) -> Path:
        many = self._text.startswith("[[", self._at)
        line = self._line()
        self._at += 2 if many else 1
        path = self._resolved(self._key())
        self._at = self._text.index("]", self._at) + (2 if many else 1)
        self._note(path, line)
        if not many:
            return path
        number = self._elements.get(path, 0)
        self._elements[path] = number + 1
        self.lines[*path, number] = line
        return (*path, number)

    def _resolved(self, key: tuple[str, ...]) -> Path:
        """Return the path of a header: below an array of tables it means the last of them."""
        path: Path = ()
        for place, part in enumerate(key):
            path = (*path, part)
            if place < len(key) - 1 and path in self._elements:
                path = (*path, self._elements[path] - 1)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = (*table, *self._key())
        self._note(path, line)
        self._at = self._text.index("=", self._at) + 1
        self._skip()
        self._value(path)

    def _key(self) -> tuple[str, ...]:
        """Return the parts of a dotted key."""
        parts = []
        while (found := _KEY_PART.match(self._text, self._at)) is not None:
            self._at = found.end()
            part = found[1]
            parts.append(_unquoted(part) if part[0] in "\"'" else part)
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
        return tuple(parts)

    def _note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line)

    def _value(self, path: Path) -> None:
        """Pass a value, and note the keys of inline tables in it; nested ones are kept on a stack."""
        # For each bracket that is open: its path, and the number of its element (None for a table).
        opened: list[tuple[Path, int | None]] = []
        here = path
        while True:
            first = self._text[self._at]
            if first in "[{":
                opened.append((here, 0 if first == "[" else None))
                self._at += 1
            elif first in "\"'":
                self._at = _end(_STRING, self._text, self._at)
            elif first not in "]},":
                while self._at < len(self._text) and self._text[self._at] not in ",]}#\n":
                    self._at += 1
            if not opened:
                return
            here = self._next(opened)
            if not opened:
                return

    def _next(self, opened: list[tuple[Path, int | None]]) -> Path:
        """Go to the next value within open brackets; return its path."""
        while opened:
            self._skip()
            path, number = opened[-1]
            mark = self._text[self._at]
            if mark in "]}":
                opened.pop()
                self._at += 1
            elif mark == ",":
                self._at += 1
                if number is not None:
                    opened[-1] = path, number + 1
            elif number is not None:
                self.lines.setdefault((*path, number), self._line())
                return (*path, number)
            else:
                line = self._line()
                key = (*path, *self._key())
                self._note(key, line)
                self._at = self._text.index("=", self._at) + 1
                self._skip()
                return key
        return ()


def _end(form: re.Pattern[str], text: str, at: int) -> int:
    found = form.match(text, at)
    return found.end() if found is not None else len(text)


def _unquoted(part: str) -> str:
    read: dict[str, Any] = tomllib.loads(f"{part} = 0")
    return next(iter(read))
