"""What a resource or connection must be, and what may be a slip: pure, all mistakes of one object at once.

An error is refused by every method that writes. A warning never is: what programs of the first generation
stored must still go in, and a meter point id with a wrong check digit is the one that the grid company gave.

                            error                                   warning
    resourceID              empty, over 128 characters              spaces around it
    resourceName, address   no text                                 empty name
    meterPointId            no text                                 no 18-digit GS1 number, wrong check digit
    enabled                 not true, false or None (1 and 0 are good)
    capacities              no number, infinite, P_min > P_max,     names that nobody knows
                            E_min > E_max
    location                no number, out of range                 half of it missing, looks swapped
      (of both)                                                     numbers written as text
    connection              host, topic or file missing, bad port,  commands instead of measuring
                            what the connector says of its options
                            (of those that are told)
    control_connection      as above; measures instead of commanding
    reporting               a value that makes no sense             names that nobody knows

Missing capacities, coordinates and sub-types are neither. A mistake that is stored already and that an
update does not touch keeps nobody from correcting another one. The tuples of the first generation, which
tell no connection, are stored behind a FILEREADER without a file.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

from venclient.errors import InvalidRecord
from venclient.model.reporting import reporting_problems, reporting_warnings
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.meterpoint import gs1_doubt
from venclient.registry.rows import type_name, unstorable

#: Gives what the connector of a resource's connection says of its options, one sentence for each mistake.
#: A control connection is asked about as a resource's connection too.
CheckOptions: TypeAlias = Callable[[Resource], list[str]]

CAPACITIES = ("P_max_kw", "P_min_kw", "E_max_kwh", "E_min_kwh")
COORDINATES = {"latitude": 90.0, "longitude": 180.0}

LONGEST_ID = 128
_LEAST, _MOST = -math.inf, math.inf
_FLAGS = (True, False, None)  # 1 and 0 as well
_REQUIRED = {
    ConnectionType.MODBUSTCP: ("host",),
    ConnectionType.MQTT: ("host", "topic"),
    ConnectionType.FILEREADER: ("file",),
}
#: Where Denmark would be with latitude and longitude swapped: open sea, south of Yemen.
SWAPPED_LATITUDES = (7.5, 15.5)
SWAPPED_LONGITUDES = (54.4, 58.0)


class Findings(NamedTuple):
    """What was found in one object: `problems` forbid storing it, `warnings` do not."""

    problems: list[str]
    warnings: list[str]


def check_resource(resource: Resource, check_options: CheckOptions | None = None) -> Findings:
    """Give all that is wrong or doubtful about a resource and its connections."""
    found = Findings([], [])
    if not is_plain(resource):
        _check_texts(resource, found)
        if resource.enabled not in _FLAGS:
            found.problems.append(f"enabled must be True, False or None, not {resource.enabled!r}")
        _check_capacities(resource.capacities, found)
        _check_location(resource.location, found)
        _check_connections(resource, found)
        if resource.reporting is not None:
            _check_reporting(resource.reporting, found)
    elif (doubt := gs1_doubt(resource.meterPointId)) is not None:
        found.warnings.append(doubt)
    if check_options is not None:
        found.problems.extend(_option_problems(resource, check_options))
    return found


def check_connection(connection: Connection, place: str = "connection") -> list[str]:
    """Give one sentence for each thing that a connection lacks for its type, or that cannot be."""
    problems = [
        f"{place}: {connection.type.name} needs a {name}"
        for name in _REQUIRED[connection.type]
        if not _is_filled(getattr(connection, name))
    ]
    port = connection.port
    if port is not None and not (type(port) is int and 1 <= port <= 65_535):
        problems.append(f"{place}: port must be 1 to 65535, not {port!r}")
    for name in ("host", "topic", "file", "username", "password"):
        value = getattr(connection, name)
        if value is not None and not isinstance(value, str):
            problems.append(f"{place}: {name} must be text")  # not the value: it may be a password
    options: object = connection.options
    if options is not None and not isinstance(options, dict):
        problems.append(f"{place}: options must be a dict, not {options!r}")
    return problems


def refuse_mistakes(
    resource: Resource, check_options: CheckOptions | None = None, *, before: Resource | None = None
) -> None:
    """Raise InvalidRecord with all problems of a resource; those that `before` had as well do not count."""
    if is_plain(resource) and (check_options is None or not check_options(resource)):
        return  # nearly all are, and thousands may come at once
    problems = check_resource(resource, check_options).problems
    if problems and before is not None:
        known = set(check_resource(before, check_options).problems)
        problems = [one for one in problems if one not in known]
    if problems:
        raise unstorable(resource, problems)


def refuse_connection_mistakes(
    connection: Connection,
    check_options: CheckOptions | None = None,
    *,
    before: Connection | None = None,
    row_id: int | None = None,
) -> None:
    """Raise InvalidRecord with all problems of a connection; those of `before` do not count."""
    problems = _connection_problems(connection, check_options)
    if problems and before is not None:
        known = set(_connection_problems(before, check_options))
        problems = [one for one in problems if one not in known]
    if problems:
        name = "connection" if row_id is None else f"connection {row_id}"
        raise InvalidRecord(
            "; ".join(problems),
            subject=f"{name} ({connection.endpoint})",
            hint="correct it and store it again; nothing was changed",
            problems=tuple(problems),
        )


def is_plain(resource: Resource) -> bool:
    """True for a resource that has nothing wrong or doubtful, its meter point id apart; quickly found.

    False says nothing: it is to be looked at closely.
    """
    try:
        capacities, location, link = resource.capacities, resource.location, resource.connection
        latitude, longitude, name = location["latitude"], location["longitude"], resource.resourceID
        return (
            len(capacities) == 4  # the four that are asked for
            and _LEAST < capacities["P_min_kw"] <= capacities["P_max_kw"] < _MOST
            and _LEAST < capacities["E_min_kwh"] <= capacities["E_max_kwh"] < _MOST
            and -90.0 <= latitude <= 90.0
            and -180.0 <= longitude <= 180.0
            and not (
                SWAPPED_LATITUDES[0] < latitude < SWAPPED_LATITUDES[1]
                and SWAPPED_LONGITUDES[0] < longitude < SWAPPED_LONGITUDES[1]
            )
            and 0 < len(name) <= LONGEST_ID
            and name.strip() == name
            and resource.resourceName.strip() != ""
            and type(resource.meterPointId) is str
            and resource.reporting is None
            and resource.enabled in _FLAGS
            and type_name(resource.resourceType) != ""
            and resource.control_connection is None
            and link.actortype is ActorType.READER
            and (link.port is None or 0 < link.port <= 65_535)
            and (link.options is None or type(link.options) is dict)
            and (resource.address is None or type(resource.address) is str)
            and (
                bool(link.file)
                if link.type is ConnectionType.FILEREADER
                else bool(link.host and (link.topic or link.type is ConnectionType.MODBUSTCP))
            )
        )
    except (TypeError, KeyError, AttributeError, ValueError):
        return False


def _option_problems(resource: Resource, check_options: CheckOptions) -> list[str]:
    """Give what the connectors say of the options of both connections; other values are not theirs."""
    found = []
    for place in ("connection", "control_connection"):
        link = getattr(resource, place)
        if isinstance(link, Connection) and isinstance(link.options, dict | None):
            told = resource if place == "connection" else replace(resource, connection=link)
            found += [f"{place}: {one}" for one in check_options(told)]
    return found


def _connection_problems(connection: Connection, check_options: CheckOptions | None) -> list[str]:
    problems = check_connection(connection)
    if check_options is not None and isinstance(connection.options, dict | None):
        nobody = Resource("", connection.endpoint, "DSR", None, "", connection, {}, {})
        problems += [f"connection: {one}" for one in check_options(nobody)]
    return problems


def _check_texts(resource: Resource, found: Findings) -> None:
    for name in ("resourceID", "resourceName", "resourceType", "meterPointId"):
        value = getattr(resource, name)
        if not isinstance(value, str):
            found.problems.append(f"{name} must be text, not {value!r}")
    for name in ("resourceSubType", "address", "ven"):
        value = getattr(resource, name)
        if value is not None and not isinstance(value, str):
            found.problems.append(f"{name} must be text or None, not {value!r}")
    name = resource.resourceID
    if isinstance(name, str):
        if not name.strip():
            found.problems.append("resourceID must not be empty")
        elif len(name) > LONGEST_ID:
            found.problems.append(
                f"resourceID has {len(name)} characters; a UUID, or 1 to {LONGEST_ID}, is expected"
            )
        elif name != name.strip():
            found.warnings.append(f"resourceID {name!r} has spaces around it")
    if isinstance(resource.resourceName, str) and not resource.resourceName.strip():
        found.warnings.append("resourceName is empty")
    if isinstance(resource.resourceType, str):
        try:
            type_name(resource.resourceType)
        except ValueError as error:
            found.problems.append(f"resourceType {error}")
    if isinstance(resource.meterPointId, str):
        doubt = gs1_doubt(resource.meterPointId)
        found.warnings.extend([] if doubt is None else [doubt])


def _check_capacities(capacities: Any, found: Findings) -> None:
    if not isinstance(capacities, dict):
        found.problems.append(f"capacities must be a dict, not {capacities!r}")
        return
    for name in capacities:
        if name not in CAPACITIES:
            folded = {known.casefold(): known for known in CAPACITIES}
            close = difflib.get_close_matches(str(name).casefold(), folded, n=1)
            meant = f"; {folded[close[0]]} was meant?" if close else ""
            found.warnings.append(f"capacities.{name} is not known here{meant}")
    numbers = {name: _number(capacities, name, "capacities", found) for name in CAPACITIES}
    for least, most in (("P_min_kw", "P_max_kw"), ("E_min_kwh", "E_max_kwh")):
        low, high = numbers[least], numbers[most]
        if low is not None and high is not None and low > high:
            found.problems.append(f"capacities.{least} {low:g} is above {most} {high:g}")


def _check_location(location: Any, found: Findings) -> None:
    if not isinstance(location, dict):
        found.problems.append(f"location must be a dict, not {location!r}")
        return
    point = {name: _number(location, name, "location", found) for name in COORDINATES}
    latitude, longitude = point["latitude"], point["longitude"]
    if (latitude is None) != (longitude is None):
        missing = "latitude" if latitude is None else "longitude"
        found.warnings.append(f"location.{missing} is missing beside the other coordinate")
    outside = [name for name, most in COORDINATES.items() if abs(point[name] or 0.0) > most]
    hint = location_hint(latitude, longitude)
    found.problems.extend(
        f"location.{name} {point[name]:.10g} is not between {-COORDINATES[name]:g} and {COORDINATES[name]:g}"
        + (f" ({hint})" if hint else "")
        for name in outside
    )
    if not outside and hint:
        found.warnings.append(f"location {latitude:g}, {longitude:g}: {hint}")


def location_hint(latitude: float | None, longitude: float | None) -> str | None:
    """Give what a pair of numbers that is no likely place looks like instead; None when it looks like one."""
    if latitude is None or longitude is None:
        return None
    if abs(latitude) > 1_000 or abs(longitude) > 1_000:
        return "it looks like UTM metres; convert it to degrees (EPSG:4326)"
    if abs(latitude) > 90 and abs(longitude) <= 90 and abs(latitude) <= 180:
        return "latitude and longitude look swapped"
    if _within(latitude, SWAPPED_LATITUDES) and _within(longitude, SWAPPED_LONGITUDES):
        return "latitude and longitude look swapped: so it is in the Arabian Sea, swapped in Denmark"
    return None


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] < value < limits[1]


def _number(held: dict[str, Any], name: str, place: str, found: Findings) -> float | None:
    """Give a number of a dict; None when it is missing or not known, as NaN says of old."""
    value = held.get(name)
    if value is None:
        return None
    if isinstance(value, bool | bytes | list | dict):
        found.problems.append(f"{place}.{name} must be a number, not {value!r}")
        return None
    try:
        number = float(value)  # numpy's numbers too, which data frames hand out
    except (TypeError, ValueError, OverflowError):
        found.problems.append(f"{place}.{name} must be a number, not {value!r}")
        return None
    if isinstance(value, str):
        found.warnings.append(f"{place}.{name} is the text {value!r}, not a number")
    if math.isinf(number):
        found.problems.append(f"{place}.{name} must be a finite number, not {value!r}")
        return None
    return None if math.isnan(number) else number


def _check_connections(resource: Resource, found: Findings) -> None:
    link: object = resource.connection
    if isinstance(link, Connection):
        found.problems.extend(check_connection(link))
        if link.actortype is ActorType.WRITER:
            found.warnings.append("connection is a WRITER: it commands, so nothing will be measured")
    else:
        found.problems.append("connection must be a Connection")
    control: object = resource.control_connection
    if control is None:
        return
    if not isinstance(control, Connection):
        found.problems.append("control_connection must be a Connection or None")
        return
    if control.actortype is not ActorType.WRITER:
        found.problems.append("control_connection must be a WRITER: a READER only measures")
    found.problems.extend(check_connection(control, "control_connection"))


def _check_reporting(reporting: Any, found: Findings) -> None:
    if not isinstance(reporting, dict):
        found.problems.append(f"reporting must be a dict or None, not {reporting!r}")
        return
    found.problems.extend(reporting_problems(reporting))
    found.warnings.extend(reporting_warnings(reporting))


def _is_filled(value: object) -> bool:
    return not (value is None or (isinstance(value, str) and not value.strip()))
