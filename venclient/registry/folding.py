"""Text as a search compares it: case, accents and the spelling of æøå are ignored. No I/O.

"ørnen", "Ornen" and "OERNEN" all find "Hotel Ørnen": a letter that a keyboard lacks is left bare by some
(ø as o) and written out by others (oe), so text is compared in both ways. Each way turns letters one by
one, so what a text contains it still contains when both are folded.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

_LETTERS = {"æ": "ae", "ø": "o", "ß": "ss", "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i"}
_WRITTEN_OUT = {"å": "aa", "ä": "ae", "ö": "oe", "ø": "oe", "ü": "ue"}


def _table(exceptions: Mapping[str, str]) -> dict[str, str]:
    """Return what each Latin letter with a mark becomes, in both cases."""
    table = {}
    for letter in map(chr, range(0xC0, 0x250)):
        plain = unicodedata.normalize("NFC", letter).casefold()
        folded = exceptions.get(plain) or _LETTERS.get(plain)
        if folded is None:
            apart = unicodedata.normalize("NFKD", plain)
            folded = "".join(part for part in apart if not unicodedata.combining(part))
        if folded != letter and folded.isascii():
            table[letter] = folded
    return table


#: Letter -> what it becomes when its mark is left out (å -> a), and when it is written out (å -> aa).
BARE: Mapping[str, str] = _table({})
WRITTEN: Mapping[str, str] = _table(_WRITTEN_OUT)

_bare = str.maketrans(dict(BARE))
_written = str.maketrans(dict(WRITTEN))


def bare(text: str) -> str:
    """Return `text` in lower case without marks: "København Ø" as "kobenhavn o"."""
    return text.lower() if text.isascii() else _folded(text, _bare)


def written(text: str) -> str:
    """Return `text` in lower case with marked letters written out: "København Ø" as "koebenhavn oe"."""
    return text.lower() if text.isascii() else _folded(text, _written)


def cased(text: str) -> str:
    """Return `text` as names are put in order: without case."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def contains(text: str | None, word: str) -> bool:
    """Return whether `text` contains `word`, in either way of folding."""
    return text is not None and (bare(word) in bare(text) or written(word) in written(text))


def _folded(text: str, table: Mapping[int, str]) -> str:
    return unicodedata.normalize("NFKC", text).translate(table).casefold()
