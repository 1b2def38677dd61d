"""Which lines of a file belong together: quoted cells that hold line ends, telegrams of many lines.

A follower must know how many of the lines that are there make whole records; the rest is read again when
more has come. Nothing of a record needs to be kept between two looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Torn(bytes):
    """What a power cut left of a line: a block of NUL bytes follows where its rest should be."""


#: A line with its number (from 1), without its end; None where it was too long.
Line = tuple[int, bytes | None]
#: Gives records of the lines, each from its first line on, and how many lines make them. The flag says that
#: nothing more will come: then every line is in some record.
Grouping = Callable[[Sequence[Line], bool], tuple[list[Sequence[Line]], int]]

#: So many lines at most are joined to one row: beyond, a quote was a mistake and not an opening.
MOST_JOINED = 100
#: No telegram has as many lines.
MOST_TELEGRAM_LINES = 500


def quoted_rows(lines: Sequence[Line], last: bool) -> tuple[list[Sequence[Line]], int]:
    """Join the lines of rows whose quotes hold line ends."""
    records: list[Sequence[Line]] = []
    at = 0
    while at < len(lines):
        end = at + 1
        if _opens(lines[at]):
            limit = min(at + MOST_JOINED, len(lines))
            closing = next((n for n in range(at + 1, limit) if _opens(lines[n])), None)
            if closing is not None:
                end = closing + 1
            elif limit < at + MOST_JOINED and not last:
                break
        records.append(lines[at:end])
        at = end
    return records, at


def telegrams(lines: Sequence[Line], last: bool) -> tuple[list[Sequence[Line]], int]:
    """Join the lines of telegrams, from "/" to "!". What is cut off or in between is a separate record."""
    records: list[Sequence[Line]] = []
    at = 0
    while at < len(lines):
        inside = _begins(lines[at])
        limit = min(at + MOST_TELEGRAM_LINES, len(lines)) if inside else len(lines)
        end = at + 1
        while end < limit and not _begins(lines[end]) and not (inside and _ends(lines[end])):
            end += 1
        if inside and end < limit and _ends(lines[end]):
            end += 1
        elif inside and end == len(lines) and end < at + MOST_TELEGRAM_LINES and not last:
            break
        records.append(lines[at:end])
        at = end
    return records, at


def _opens(line: Line) -> bool:
    return line[1] is not None and line[1].count(b'"') % 2 == 1


def _begins(line: Line) -> bool:
    # 0xAF is "/" with its parity, of a line of seven bits that was read as eight.
    return line[1] is not None and line[1].startswith((b"/", b"\xaf"))


def _ends(line: Line) -> bool:
    return line[1] is not None and line[1].startswith(b"!")
