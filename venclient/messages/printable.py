"""Foreign text made safe to show: no control characters, no invisible direction changes, bounded."""

from __future__ import annotations

import unicodedata
from itertools import accumulate

#: Characters of one foreign value (a name, a payload, a problem text) that a message, log or status shows.
FOREIGN_LIMIT = 200
#: Characters of anything that a message shows, lists of our own names included.
LIMIT = 2_000
#: Unicode categories that no terminal or log should get: control, format, surrogate, private, line ends.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def printable(text: str, limit: int = LIMIT) -> str:
    r"""Return `text` with unsafe characters escaped (\n, \x1b, \u202e), cut to `limit` characters."""
    cut = len(text) > limit
    if cut:
        text = text[: limit - 1]
    if not text.isprintable():
        escaped = [char if _is_safe(char) else _escaped(char) for char in text]
        if sum(map(len, escaped)) > limit - cut:  # escapes take more room
            cut = True
            ends = accumulate(map(len, escaped))
            escaped = [one for one, end in zip(escaped, ends, strict=True) if end < limit]
        text = "".join(escaped)
    return text + "…" if cut else text


def foreign(value: object) -> str:
    """Return a value from outside (VTN, file, device, registry row) as bounded, printable text."""
    return printable(value if isinstance(value, str) else repr(value), FOREIGN_LIMIT)


def _is_safe(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) not in _UNSAFE


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def without_name(reason: str, name: str) -> str:
    """Return a reason that starts with `NAME (ENDPOINT): ` with `ENDPOINT: ` in front; any other as it is.

    For a line that names the resource already.
    """
    endpoint, sign, what = reason.removeprefix(f"{name} (").partition("): ")
    return f"{endpoint}: {what}" if sign and reason.startswith(f"{name} (") else reason
