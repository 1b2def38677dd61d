"""How a resource is to be reported, and how its reporting stands.

`Resource.reporting` holds the first as a plain dict, as the registry's column does; `ReportingConfig` is
what it says, checked, with the defaults of the resource's type where it says nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from venclient.errors import InvalidRecord
from venclient.messages import Level, Text
from venclient.messages import registry as reg
from venclient.model.resource import Resource, ResourceType, enum_member
from venclient.model.slips import character_findings, infinite_findings, name_findings

ReportingState = Literal["reported", "missing", "waiting", "refused", "unmet"]

#: The states of `ReportingStatus`, best first.
REPORTING_STATES: tuple[ReportingState, ...] = ("reported", "missing", "waiting", "refused", "unmet")

#: Payload types of reports that OpenADR 3.1 names; others are private strings, which it allows.
PAYLOAD_TYPES = frozenset(
    {"READING", "USAGE", "DEMAND", "SETPOINT", "DELTA_USAGE", "BASELINE", "OPERATING_STATE"}
    | {"UP_REGULATION_AVAILABLE", "DOWN_REGULATION_AVAILABLE", "REGULATION_SETPOINT", "SIMPLE_LEVEL"}
    | {"STORAGE_USABLE_CAPACITY", "STORAGE_CHARGE_LEVEL", "STORAGE_MAX_DISCHARGE_POWER"}
    | {"STORAGE_MAX_CHARGE_POWER", "STORAGE_DISPATCH_FORECAST", "USAGE_FORECAST", "DATA_QUALITY"}
    | {"LOAD_SHED_DELTA_AVAILABLE", "GENERATION_DELTA_AVAILABLE"}
    | {"IMPORT_RESERVATION_CAPACITY", "IMPORT_RESERVATION_FEE"}
    | {"EXPORT_RESERVATION_CAPACITY", "EXPORT_RESERVATION_FEE"}
)
READING_TYPES = frozenset({"DIRECT_READ", "ESTIMATED", "SUMMED", "MEAN", "PEAK", "FORECAST", "AVERAGE"})
#: Units of the standard, and the private ones that reports here can convert to.
UNITS = frozenset(
    {"KWH", "THERMS", "GHG", "VOLTS", "AMPS", "CELSIUS", "FAHRENHEIT", "PERCENT", "KW", "KVAH", "KVARH"}
    | {"KVA", "KVAR", "WH", "MWH", "W", "MW"}
)

_USUAL_UNITS = {"USAGE": "KWH", "DEMAND": "KW", "READING": "KWH", "STORAGE_CHARGE_LEVEL": "PERCENT"}
_DEFAULT_TYPES = {
    ResourceType.DSR: ("USAGE",),
    ResourceType.EV: ("USAGE", "DEMAND"),
    ResourceType.BATTERY: ("USAGE", "STORAGE_CHARGE_LEVEL"),
    ResourceType.PV: ("USAGE",),
}
_LONGEST_NAME = 128
_MEMBERS = ("program", "payload_types", "reading_type", "interval", "units")
_DURATION = re.compile(
    r"P(?=[\dT])(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,4})D)?"
    r"(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportingConfig:
    """What is reported of a resource: `payload_types` over each `interval` (an ISO 8601 duration).

    `program` names the VTN's program, None for any. `units` are by payload type.
    """

    program: str | None = None
    payload_types: tuple[str, ...] = ("USAGE",)
    reading_type: str = "DIRECT_READ"
    interval: str = "PT15M"
    units: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"USAGE": "KWH"}))

    @classmethod
    def default(cls, resource_type: ResourceType | str) -> ReportingConfig:
        """Return what resources of a type report by default."""
        types = _DEFAULT_TYPES[enum_member(ResourceType, resource_type)]
        return cls(payload_types=types, units=_units_for(types, {}))

    @classmethod
    def parse(cls, told: Mapping[str, Any] | None, resource_type: ResourceType | str) -> ReportingConfig:
        """Return the config of a `reporting` dict; what it leaves out is as `default` has it.

        InvalidRecord lists all that is wrong with it.
        """
        usual = cls.default(resource_type)
        if not told:
            return usual
        problems = reporting_problems(told)
        if problems:
            what = problems[0] if len(problems) == 1 else reg.PROBLEMS(problems="; ".join(problems))
            raise InvalidRecord(what, subject="reporting", problems=tuple(problems))
        types = tuple(map(str.upper, _texts(told.get("payload_types")))) or usual.payload_types
        units = told.get("units") or {}
        if isinstance(units, str):
            units = dict.fromkeys(types, units)
        return cls(
            program=told.get("program"),
            payload_types=types,
            reading_type=str(told.get("reading_type") or usual.reading_type).upper(),
            interval=str(told.get("interval") or usual.interval).upper(),
            units=_units_for(types, {str(kind).upper(): str(unit).upper() for kind, unit in units.items()}),
        )

    @classmethod
    def of(cls, resource: Resource) -> ReportingConfig:
        """Return what is reported of a resource; InvalidRecord lists what is wrong with its `reporting`."""
        return cls.parse(resource.reporting, resource.resourceType)

    def as_dict(self) -> dict[str, Any]:
        """Return it as `Resource.reporting` holds it."""
        listed = {"payload_types": list(self.payload_types), "units": dict(self.units)}
        return {
            **({} if self.program is None else {"program": self.program}),
            **listed,
            "reading_type": self.reading_type,
            "interval": self.interval,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportingStatus:
    """How reporting stands for one resource; times are aware UTC.

    reported: the newest report that was due has been sent. missing: it has been sent without any value of the
    resource (DATA_QUALITY MISSING). waiting: it is to be sent again. refused: the VTN did not take it.
    unmet: nothing was known to report. `detail` says why.
    """

    resource_id: str
    state: ReportingState
    last_report_at: datetime | None = None
    last_report_name: str | None = None
    detail: str | None = None
    updated_at: datetime | None = None


def reporting_problems(reporting: Mapping[str, Any]) -> list[str]:
    """Return one message for each mistake in the values of a `reporting` dict; names are not looked at."""
    problems: list[str] = []
    program = reporting.get("program")
    if program is not None and not _is_name(program):
        problems.append(reg.PROGRAM(most=_LONGEST_NAME, value=program))
    types = reporting.get("payload_types")
    if types is not None and (not _texts(types) or not all(map(_is_name, _texts(types)))):
        problems.append(reg.PAYLOAD_TYPES(value=types))
    reading = reporting.get("reading_type")
    if reading is not None and not _is_name(reading):
        problems.append(reg.READING_TYPE(value=reading))
    interval = reporting.get("interval")
    if interval is not None and not _is_duration(interval):
        problems.append(reg.INTERVAL(value=interval))
    units = reporting.get("units")
    if isinstance(units, Mapping):
        problems += [reg.UNIT(kind=kind, value=unit) for kind, unit in units.items() if not _is_name(unit)]
    elif units is not None and not _is_name(units):
        problems.append(reg.UNITS(value=units))
    return problems


def reporting_slips(reporting: Mapping[str, Any]) -> list[str]:
    """Return one message for each thing in a `reporting` dict that can only be a slip, such as "intervall".

    What is stored is reported all the same: these are refused when a resource is written.
    """
    found: list[Text] = [one for one in name_findings("reporting", reporting, _MEMBERS) if _is_error(one)]
    for place, texts in (
        ("program", _texts_of(reporting.get("program"))),
        ("payload_types", _texts(reporting.get("payload_types"))),
        ("reading_type", _texts_of(reporting.get("reading_type"))),
        ("units", _unit_names(reporting.get("units"))),
    ):
        for one in texts:
            if isinstance(one, str):
                found += character_findings(f"reporting.{place}", one)
    if isinstance(units := reporting.get("units"), Mapping):
        others = {name: value for name, value in units.items() if name not in PAYLOAD_TYPES}
        found += [one for one in name_findings("reporting.units", others, ()) if _is_error(one)]
    known = {name: value for name, value in reporting.items() if name in ("payload_types", "units")}
    others = {name: value for name, value in reporting.items() if name not in _MEMBERS}
    return [*found, *infinite_findings("reporting", {**known, **others})]


def reporting_warnings(reporting: Mapping[str, Any]) -> list[str]:
    """Return one message for each thing in a `reporting` dict that may be a slip: unknown names."""
    warnings: list[str] = [
        one for one in name_findings("reporting", reporting, _MEMBERS) if not _is_error(one)
    ]
    for place, given, known in (
        ("payload_types", _texts(reporting.get("payload_types")), PAYLOAD_TYPES),
        ("reading_type", _texts(reporting.get("reading_type")), READING_TYPES),
        ("units", _unit_names(reporting.get("units")), UNITS),
    ):
        warnings += [
            _private(f"reporting.{place}", one, sorted(known))
            for one in given
            if isinstance(one, str) and one.upper() not in known
        ]
    units = reporting.get("units")
    types = PAYLOAD_TYPES.union(str(one).upper() for one in _texts(reporting.get("payload_types")))
    for name in units if isinstance(units, Mapping) else ():
        if isinstance(name, str) and name.upper() not in types:
            warnings.append(_private("reporting.units", name, sorted(types)))
    return warnings


def _private(field: str, name: str, known: list[str]) -> Text:
    close = difflib.get_close_matches(name.upper(), known, n=1)
    return reg.PRIVATE_NAME(field=field, value=name, meant=reg.DID_YOU_MEAN(name=close[0]) if close else "")


def _is_error(text: Text) -> bool:
    return text.level is Level.ERROR


def _texts_of(value: object) -> tuple[Any, ...]:
    return (value,) if isinstance(value, str) else ()


def _texts(value: object) -> tuple[Any, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(value) if isinstance(value, list | tuple) else ()


def _unit_names(units: object) -> tuple[Any, ...]:
    return tuple(units.values()) if isinstance(units, Mapping) else _texts(units)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= _LONGEST_NAME


def _is_duration(value: object) -> bool:
    found = _DURATION.fullmatch(value.strip().upper()) if isinstance(value, str) else None
    return found is not None and any(int(part) for part in found.groups() if part)


def _units_for(types: tuple[str, ...], told: Mapping[str, str]) -> Mapping[str, str]:
    found = {kind: told.get(kind) or _USUAL_UNITS.get(kind) for kind in types}
    return MappingProxyType({kind: unit for kind, unit in found.items() if unit})
