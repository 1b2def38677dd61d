"""What a resource or connection must be, and what may be a slip: pure, all mistakes of one object at once.

An error is refused by every method that writes: it can never be meant. A warning is not: the resource is
stored, and `ResourceDatabase.last_warnings` lists what is doubtful about it.

                            error                                   warning
    every text              control characters, line ends, NUL,     joiners in names, line ends in an address,
                            invisible and direction characters,     private and replacement characters
                            over 1,000 characters (4,096 in links)
    resourceID              empty, over 128 characters              spaces around it
    resourceName            empty or blank                          spaces around it, over 128 characters
    ven, sub-type                                                   empty or blank, and as for the name
    meterPointId            not text                                not an 18-digit GS1 number, spaces
    enabled                 not True, False or None (1 and 0 pass)
    capacities              not a number, NaN, infinite,            other unknown names
                            P_min > P_max, E_min > E_max,           over 10 GW or GWh, negative energy
                            over 1e12, a name that is nearly a
                            known one
    location                not a number, NaN, out of range,        half of it missing, looks swapped, 0, 0,
                            a name that is nearly a known one       other unknown names
      (of both)                                                     numbers written as text
    connection              bad port, a space in the host,          host, topic or file missing: to be
                            what the connector says of its          filled in later; commands instead of
                            options, NaN in options                 measuring; host is not a name;    spaces;
                                                                    odd characters in options
    control_connection      as above; measures instead of commanding
    reporting               a value that makes no sense, NaN,       other unknown names
                            a name that is nearly a known one

Missing capacities, coordinates and sub-types are neither. A mistake that is stored already and that an
update does not touch does not block other changes. The tuples of the first generation are checked alike,
but NaN in their JSON means unknown; they name no connection, and share a FILEREADER without a file.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

from venclient.messages import Level, Text, text_of
from venclient.messages import registry as reg
from venclient.model.reporting import reporting_problems, reporting_slips, reporting_warnings
from venclient.model.resource import KINDS, ActorType, Connection, ConnectionType, Resource
from venclient.model.slips import (
    character_findings,
    is_blank,
    is_clean,
    name_findings,
    value_findings,
)
from venclient.registry.meterpoint import gs1_doubt
from venclient.registry.placing import placed
from venclient.registry.rows import refused, type_name, unstorable
from venclient.secrets import Locked, login_problem

#: Gives what the connector of a resource's connection says of its options, one sentence for each mistake.
#: A control connection is asked about as a resource's connection too.
CheckOptions: TypeAlias = Callable[[Resource], list[str]]

CAPACITIES = ("P_max_kw", "P_min_kw", "E_max_kwh", "E_min_kwh")
COORDINATES = {"latitude": 90.0, "longitude": 180.0}

LONGEST_ID = 128
#: Characters of a name that a VTN takes, and of any text that we take.
LONGEST_NAME = 128
LONGEST_TEXT = 1_000
_LONGEST_HOST = 255
_LONGEST_LINK_TEXT = 4_096
#: kW or kWh that no site has, and that nothing has.
UNLIKELY_SIZE = 1e7
_IMPOSSIBLE_SIZE = 1e12
_NUMBERS = {int, float}
#: Host names, also with letters of other scripts; IP addresses are asked about otherwise.
_HOST = re.compile(r"[\w.-]*\w[\w.-]*")
_FLAGS = (True, False, None)  # 1 and 0 as well
_LOGIN = ("username", "password")
_LINK_TEXTS = ("host", "topic", "file", *_LOGIN)
#: Fields with text for people: scripts and emoji have joiners in it.
#: Fields that a VTN gets as a name.
_NAMES = frozenset({"resourceName", "resourceSubType", "ven"})
_PROSE = frozenset({"resourceName", "resourceSubType", "address"})
#: Where Denmark would be with latitude and longitude swapped: open sea, south of Yemen.
SWAPPED_LATITUDES = (7.5, 15.5)
SWAPPED_LONGITUDES = (54.4, 58.0)


class Findings(NamedTuple):
    """What was found in one object: `problems` forbid storing it, `warnings` do not."""

    problems: list[str]
    warnings: list[str]


def check_resource(
    resource: Resource, check_options: CheckOptions | None = None, *, ven: str | None = None
) -> Findings:
    """Return all that is wrong or doubtful about a resource and its connections.

    `ven` is the VEN that it is stored with, when that is another than its own.
    """
    found = Findings([], [])
    if not is_plain(resource):
        _check_texts(resource, found)
        if resource.enabled not in _FLAGS:
            found.problems.append(reg.NOT_A_FLAG(value=resource.enabled))
        _check_capacities(resource.capacities, found)
        _check_location(resource.location, found)
        _check_connections(resource, found)
        if resource.reporting is not None:
            _check_reporting(resource.reporting, found)
    elif (doubt := gs1_doubt(resource.meterPointId)) is not None:
        found.warnings.append(doubt)
    if ven is not None and ven is not resource.ven:
        _check_text("ven", ven, found)
    if check_options is not None:
        found.problems.extend(_option_problems(resource, check_options))
    return found


def check_connection(connection: Connection, place: str = "connection") -> Findings:
    """Return all that is wrong or doubtful about a connection, `place` being the field that holds it."""
    found = Findings([], [])
    if wrong := _wrong_kinds(connection, place):
        found.problems.extend(wrong)
    elif missing := connection.missing:
        found.warnings.append(
            reg.INCOMPLETE(place=place, kind=connection.type.name, missing=" and ".join(missing))
        )
    port = connection.port
    if port is not None and not (type(port) is int and 1 <= port <= 65_535):
        found.problems.append(reg.PORT(place=place, value=port))
    _check_link_texts(connection, place, found)
    if isinstance(connection.host, str):
        _check_host(connection.host, place, found)
    options: object = connection.options
    if options is not None and not isinstance(options, dict):
        found.problems.append(reg.OPTIONS_NOT_DICT(place=place, value=options))
    else:
        _sort(value_findings(f"{place}.options", options), found)
    return found


def refuse_mistakes(
    resource: Resource,
    check_options: CheckOptions | None = None,
    *,
    before: Resource | None = None,
    ven: str | None = None,
) -> list[str]:
    """Raise InvalidRecord with all problems of a resource, or return its warnings.

    What `before` had as well does not count. A doubtful meter point id of a plain resource is not among the
    warnings: `Doubts` checks it on demand.
    """
    if (
        is_plain(resource)
        and (ven is None or _is_plain_text(ven))
        and (check_options is None or not check_options(resource))
    ):
        return []  # nearly all are, and thousands may come at once
    found = check_resource(resource, check_options, ven=ven)
    if before is not None and (found.problems or found.warnings):
        known = check_resource(before, check_options)
        found = Findings(
            [one for one in found.problems if one not in known.problems],
            [one for one in found.warnings if one not in known.warnings],
        )
    if found.problems:
        raise unstorable(resource, found.problems)
    return found.warnings


def refuse_connection_mistakes(
    connection: Connection,
    check_options: CheckOptions | None = None,
    *,
    before: Connection | None = None,
    row_id: int | None = None,
) -> list[str]:
    """Raise InvalidRecord with all problems of a connection, or return its warnings.

    What `before` had as well does not count.
    """
    if not isinstance(connection, Connection):
        raise refused([reg.NOT_A_CONNECTION(place="connection")], "connection")
    found = _connection_findings(connection, check_options)
    if before is not None and (found.problems or found.warnings):
        known = _connection_findings(before, check_options)
        found = Findings(
            [one for one in found.problems if one not in known.problems],
            [one for one in found.warnings if one not in known.warnings],
        )
    if found.problems:
        name = "connection" if row_id is None else f"connection {row_id}"
        raise refused(found.problems, f"{name} ({connection.endpoint})")
    return found.warnings


def is_plain(resource: Resource) -> bool:
    """Return True for a resource with nothing wrong or doubtful, its meter point id apart: a quick look.

    False means that it is to be looked at closely.
    """
    try:
        capacities, location, link = resource.capacities, resource.location, resource.connection
        latitude, longitude, name = location["latitude"], location["longitude"], resource.resourceID
        others = [
            one for one in (resource.ven, resource.resourceSubType, resource.address) if one is not None
        ]
        texts = (name, resource.resourceName, resource.meterPointId)
        return (
            len(capacities) == 4  # the four that are asked for
            and len(location) == 2
            and _NUMBERS.issuperset(map(type, (*capacities.values(), latitude, longitude)))
            and -UNLIKELY_SIZE < capacities["P_min_kw"] <= capacities["P_max_kw"] < UNLIKELY_SIZE
            and 0 <= capacities["E_min_kwh"] <= capacities["E_max_kwh"] < UNLIKELY_SIZE
            and (latitude != 0 or longitude != 0)
            and -90.0 <= latitude <= 90.0
            and -180.0 <= longitude <= 180.0
            and not (
                SWAPPED_LATITUDES[0] < latitude < SWAPPED_LATITUDES[1]
                and SWAPPED_LONGITUDES[0] < longitude < SWAPPED_LONGITUDES[1]
            )
            and 0 < len(name) <= LONGEST_ID
            and name.strip() == name
            and is_clean("".join((*texts, *others)))
            and _is_trimmed(resource.resourceName)
            and type(resource.meterPointId) is str
            and len(resource.meterPointId) <= LONGEST_NAME
            and _is_trimmed(resource.ven)
            and _is_trimmed(resource.resourceSubType)
            and resource.reporting is None
            and resource.enabled in _FLAGS
            and type_name(resource.resourceType) != ""
            and resource.control_connection is None
            and link.actortype is ActorType.READER
            and (resource.address is None or len(resource.address) <= LONGEST_TEXT)
            and is_plain_connection(link)
        )
    except (TypeError, KeyError, AttributeError, ValueError):
        return False


def is_plain_connection(link: Connection) -> bool:
    """Return True for a connection with nothing wrong or doubtful: a quick look.

    False means that it is to be looked at closely.
    """
    try:
        return (
            type(link.type) is ConnectionType
            and type(link.actortype) is ActorType
            and (link.port is None or (type(link.port) is int and 0 < link.port <= 65_535))
            and (
                link.options is None or (type(link.options) is dict and not value_findings("", link.options))
            )
            and _is_plain_link(link)
        )
    except (TypeError, KeyError, AttributeError, ValueError):
        return False


def _is_plain_text(text: str | None) -> bool:
    return _is_trimmed(text) and is_clean(text or "")


def _is_trimmed(text: str | None) -> bool:
    return text is None or (0 < len(text) <= LONGEST_NAME and text.strip() == text)


def _is_plain_link(link: Connection) -> bool:
    """Return whether host, topic, file and login are usual, and all that are needed."""
    host, topic, file = link.host, link.topic, link.file
    whole = f"{host}{topic}{file}{link.username}{link.password}"
    if len(whole) > _LONGEST_HOST or not is_clean(whole):
        return False
    for text in (topic, file):
        if text is not None and (type(text) is not str or text == "" or text.strip() != text):
            return False
    if host is not None and _HOST.fullmatch(host) is None:
        return False
    for text in (link.username, link.password):
        if text is not None and (type(text) is not str or text.strip() != text or login_problem(text)):
            return False
    if link.type is ConnectionType.FILEREADER:
        return bool(file)
    return bool(host and (topic or link.type is ConnectionType.MODBUSTCP))


def _option_problems(resource: Resource, check_options: CheckOptions) -> list[str]:
    """Return what the connectors say of the options of both connections; other values are not theirs."""
    found: list[str] = []
    for place in ("connection", "control_connection"):
        link = getattr(resource, place)
        if isinstance(link, Connection) and _may_be_asked_about(link):
            asked = resource if place == "connection" else replace(resource, connection=link)
            found += [placed(place, one, reg.OPTIONS) for one in check_options(asked)]
    return found


def _may_be_asked_about(link: Connection) -> bool:
    """Return whether a connector can look at the options of a connection."""
    return isinstance(link.options, dict | None) and not _wrong_kinds(link, "")


def _connection_findings(connection: Connection, check_options: CheckOptions | None) -> Findings:
    is_plain_one = is_plain_connection(connection)
    found = Findings([], []) if is_plain_one else check_connection(connection)
    if check_options is not None and (is_plain_one or _may_be_asked_about(connection)):
        probe = Resource("", connection.endpoint, "DSR", None, "", connection, {}, {})
        problems = [placed("connection", one, reg.OPTIONS) for one in check_options(probe)]
        found.problems.extend(problems)
    return found


def _check_texts(resource: Resource, found: Findings) -> None:
    for name in ("resourceID", "resourceName", "resourceType", "meterPointId"):
        value = getattr(resource, name)
        if not isinstance(value, str):
            found.problems.append(reg.NOT_TEXT(field=name, value=value))
        elif name != "resourceType":
            _sort(character_findings(name, value, prose=name in _PROSE), found)
            _check_length(name, value, found)
    for name in ("resourceSubType", "address", "ven"):
        value = getattr(resource, name)
        if value is not None:
            _check_text(name, value, found)
    if isinstance(resource.resourceID, str):
        _check_id(resource.resourceID, found)
    if isinstance(resource.resourceName, str) and is_blank(resource.resourceName):
        found.problems.append(reg.EMPTY(field="resourceName"))
    if isinstance(resource.resourceType, str):
        try:
            type_name(resource.resourceType)
        except ValueError as error:
            found.problems.append(text_of(error))
    if isinstance(resource.meterPointId, str):
        doubt = gs1_doubt(resource.meterPointId)
        found.warnings.extend([] if doubt is None else [doubt])


def _check_length(name: str, text: str, found: Findings) -> None:
    """Check how long a text is, and whether names have spaces around them; ids have a limit of their own."""
    if len(text) > LONGEST_TEXT and name != "resourceID":
        found.problems.append(reg.TOO_LONG(field=name, length=len(text), most=LONGEST_TEXT))
    elif name in _NAMES and len(text) > LONGEST_NAME:
        found.warnings.append(reg.LONG_NAME(field=name, length=len(text), most=LONGEST_NAME))
    if name in _NAMES and text.strip() and text != text.strip():
        found.warnings.append(reg.SPACES_AROUND(field=name, value=text))


def _check_id(name: str, found: Findings) -> None:
    if is_blank(name):
        found.problems.append(reg.EMPTY(field="resourceID"))
    elif len(name) > LONGEST_ID:
        found.problems.append(reg.ID_TOO_LONG(length=len(name), most=LONGEST_ID))
    elif name != name.strip():
        found.warnings.append(reg.SPACES_AROUND(field="resourceID", value=name))


def _check_text(name: str, value: object, found: Findings) -> None:
    """Check a text that may be missing: sub-type, address or VEN."""
    if not isinstance(value, str):
        found.problems.append(reg.NOT_TEXT_OR_NONE(field=name, value=value))
        return
    _sort(character_findings(name, value, prose=name in _PROSE, lines=name == "address"), found)
    _check_length(name, value, found)
    if name != "address" and not value.strip():
        found.warnings.append(reg.IS_BLANK(field=name))


def _check_link_texts(connection: Connection, place: str, found: Findings) -> None:
    for name in _LINK_TEXTS:
        value = getattr(connection, name)
        if value is None:
            continue
        if not isinstance(value, str):
            found.problems.append(reg.LINK_NOT_TEXT(place=place, field=name))  # it may be a password
            continue
        if isinstance(value, Locked):
            found.warnings.append(reg.LOGIN_NEEDS_KEY(place=place, field=name, notice=value))
            continue
        if name in _LOGIN and (problem := login_problem(value)) is not None:
            found.problems.append(problem.within(f"{place}.{name}: "))
        _sort(character_findings(f"{place}.{name}", value), found)
        most = _LONGEST_HOST if name == "host" else _LONGEST_LINK_TEXT
        if len(value) > most:
            found.problems.append(reg.TOO_LONG(field=f"{place}.{name}", length=len(value), most=most))
        if value != value.strip() and name in _LOGIN:
            found.warnings.append(reg.LOGIN_SPACES(field=f"{place}.{name}"))
        elif name in ("topic", "file") and value.strip() and value != value.strip():
            found.warnings.append(reg.SPACES_AROUND(field=f"{place}.{name}", value=value))


def _check_host(host: str, place: str, found: Findings) -> None:
    if host.strip() and any(one.isspace() and one.isprintable() for one in host):
        found.problems.append(reg.BLANK_IN_HOST(place=place, value=host))
    elif "/" in host:
        found.warnings.append(reg.HOST_IS_URL(place=place, value=host))
    elif host.strip() and is_clean(host) and _HOST.fullmatch(host) is None and not _is_address(host):
        found.warnings.append(reg.ODD_HOST(place=place, value=host))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _wrong_kinds(connection: Connection, place: str) -> list[str]:
    """Return what is wrong with types that were assigned after the connection was made."""
    found: list[str] = []
    for kind, value in ((ConnectionType, connection.type), (ActorType, connection.actortype)):
        if value not in kind.__members__.values():
            what = reg.UNKNOWN_TYPE(kind=KINDS[kind.__name__], value=value, known=list(kind.__members__))
            found.append(what.within(f"{place}: "))
    return found


def _sort(texts: list[Text], found: Findings) -> None:
    """Add messages to the problems or the warnings, by their level."""
    for text in texts:
        (found.problems if text.level is Level.ERROR else found.warnings).append(text)


def _check_capacities(capacities: Any, found: Findings) -> None:
    if not isinstance(capacities, dict):
        found.problems.append(reg.NOT_A_DICT(field="capacities", value=capacities))
        return
    _sort(name_findings("capacities", capacities, CAPACITIES), found)
    _check_others(capacities, "capacities", CAPACITIES, found)
    numbers = {name: _number(capacities, name, "capacities", found) for name in CAPACITIES}
    for name, number in numbers.items():
        if number is not None:
            _check_size(f"capacities.{name}", number, found)
    for least, most in (("P_min_kw", "P_max_kw"), ("E_min_kwh", "E_max_kwh")):
        low, high = numbers[least], numbers[most]
        if low is not None and high is not None and low > high:
            found.problems.append(
                reg.MIN_ABOVE_MAX(field=f"capacities.{least}", low=low, other=most, high=high)
            )


def _check_size(field: str, number: float, found: Findings) -> None:
    if abs(number) > _IMPOSSIBLE_SIZE:
        found.problems.append(reg.IMPOSSIBLE_SIZE(field=field, value=number, most=_IMPOSSIBLE_SIZE))
    elif abs(number) >= UNLIKELY_SIZE:
        found.warnings.append(reg.UNLIKELY_SIZE(field=field, value=number))
    if number < 0 and field.endswith("kwh"):
        found.warnings.append(reg.NEGATIVE_ENERGY(field=field, value=number))


def _check_location(location: Any, found: Findings) -> None:
    if not isinstance(location, dict):
        found.problems.append(reg.NOT_A_DICT(field="location", value=location))
        return
    _sort(name_findings("location", location, COORDINATES), found)
    _check_others(location, "location", tuple(COORDINATES), found)
    point = {name: _number(location, name, "location", found) for name in COORDINATES}
    latitude, longitude = point["latitude"], point["longitude"]
    if (latitude is None) != (longitude is None):
        missing = "latitude" if latitude is None else "longitude"
        found.warnings.append(reg.HALF_A_PLACE(missing=missing))
    if latitude == longitude == 0:
        found.warnings.append(reg.NOWHERE())
    doubt = location_hint(latitude, longitude)
    outside = [(name, value) for name, value in point.items() if abs(value or 0.0) > COORDINATES[name]]
    for name, value in outside:
        most = COORDINATES[name]
        why = f" ({doubt})" if doubt else ""
        found.problems.append(reg.OUT_OF_RANGE(name=name, value=value, low=-most, high=most, doubt=why))
    if not outside and doubt:
        found.warnings.append(reg.UNLIKELY_PLACE(latitude=latitude, longitude=longitude, doubt=doubt))


def _check_others(held: dict[str, Any], place: str, known: tuple[str, ...], found: Findings) -> None:
    """Check the values of names that are not known: any JSON, but no NaN."""
    for name, value in held.items():
        if name not in known:
            _sort(value_findings(f"{place}.{name}", value), found)


def location_hint(latitude: float | None, longitude: float | None) -> str | None:
    """Return what a pair of numbers that is an unlikely place looks like instead, None for a likely one."""
    if latitude is None or longitude is None:
        return None
    if abs(latitude) > 1_000 or abs(longitude) > 1_000:
        return reg.LOOKS_LIKE_UTM()
    if abs(latitude) > 90 and abs(longitude) <= 90 and abs(latitude) <= 180:
        return reg.LOOKS_SWAPPED()
    if _within(latitude, SWAPPED_LATITUDES) and _within(longitude, SWAPPED_LONGITUDES):
        return reg.LOOKS_SWAPPED_DENMARK()
    return None


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] < value < limits[1]


def _number(held: dict[str, Any], name: str, place: str, found: Findings) -> float | None:
    """Return a number of a dict, None when it is missing, unknown (None) or wrong."""
    value = held.get(name)
    if value is None:
        return None
    field = f"{place}.{name}"
    if isinstance(value, bool | bytes | list | dict):
        found.problems.append(reg.NOT_A_NUMBER(field=field, value=value))
        return None
    try:
        number = float(value)  # numpy's numbers too, which data frames hand out
    except (TypeError, ValueError, OverflowError):
        found.problems.append(reg.NOT_A_NUMBER(field=field, value=value))
        return None
    if not math.isfinite(number):
        found.problems.append(reg.NOT_FINITE(field=field, value=value if isinstance(value, str) else number))
        return None
    if isinstance(value, str):
        found.warnings.append(reg.NUMBER_AS_TEXT(field=field, value=value))
    return number


def _check_connections(resource: Resource, found: Findings) -> None:
    link: object = resource.connection
    if isinstance(link, Connection):
        _extend(found, check_connection(link))
        if link.actortype == ActorType.WRITER:
            found.warnings.append(reg.COMMANDS())
    else:
        found.problems.append(reg.NOT_A_CONNECTION(place="connection"))
    control: object = resource.control_connection
    if control is None:
        return
    if not isinstance(control, Connection):
        found.problems.append(reg.NOT_A_CONNECTION_OR_NONE(place="control_connection"))
        return
    if control.actortype != ActorType.WRITER:
        found.problems.append(reg.MEASURES())
    _extend(found, check_connection(control, "control_connection"))


def _check_reporting(reporting: Any, found: Findings) -> None:
    if not isinstance(reporting, dict):
        found.problems.append(reg.REPORTING_NOT_DICT(value=reporting))
        return
    found.problems.extend(reporting_problems(reporting))
    found.problems.extend(reporting_slips(reporting))
    found.warnings.extend(reporting_warnings(reporting))


def _extend(found: Findings, more: Findings) -> None:
    found.problems.extend(more.problems)
    found.warnings.extend(more.warnings)


def _placed(place: str, problem: str) -> Text:
    """Return a connector's problem with its place in front; its code stays."""
    if isinstance(problem, Text):
        return problem.within(f"{place}: ")
    return reg.OPTIONS(place=place, problem=problem)
