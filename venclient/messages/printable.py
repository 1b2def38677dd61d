"""Foreign text made safe to show: no control characters, no invisible direction changes, bounded."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

#: Characters of one foreign value (a name, a payload, a problem text) that a message, log or status shows.
FOREIGN_LIMIT = 200
#: Characters of anything that a message shows, lists of our own names included.
LIMIT = 2_000
#: Unicode categories that no terminal or log should get: control, format, surrogate, private, line ends.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
#: Letters that show as nothing or as a blank, though Unicode counts them as printable.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
#: The same for JSON documents, which have their own line ends and escapes: C1 controls, format characters
#: (zero width, direction), line separators, surrogates, private characters and tags.
_UNSAFE_IN_JSON = re.compile(
    "[\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f"
    "\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ud800-\uf8ff\ufeff\uffa0\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
#: Python writes integers of up to 4,300 digits; nothing of ours has as many bits.
MOST_BITS = 4_096
#: From here on a number is shown in scientific notation: it would not fit into its column.
WIDEST_PLAIN = 1e9


def printable(text: str, limit: int = LIMIT) -> str:
    r"""Return `text` with unsafe characters escaped (\n, \x1b, \u202e), at most `limit` characters long."""
    cut = len(text) > limit
    if cut:
        text = text[: limit - 1]
    if not text.isprintable() or not (text.isascii() or _INVISIBLE.isdisjoint(text)):
        text = "".join(char if _is_safe(char) else _escaped(char) for char in text)
        cut = cut or len(text) > limit
        text = text[: limit - 1] if cut else text
    return text + "…" if cut else text


def foreign(value: object) -> str:
    """Return a value from outside (VTN, file, device, registry row) as bounded, printable text."""
    return printable(value if isinstance(value, str) else repr_of(value), FOREIGN_LIMIT)


def made_printable(value: Any) -> Any:
    """Return decoded JSON with all its texts, also the names of members, made printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {made_printable(key): made_printable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [made_printable(one) for one in value]
    return value


def json_escaped(text: str) -> str:
    """Return a JSON document with characters that are unsafe to print as escapes: it means the same."""
    return text if text.isascii() and "\x7f" not in text else _UNSAFE_IN_JSON.sub(_json_escape, text)


def is_unsafe(text: str) -> bool:
    """Return whether text has characters that a terminal obeys or hides; not counting C0 controls."""
    return (not text.isascii() and _UNSAFE_IN_JSON.search(text) is not None) or "\x7f" in text


def is_huge(value: object) -> bool:
    """Return whether Python refuses to write a number, as it has thousands of digits."""
    return isinstance(value, int) and value.bit_length() > MOST_BITS


def number_text(value: float, digits: int = 2) -> str:
    """Return a number with at most `digits` decimals, or in scientific notation where that is long."""
    if is_huge(value):
        return repr_of(value)
    plain = f"{value:.{digits}f}" if abs(value) < WIDEST_PLAIN else f"{value:.3g}"
    return plain if plain.strip("-0.") or not value else f"{value:.3g}"


def repr_of(value: object) -> str:
    """Return the repr of a value, in place of the ValueError that a number of thousands of digits gives."""
    if isinstance(value, int) and is_huge(value):
        return f"0x{value >> (value.bit_length() - 32):x}… ({value.bit_length()} bits)"
    try:
        return repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits in it, or nested too deeply
        return f"<{type(value).__name__}>"


def _is_safe(char: str) -> bool:
    if char in _INVISIBLE:
        return False
    return char.isprintable() or unicodedata.category(char) not in _UNSAFE


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


def without_name(reason: str, name: str) -> str:
    """Return a reason that starts with `NAME (ENDPOINT): ` with `ENDPOINT: ` in front; any other as it is.

    For a line that names the resource already.
    """
    endpoint, sign, what = reason.removeprefix(f"{name} (").partition("): ")
    return f"{endpoint}: {what}" if sign and reason.startswith(f"{name} (") else reason
