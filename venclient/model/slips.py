"""Slips of the keyboard and the clipboard: names that are nearly right, and invisible characters.

Pure; `registry.validation` and `model.reporting` say with these what can never be meant.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from venclient.messages import Text
from venclient.messages import registry as reg

#: Letters and marks that show as nothing, though Unicode counts them as printable: fillers and selectors.
INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
)
#: Joiners, soft hyphens and selectors: part of names in some scripts and of emoji, a slip elsewhere.
JOINERS = frozenset("\u00ad\u200c\u200d" + "".join(map(chr, range(0xFE00, 0xFE10))))
#: What a wrong encoding leaves behind: the replacement character.
REPLACED = "\ufffd"
#: Printable, and yet not what a text should have.
UNCLEAN = INVISIBLE | {REPLACED}
#: Characters of a name in a dict.
LONGEST_NAME = 128
_LINE_ENDS = frozenset("\t\n\r\x0b\x0c\x85\u2028\u2029")
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
#: Private and unassigned: fonts show boxes, and newer versions of Unicode may show something.
_ODD = frozenset({"Co", "Cn"})
#: The printable characters of Latin-1.
_LATIN = bytes(code for code in range(256) if chr(code).isprintable())
_USUAL_IN_VALUES = frozenset("\t\n\r")
_UNIT = re.compile(r"(?<=.)[kmg]?(wh|w|va)$")
_LONG = 6
#: Names that look like a known one and mean something else.
_OTHERS = frozenset({"altitude"})
_ALIASES = {"lat": "latitude", "lon": "longitude", "lng": "longitude", "long": "longitude"}


def is_clean(text: str) -> bool:
    """Return whether a text has printable, visible characters only: quickly, most texts do."""
    return text.isprintable() and (text.isascii() or UNCLEAN.isdisjoint(text))


def is_printable(text: str) -> bool:
    """Return `str.isprintable`: five times as fast for long texts of Latin letters."""
    try:
        return not text.encode("latin-1").translate(None, _LATIN)
    except UnicodeEncodeError:
        return text.isprintable()


def character_findings(field: str, text: str, *, prose: bool = False, lines: bool = False) -> list[Text]:
    """Return a finding for each kind of character in `text` that cannot be meant, or hardly.

    `prose` (names, addresses) may have joiners, `lines` (addresses) line ends; both get a warning.
    """
    if is_clean(text):
        return []
    found: dict[str, Text] = {}
    for character in text:
        name = _named(character)
        if lines and character in _LINE_ENDS:
            found.setdefault(name, reg.SEVERAL_LINES(field=field, character=name))
        elif prose and character in JOINERS:
            found.setdefault(name, reg.JOINER(field=field, character=name))
        elif unicodedata.category(character) in _CONTROL:
            found.setdefault(name, reg.CONTROL_CHARACTER(field=field, character=name))
        elif character in INVISIBLE or unicodedata.category(character) == "Cf":
            found.setdefault(name, reg.HIDDEN_CHARACTER(field=field, character=name))
        elif character == REPLACED or unicodedata.category(character) in _ODD:
            found.setdefault(name, reg.ODD_CHARACTER(field=field, character=name))
    return list(found.values())


def is_blank(text: str) -> bool:
    """Return whether a text shows as nothing: empty, or spaces and invisible characters only."""
    if not text or text.isspace():
        return True
    return all(one.isspace() or one in INVISIBLE or unicodedata.category(one) in ("Cc", "Cf") for one in text)


def near_miss(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` must have been meant for; None when it is another one altogether."""
    folded = _folded(name)
    if folded in _OTHERS:
        return None
    best: tuple[int, str] | None = None
    for one in known:
        wanted = _folded(one)
        if folded == wanted or _ALIASES.get(folded) == one or _stem(folded) == _stem(wanted):
            return one
        if name.startswith(f"{one}_"):
            continue  # more of the same, such as P_max_kw_l1
        distance = _distance(folded, wanted)
        if distance <= (2 if len(wanted) >= _LONG else 1) and (best is None or distance < best[0]):
            best = (distance, one)
    return None if best is None else best[1]


def name_findings(place: str, held: Mapping[Any, Any], known: Iterable[str]) -> list[Text]:
    """Return a finding for each name in a dict that is not known: an error for a slip, else a warning."""
    names = tuple(known)
    found: list[Text] = []
    for name in held:
        if name in names:
            continue
        if not isinstance(name, str):
            found.append(reg.NOT_A_NAME(field=place, value=name))
        elif is_blank(name):
            found.append(reg.EMPTY(field=reg.NAME_IN(place=place)))
        elif len(name) > LONGEST_NAME:
            found.append(reg.TOO_LONG(field=reg.NAME_IN(place=place), length=len(name), most=LONGEST_NAME))
        elif meant := near_miss(name, names):
            found.append(reg.NEAR_MISS(field=f"{place}.{name}", meant=meant))
        else:
            found.extend(character_findings(reg.NAME_IN(place=place), name))
            found.append(reg.UNKNOWN_NAME(field=f"{place}.{name}"))
    return found


def infinite_findings(place: str, value: Any) -> list[Text]:
    """Return an error for each NaN or infinite number inside a value of dicts and lists."""
    if isinstance(value, float):
        return [] if math.isfinite(value) else [reg.NOT_FINITE(field=place, value=float(value))]
    if isinstance(value, Mapping):
        return [one for name, inner in value.items() for one in infinite_findings(f"{place}.{name}", inner)]
    if isinstance(value, list | tuple):
        return [one for at, inner in enumerate(value) for one in infinite_findings(f"{place}[{at}]", inner)]
    return []


def value_findings(place: str, value: Any) -> list[Text]:
    """Return what is wrong or doubtful inside a value of dicts and lists: numbers, and characters of texts.

    Line ends and tabs may be meant, as in a separator; names are checked as other texts are.
    """
    if isinstance(value, str):
        return [] if is_clean(value) else _odd_in_value(place, value)
    if isinstance(value, Mapping):
        names = [one for name in value if isinstance(name, str) for one in character_findings(place, name)]
        return names + [
            one for name, held in value.items() for one in value_findings(f"{place}.{name}", held)
        ]
    if isinstance(value, list | tuple):
        return [one for at, held in enumerate(value) for one in value_findings(f"{place}[{at}]", held)]
    return infinite_findings(place, value)


def _odd_in_value(place: str, text: str) -> list[Text]:
    """Return a warning for each odd character of a text in a value."""
    found = character_findings(place, "".join(one for one in text if one not in _USUAL_IN_VALUES))
    return [reg.ODD_CHARACTER(field=place, character=one.params["character"]) for one in found]


def _named(character: str) -> str:
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")


def _folded(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(one for one in text if one.isalnum() and one not in INVISIBLE)


def _stem(folded: str) -> str:
    """Return a folded name without its unit: pmax for pmaxkw and pmaxw."""
    return _UNIT.sub("", folded)


def _distance(one: str, other: str) -> int:
    """Return how many letters are to be added, removed, changed or swapped to make one text of the other."""
    before: list[int] = []
    line = list(range(len(other) + 1))
    for row, left in enumerate(one, 1):
        last, before_last = line, before
        line = [row]
        for column, right in enumerate(other, 1):
            cost = min(last[column] + 1, line[-1] + 1, last[column - 1] + (left != right))
            if row > 1 and column > 1 and left == other[column - 2] and one[row - 2] == right:
                cost = min(cost, before_last[column - 2] + 1)
            line.append(cost)
        before = last
    return line[-1]
