"""What a message says: paths into JSON, plain numbers, units and times. Pure: no network, no clock.

{"ENERGY": {"Power": 56}}     path ENERGY.Power or /ENERGY/Power     56
{"em1:0": [{"act": 7}]}       path ["em1:0"][0].act                  7
-8.40                         path "" (the whole payload)            -8.4
on, true / off, false          1 / 0 for quantities without a unit, or with the option `boolean`
null, absent, empty           no sample, and nothing to complain about
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from venclient.connectors.loose_times import other_instants
from venclient.connectors.mistakes import Mistakes, placed, shown
from venclient.connectors.timestamps import nearest, time_mistakes, time_reader
from venclient.connectors.units import Scaling, scaling_for, unit_of, value_mistakes
from venclient.messages import connectors as con
from venclient.messages import text_of
from venclient.model.reading import POWER_KW

#: No meter sends longer payloads.
MOST_BYTES = 1024 * 1024

Path = tuple[str | int, ...]
#: Paths whose numbers are added, and paths whose numbers are taken off.
Terms = tuple[tuple[Path, ...], tuple[Path, ...]]


class _Absent:
    """The type of `ABSENT`: there is nothing at this path."""


ABSENT: Final = _Absent()

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_NUMBERS = (int, float)
#: Words for states, and the numbers that stand for them.
STATES = {"on": 1.0, "true": 1.0, "off": 0.0, "false": 0.0}
_STEP = re.compile(
    r"""
      (?P<dot>\.)?(?P<name>[^.\[\]"']+)
    | \[(?P<index>\d{1,9})\]
    | \["(?P<double>(?:[^"\\]|\\.)*)"\]
    | \['(?P<single>(?:[^'\\]|\\.)*)'\]
    """,
    re.VERBOSE | re.ASCII,
)


class ValueOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value of a payload: where it is, its quantity, and the unit that the device sends.

    With `paths` it is their sum, less the sum of those in `minus`; a missing part means no sample.
    With `boolean` on and true are 1, off and false 0, although the quantity has a unit.
    """

    quantity: str
    path: str = ""
    paths: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    boolean: bool = False

    def __post_init__(self) -> None:
        problems = value_mistakes(self.quantity, self.unit, self.scale, self.offset)
        problems += [one for path in (self.path, *self.paths, *self.minus) for one in path_mistakes(path)]
        if self.path and self.paths:
            problems.append(con.PATH_OR_PATHS())
        if problems:
            raise Mistakes(problems)

    @property
    def places(self) -> tuple[str, ...]:
        """The paths that it is made of, as the options have them."""
        return (*(self.paths or (self.path,)), *self.minus)

    @property
    def terms(self) -> Terms:
        """The paths to add, and those to take off."""
        plus = tuple(map(parse_path, self.paths or (self.path,)))
        return plus, tuple(map(parse_path, self.minus))


class TimeOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a payload has its time, and in which form; without a path the time of arrival counts."""

    path: str | None = None
    format: str = "iso"
    zone: str | None = None

    def __post_init__(self) -> None:
        problems = time_mistakes(self.format, self.zone)
        if self.path is not None:
            problems += path_mistakes(self.path)
        elif (self.format, self.zone) != ("iso", None):
            problems.append(con.TIME_PATH_MISSING())
        if problems:
            raise Mistakes(problems)


class Decoded(msgspec.Struct, frozen=True):
    """What one payload said: (quantity, value) pairs, their time, and what was wrong with the rest.

    `time` is None when the payload has none.
    """

    values: tuple[tuple[str, float], ...] = ()
    time: datetime | None = None
    reasons: tuple[str, ...] = ()


def parse_path(text: str) -> Path:
    """Return the steps of a JSON pointer (/a/0), a dotted path (a["b:c"][0].d) or ""; else ValueError."""
    if text.startswith("/"):
        steps = text[1:].split("/")
        for step in steps:
            if re.search("~(?![01])", step):
                raise ValueError(con.PATH_TILDE(path=shown(text)))
        return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)
    path: list[str | int] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        # The first name has no dot before it, every other one has.
        if (
            match is None
            or len(match["index"] or "") > 9
            or (match["name"] is not None and bool(match["dot"]) != bool(path))
        ):
            raise ValueError(con.PATH(path=shown(text), rest=shown(text[at:])))
        if match["name"] is not None:
            path.append(match["name"])
        elif match["index"] is not None:
            path.append(int(match["index"]))
        else:
            quoted = match["double"] if match["double"] is not None else match["single"]
            path.append(re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL))
        at = match.end()
    return tuple(path)


def path_mistakes(text: str) -> list[str]:
    """Return what is wrong with a path, as a list of at most one sentence."""
    try:
        parse_path(text)
    except ValueError as error:
        return [text_of(error)]
    return []


#: What a topic without options is: power in kW as a bare number.
PLAIN_KW = ValueOptions(quantity=POWER_KW)


def find(document: object, path: Path) -> object:
    """Return what is at `path`, or ABSENT."""
    for step in path:
        if isinstance(document, dict):
            document = document.get(step, ABSENT)
        elif isinstance(document, list):
            index = step if isinstance(step, int) else _index(step)
            document = document[index] if 0 <= index < len(document) else ABSENT
        else:
            return ABSENT
    return document


#: What is read of a document: a quantity, its paths, its scaling, and whether states count as 1 and 0.
Wanted = tuple[str, Terms, Scaling, bool]


def takes_states(quantity: str, *, boolean: bool) -> bool:
    """Return whether on and off are values of a quantity: without a unit, or as the options say."""
    return boolean or unit_of(quantity) is None


def samples(document: object, wanted: Iterable[Wanted]) -> tuple[list[tuple[str, float]], list[str]]:
    """Return the quantities that a document has, and a reason for each that is not a number."""
    values: list[tuple[str, float]] = []
    reasons: list[str] = []
    for quantity, terms, scaling, states in wanted:
        try:
            number = sample(document, terms, states)
            if number is not None:
                values.append((quantity, scaling.apply(number)))
        except StateError as error:
            reasons.append(placed(quantity, con.STATE(value=error.value, quantity=quantity)))
        except ValueError as error:
            reasons.append(placed(quantity, text_of(error)))
    return values, reasons


def sample(document: object, terms: Terms, states: bool = False) -> float | None:
    """Return the sum that `terms` name, None where a part of it is null, empty or absent.

    ValueError says which part is not a number.
    """
    plus, minus = terms
    if not minus and len(plus) == 1:  # nearly always
        found = find(document, plus[0])
        return None if found is ABSENT else number_of(found, states)
    total = 0.0
    for sign, paths in ((1, plus), (-1, minus)):
        for path in paths:
            found = find(document, path)
            number = None if found is ABSENT else number_of(found, states)
            if number is None:
                return None
            total += sign * number
    return total


def _index(step: str) -> int:
    plain = step.isascii() and step.isdigit() and len(step) < 10 and (step == "0" or step[0] != "0")
    return int(step) if plain else -1


class StateError(ValueError):
    """A state such as on or true where a number was expected."""

    def __init__(self, value: object) -> None:
        self.value = _short(value)
        super().__init__(con.NOT_A_NUMBER(value=self.value))


def number_of(value: object, states: bool = False) -> float | None:
    """Return a value as a finite number, None where there is none (null, empty); ValueError says why not.

    With `states` on and true are 1, off and false 0; StateError otherwise.
    """
    if type(value) is float and -math.inf < value < math.inf:
        return value
    if value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if text.lower() in STATES:
            if not states:
                raise StateError(text)
            return STATES[text.lower()]
        if not _NUMBER.fullmatch(text):
            raise ValueError(con.NOT_A_NUMBER(value=_short(text)))
        number = float(text)
    elif isinstance(value, _NUMBERS):
        if isinstance(value, bool) and not states:
            raise StateError(value)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    else:
        kind = con.IS_A_LIST if isinstance(value, list) else con.IS_AN_OBJECT
        raise ValueError(kind(value=_short(value)))
    if not math.isfinite(number):
        raise ValueError(con.OUT_OF_RANGE(value=_short(value)))
    return number


def json_of(payload: bytes) -> object:
    """Parse a JSON document; ValueError says why it is not one."""
    if len(payload) > MOST_BYTES:
        raise ValueError(con.PAYLOAD_LONG(size=len(payload), limit=MOST_BYTES))
    try:
        return msgspec.json.decode(payload)
    except RecursionError:
        raise ValueError(con.PAYLOAD_DEEP()) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if not _is_utf8(payload):  # which of the two msgspec raises depends on its version
            raise ValueError(con.PAYLOAD_UTF8()) from None
        raise ValueError(con.PAYLOAD_JSON(payload=_short(payload), error=error)) from None


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


class PayloadDecoder:
    """Reads payloads by the `values` and `time` of a connection's options."""

    def __init__(self, values: Sequence[ValueOptions], time: TimeOptions) -> None:
        self._values = [
            (
                value.quantity,
                value.terms,
                scaling_for(value.quantity, value.unit, value.scale, value.offset),
                takes_states(value.quantity, boolean=value.boolean),
            )
            for value in values
        ]
        whole: Terms = (((),), ())
        self._plain = all(terms == whole for _, terms, _, _ in self._values) and time.path is None
        self._time_path = None if time.path is None else parse_path(time.path)
        self._time = time
        self._read_time = time_reader(time.format, time.zone)

    def decode(self, payload: bytes, arrival: datetime) -> Decoded:
        """Decode a payload. `arrival` decides which of the two equal autumn hours is meant."""
        if payload[-1:] == b"\0":  # devices written in C send the end of their text, too
            payload = payload.rstrip(b"\0")
        if not payload.strip():
            return Decoded()
        try:
            document = _plain(payload) if self._plain else json_of(payload)
            time = self._time_of(document, arrival)
        except ValueError as error:
            return Decoded(reasons=(text_of(error),))
        values, reasons = samples(document, self._values)
        return Decoded(tuple(values), time, tuple(reasons))

    def _time_of(self, document: object, arrival: datetime) -> datetime | None:
        if self._time_path is None:
            return None
        found = find(document, self._time_path)
        if found is None or found is ABSENT:
            return None
        try:
            return nearest(self._read_time(found), arrival)
        except ValueError:
            instants = other_instants(found, self._time.format, self._time.zone)
            if instants is None:
                raise
            return nearest(instants, arrival)


def _plain(payload: bytes) -> object:
    """Return a payload that is one value: a bare number or word, or JSON."""
    if payload.lstrip()[:1] in (b"{", b"[", b'"'):
        return json_of(payload)
    if len(payload) > 1000:
        raise ValueError(con.PAYLOAD_PLAIN(size=len(payload)))
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        raise ValueError(con.PAYLOAD_UTF8()) from None
    return None if text == "null" else text


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}...{text[-6:]}"
