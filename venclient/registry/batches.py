"""Many new resources at once, a column at a time: what `validation` and `rows` do one by one, but faster.

A batch has plain resources only, as nearly all are that come by the thousand. `Batch.of` gives None where one
needs a closer look: then all are looked at one by one, and the one that is wrong is named.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import compress
from math import isnan
from operator import attrgetter, eq, is_, itemgetter, le
from typing import Any, NamedTuple, TypeAlias

import msgspec

from venclient.model.resource import ActorType, Connection, ConnectionType, Resource, ResourceType
from venclient.model.slips import UNCLEAN, is_printable, value_findings
from venclient.registry.option_checks import installed_checks
from venclient.registry.rows import Seal, encoded
from venclient.registry.validation import (
    LONGEST_ID,
    LONGEST_NAME,
    LONGEST_TEXT,
    SWAPPED_LATITUDES,
    SWAPPED_LONGITUDES,
    UNLIKELY_SIZE,
    CheckOptions,
)
from venclient.secrets import login_problem

Column: TypeAlias = Sequence[Any]

_PARTS = attrgetter(
    "resourceID",
    "resourceName",
    "resourceType",
    "resourceSubType",
    "meterPointId",
    "address",
    "enabled",
    "reporting",
    "control_connection",
    "connection",
    "capacities",
    "location",
)
_LINK_PARTS = attrgetter(
    "type", "actortype", "host", "port", "topic", "file", "username", "password", "options"
)
_POWERS = itemgetter("P_max_kw", "P_min_kw", "E_max_kwh", "E_min_kwh")
_POINT = itemgetter("latitude", "longitude")
_TYPE_NAMES = {text: member.name for member in ResourceType for text in (member.name, member.value)}
#: By identity: an enum's own hash takes longer than all else that is done to it here.
_LINK_NAMES = {id(member): member.name for member in ConnectionType}
#: Hosts with other characters are looked at one by one, addresses of IPv6 among them.
_NO_HOST = re.compile(r"[^\w.\n-]|^[.-]*$", re.MULTILINE)
_LONGEST = 255
_TEXT, _TEXTS, _NUMBERS, _FLAGS = {str}, {str, type(None)}, {int, float}, {bool, type(None)}
_lines = msgspec.json.Encoder().encode_lines


class Batch(NamedTuple):
    """Plain resources by column, in the words of `Resource` and `Connection`.

    `powers` are the capacities as JSON, `points` the latitudes and longitudes.
    """

    resources: Sequence[Resource]
    ids: Column
    names: Column
    types: Column
    sub_types: Column
    meters: Column
    addresses: Column
    enabled: Column
    capacities: Column
    powers: list[str]
    points: Sequence[Column]
    locations: Column
    links: tuple[Column, ...]

    @classmethod
    def of(cls, resources: Sequence[Resource]) -> Batch | None:
        """Return the batch of resources that `validation.is_plain` finds plain; None says nothing of them."""
        try:
            return _batch(resources)
        except (TypeError, KeyError, AttributeError, ValueError, ArithmeticError, RecursionError):
            return None

    def is_of(self, resources: Sequence[Resource]) -> bool:
        """Return whether it was made of these very objects."""
        return len(resources) == len(self.resources) and all(map(is_, resources, self.resources))

    def has_login(self, text: str) -> bool:
        """Return whether a username or password is this text."""
        return any(text in column for column in self.links[6:8])

    def resource_columns(self, vens: Column, reader_ids: Column) -> list[Column] | None:
        """Return the columns of `statements.INSERT_ORDER`; None when some are not plain."""
        count = len(self.ids)
        if not _TEXTS.issuperset(map(type, vens)) or not _are_clean_texts(vens):
            return None
        try:
            locations = _json_lines(self.locations)
        except (TypeError, ValueError, RecursionError):
            return None
        nothing = [None] * count
        return [
            self.ids,
            self.names,
            [_TYPE_NAMES[text] for text in self.types],
            self.sub_types,
            self.meters,
            reader_ids,
            self.powers,
            locations,
            self.addresses,
            vens,
            [flag is not False for flag in self.enabled],
            nothing,
            nothing,
        ]

    def connection_columns(self, reader_ids: Column, seal: Seal) -> list[Column] | None:
        """Return the id and the columns of `schema.CONNECTION_COLUMNS`; None if options are not JSON."""
        kinds, actors, host, port, topic, file, username, password, options = self.links
        try:
            texts = [None if one is None else encoded(one).decode() for one in options]
        except (TypeError, ValueError, RecursionError):
            return None
        return [
            reader_ids,
            [_LINK_NAMES[one] for one in map(id, kinds)],
            [ActorType.READER.name] * len(actors),
            host,
            port,
            topic,
            file,
            *(
                column if column.count(None) == len(column) else list(map(seal, column))
                for column in (username, password)
            ),
            texts,
        ]


def options_are_good(batch: Batch, check_options: CheckOptions | None) -> bool:
    """Return True when no check rejects the options of any connection."""
    resources = batch.resources
    if check_options is installed_checks:  # which has nothing to say without options
        resources = list(compress(resources, batch.links[-1]))
    return check_options is None or not any(map(check_options, resources))


def _batch(resources: Sequence[Resource]) -> Batch | None:
    if not {Resource}.issuperset(map(type, resources)):
        return None
    ids, names, types, subs, meters, addresses, enabled, reporting, controls, links, powers, places = zip(
        *map(_PARTS, resources), strict=True
    )
    count = len(ids)
    good = (
        reporting.count(None) == controls.count(None) == count
        and all(_TEXT.issuperset(map(type, column)) for column in (ids, names, types, meters))
        and all(_TEXTS.issuperset(map(type, column)) for column in (subs, addresses))
        and _FLAGS.issuperset(map(type, enabled))
        and _TYPE_NAMES.keys() >= set(types)
        and all(ids)
        and max(map(len, ids)) <= LONGEST_ID
        and all(map(eq, map(str.strip, ids), ids))
        and all(names)
        and all(map(eq, map(str.strip, names), names))
        and max(map(len, names)) <= LONGEST_NAME >= max(map(len, meters))
        and _are_clean(ids, names, meters)
        and _are_addresses([text for text in addresses if text is not None])
        and _are_clean_texts(subs)
        and {Connection}.issuperset(map(type, links))
        and {dict}.issuperset(map(type, places))
        and {2}.issuperset(map(len, places))
    )
    if not good:
        return None
    texts = _json_lines(powers)
    points: list[Column] = list(zip(*map(_POINT, places), strict=True))
    ends: tuple[Column, ...] = tuple(zip(*map(_LINK_PARTS, links), strict=True))
    # Few capacities differ in a long list: those that are stored with the same text are looked at once.
    if not (
        _are_capacities(dict(zip(texts, powers, strict=True)).values())
        and _are_places(*points)
        and _are_links(ends)
    ):
        return None
    return Batch(
        resources, ids, names, types, subs, meters, addresses, enabled, powers, texts, points, places, ends
    )


def _are_capacities(powers: Collection[Any]) -> bool:
    if not ({dict}.issuperset(map(type, powers)) and {4}.issuperset(map(len, powers))):
        return False
    p_max, p_min, e_max, e_min = zip(*map(_POWERS, powers), strict=True)
    if not all(_NUMBERS.issuperset(map(type, column)) for column in (p_max, p_min, e_max, e_min)):
        return False
    # NaN is neither less nor equal, which is why min and max come after.
    return all(
        all(map(le, low, high)) and least <= min(low) and max(high) < UNLIKELY_SIZE
        for least, low, high in ((1 - UNLIKELY_SIZE, p_min, p_max), (0, e_min, e_max))
    )


def _are_places(latitudes: Column, longitudes: Column) -> bool:
    if not (_NUMBERS.issuperset(map(type, latitudes)) and _NUMBERS.issuperset(map(type, longitudes))):
        return False
    if isnan(sum(latitudes)) or isnan(sum(longitudes)):
        return False
    least, most = min(latitudes), max(latitudes)
    if least < -90 or most > 90 or min(longitudes) < -180 or max(longitudes) > 180:
        return False
    (south, north), (west, east) = SWAPPED_LATITUDES, SWAPPED_LONGITUDES
    if least >= north:
        return True
    if least <= 0 <= most and (0, 0) in zip(latitudes, longitudes, strict=True):
        return False
    return not any(
        south < latitude < north and west < longitude < east
        for latitude, longitude in zip(latitudes, longitudes, strict=True)
    )


def _are_links(links: tuple[Column, ...]) -> bool:
    kinds, actors, host, port, topic, file, username, password, options = links
    count = len(kinds)
    if actors.count(ActorType.READER) != count or not _LINK_NAMES.keys() >= set(map(id, kinds)):
        return False
    texts = (host, topic, file, username, password)
    if not all(one.count(None) == count or _TEXTS.issuperset(map(type, one)) for one in texts):
        return False
    if port.count(None) != count and not (
        {int, type(None)}.issuperset(map(type, port)) and all(1 <= one <= 65_535 for one in {*port} - {None})
    ):
        return False
    if options.count(None) != count and (
        not {dict, type(None)}.issuperset(map(type, options))
        or any(one is not None and value_findings("", one) for one in options)
    ):
        return False
    return _are_links_clean(host, topic, file, username, password) and _have_what_they_need(
        kinds, host, topic, file
    )


def _are_clean(*columns: Iterable[Any]) -> bool:
    """Return whether texts have printable, visible characters only."""
    text = "".join(map("".join, columns))
    return is_printable(text) and (text.isascii() or not any(one in text for one in UNCLEAN))


def _are_addresses(texts: list[str]) -> bool:
    return not texts or (max(map(len, texts)) <= LONGEST_TEXT and _are_clean(texts))


def _are_clean_texts(column: Column) -> bool:
    """Return whether names that resources share are clean, and none of them is blank; None passes."""
    texts = set(column) - {None}
    return not texts or (
        all(texts)
        and all(map(eq, map(str.strip, texts), texts))
        and max(map(len, texts)) <= LONGEST_NAME
        and _are_clean(texts)
    )


def _are_links_clean(host: Column, topic: Column, file: Column, username: Column, password: Column) -> bool:
    hosts = set(host) - {None}
    lines = "\n".join(hosts)
    if hosts and (lines.count("\n") != len(hosts) - 1 or _NO_HOST.search(lines)):
        return False
    for column in (topic, file):
        texts = set(column) - {None}
        if texts and not (_are_clean(texts) and all(texts) and all(map(eq, map(str.strip, texts), texts))):
            return False
        if texts and max(map(len, texts)) > _LONGEST:
            return False
    logins = {*username, *password} - {None}
    if any(map(login_problem, logins)) or not all(map(eq, map(str.strip, logins), logins)):
        return False
    texts = logins | hosts
    return (not texts or max(map(len, texts)) <= _LONGEST) and _are_clean(logins)


def _have_what_they_need(kinds: Column, host: Column, topic: Column, file: Column) -> bool:
    count = len(kinds)
    if kinds.count(ConnectionType.FILEREADER) == count:
        return all(file)
    if kinds.count(ConnectionType.MQTT) == count:
        return all(host) and all(topic)
    return all(
        a_file
        if kind is ConnectionType.FILEREADER
        else a_host and (a_topic or kind is ConnectionType.MODBUSTCP)
        for kind, a_host, a_topic, a_file in zip(kinds, host, topic, file, strict=True)
    )


def _json_lines(values: Column) -> list[str]:
    """Return each value as one line of JSON: a line break in a text is written as an escape."""
    return _lines(values).decode().split("\n")[:-1]
