"""The change log: who changed what and when, with the values before and after.

An entry is written in the same transaction as its change, and the database rejects updates of it. Usernames
and passwords are never in it: references are, anything else is ***. Writes by other programs that bypass
`ResourceDatabase` are not recorded.

    insert  `after` is all of it; null for more than a hundred at once, where `history` finds it out
    update  `before` and `after` hold the fields that changed, and no others
    delete  `before` is all of it
    clear   one row for the whole registry, with the numbers
"""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import msgspec

from venclient.clock import Clock
from venclient.messages.printable import foreign
from venclient.model.resource import Connection, Resource
from venclient.registry.link import Link
from venclient.registry.statements import Statements
from venclient.secrets import shown

Action = Literal["insert", "update", "delete", "clear"]
Kind = Literal["resource", "connection", "registry"]
Told: TypeAlias = dict[str, Any]

#: Up to this many new resources at once are recorded in full; more would make storing them half as fast.
IN_FULL = 100

_FIELDS = (
    "resourceName",
    "resourceType",
    "resourceSubType",
    "meterPointId",
    "capacities",
    "location",
    "address",
    "ven",
    "enabled",
    "reporting",
)
_LINKS = ("connection", "control_connection")
_parts = attrgetter(*_FIELDS)


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `subject` is a resource's id, or a connection's row id as text; `at` is aware UTC.

    `before` and `after` are by field; None where there was nothing, or nothing is known any more.
    """

    id: int
    at: datetime
    actor: str
    action: Action
    kind: Kind
    subject: str | None
    before: Told | None
    after: Told | None


class RegistryVersion(NamedTuple):
    """The version of the change log: it differs after every change.

    `number` is the id of the newest change, 0 for none. A server may commit changes in another order than
    that of their ids, so `recent`, the number of those with the highest ids, is part of it.
    """

    number: int
    recent: int


class Entry(NamedTuple):
    """A change to be recorded."""

    action: Action
    kind: Kind
    subject: str | None
    before: Told | None = None
    after: Told | None = None


def user_name(number: int) -> str:
    """Return the name of a user, or its number where it has none, as in some containers."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def default_actor() -> str:
    """Return the identity of this process: "user@host:pid"."""
    return f"{user_name(os.getuid())}@{socket.gethostname()}:{os.getpid()}"


def told_connection(connection: Connection) -> Told:
    """Return a connection as the change log holds it: without its login, unless that is a reference."""
    return {
        "type": connection.type.name,
        "actortype": connection.actortype.name,
        "id": connection.id,
        "host": connection.host,
        "port": connection.port,
        "topic": connection.topic,
        "file": connection.file,
        "options": connection.options,
        "username": shown(connection.username),
        "password": shown(connection.password),
    }


def told_resource(resource: Resource) -> Told:
    """Return a resource as the change log holds it, including its connections."""
    record: Told = dict(zip(_FIELDS, _parts(resource), strict=True))
    for name in _LINKS:
        link = getattr(resource, name)
        record[name] = None if link is None else told_connection(link)
    return record


def resource_entry(before: Resource, after: Resource) -> Entry:
    """Return the log entry for an update: the fields in which the two differ."""
    old, new = told_resource(before), told_resource(after)
    names = {name for name in _FIELDS if getattr(before, name) != getattr(after, name)}
    for name in _LINKS:
        one, other = getattr(before, name), getattr(after, name)
        if one != other or old[name] != new[name]:
            names.add(name)
            if one is not None and other is not None:
                _tell_new_login(one, other, new[name])
    return Entry("update", "resource", after.resourceID, _only(old, names), _only(new, names))


def connection_entry(before: Connection, after: Connection) -> Entry:
    """Return the log entry for a connection's update: the fields in which the two differ."""
    old, new = told_connection(before), told_connection(after)
    _tell_new_login(before, after, new)
    names = {name for name in new if getattr(before, name) != getattr(after, name)} - {"id"}
    return Entry("update", "connection", str(before.id), _only(old, names), _only(new, names))


def is_by(actor: str, wanted: str) -> bool:
    """Return whether a recorded actor is the user, user and host, or process that is wanted."""
    return actor == wanted or actor.startswith((f"{wanted}@", f"{wanted}:"))


class ChangeLog:
    """Writes and reads the change log of one database."""

    def __init__(self, link: Link, statements: Statements, clock: Clock, actor: str) -> None:
        self.actor = actor
        self._link = link
        self._sql = statements
        self._clock = clock

    def add(self, entries: Iterable[Entry]) -> None:
        """Record changes, inside the transaction that makes them."""
        at = stamp(self._clock.now())
        values = [
            (at, self.actor, one.action, one.kind, one.subject, _json(one.before), _json(one.after))
            for one in entries
        ]
        if values:
            self._link.driver().executemany(self._sql.insert_change, values)

    def add_inserted(self, first: int, last: int) -> None:
        """Record that the resources that read through connections `first` to `last` are new, in brief."""
        at = stamp(self._clock.now())
        self._link.driver().execute(self._sql.insert_changes_of, (at, self.actor, first, last))

    def version(self) -> RegistryVersion:
        """Return the version of the change log."""
        number, recent = self._link.rows(*self._sql.version)[0]
        return RegistryVersion(int(str(number)), int(str(recent)))

    def listed(self, after: int, limit: int) -> list[Change]:
        """Return up to `limit` changes with ids above `after`, oldest first."""
        return [_change(row) for row in self._link.rows(*self._sql.changes_after(after, limit))]

    def between(
        self, since: datetime | None, until: datetime | None, actor: str | None, limit: int
    ) -> list[Change]:
        """Return the newest changes that meet the conditions, oldest first, as they were recorded."""
        times = [None if one is None else stamp(one) for one in (since, until)]
        found = self._link.rows(*self._sql.changes_between(times[0], times[1], actor, limit))
        return [_change(row) for row in found][::-1]

    def history(self, resource_id: str, now: Resource | None) -> list[Change]:
        """Return all changes of a resource and its connections, oldest first; `now` is the stored resource.

        Values that a bulk insert did not record are derived from the stored state and the later changes.
        """
        found = self._of(resource_id, "resource")
        if not found:
            return []
        ids = {row.get("id") for one in found for state in (one.before, one.after) for row in _links(state)}
        if now is not None:
            ids |= {link.id for link in (now.connection, now.control_connection) if link is not None}
        for connection_id in sorted(str(one) for one in ids if one is not None):
            found += self._of(connection_id, "connection")
        cleared = self._link.rows(self._sql.clears_after, (found[0].id,))
        found += map(_change, cleared)
        found.sort(key=lambda change: change.id)
        return _completed(found, None if now is None else told_resource(now))

    def _of(self, subject: str, kind: Kind) -> list[Change]:
        return [_change(row) for row in self._link.rows(self._sql.changes_of, (subject, kind))]


def _completed(changes: Sequence[Change], state: Told | None) -> list[Change]:
    """Return the changes with the values that inserts left open; `state` is the state after the last one."""
    found = []
    for one in reversed(changes):
        if one.kind == "registry":
            state = None  # of what was cleared only the number is known
        elif one.kind == "connection":
            state = _before_connection(state, one)
        elif one.action == "insert":
            after = state if one.after is None else one.after
            found.append(_replaced(one, after))
            state = None
            continue
        elif one.action == "delete":
            state = one.before
        elif state is not None:
            state = state | (one.before or {})
        found.append(one)
    return found[::-1]


def _before_connection(state: Told | None, change: Change) -> Told | None:
    if state is None or change.action != "update":
        return state
    links = {
        name: state[name] | (change.before or {})
        for name in _LINKS
        if state.get(name) and str(state[name].get("id")) == change.subject
    }
    return state | links


def _replaced(change: Change, after: Told | None) -> Change:
    return Change(
        change.id, change.at, change.actor, change.action, change.kind, change.subject, change.before, after
    )


def _links(told: Told | None) -> list[Told]:
    return [told[name] for name in _LINKS if told and isinstance(told.get(name), dict)]


def _tell_new_login(before: Connection, after: Connection, told: Told) -> None:
    """Make a change show that replaces one secret by another."""
    for name in ("username", "password"):
        if told[name] and getattr(before, name) and getattr(before, name) != getattr(after, name):
            told[name] = f"{told[name]} (another)" if told[name] == "***" else told[name]


def _only(told: Told, names: set[str]) -> Told:
    return {name: value for name, value in told.items() if name in names}


def stamp(moment: datetime) -> str:
    """Return a moment as the tables hold it: ISO 8601, UTC, in milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(told: Mapping[str, Any] | None) -> str | None:
    return None if told is None else _encode(told).decode()


def _change(row: tuple[Any, ...]) -> Change:
    row_id, at, actor, action, kind, subject, before, after = row
    return Change(
        row_id,
        _moment(at),
        actor,
        cast("Action", action),
        cast("Kind", kind),
        subject,
        _dict(before),
        _dict(after),
    )


def _dict(text: str | None) -> Told | None:
    try:
        return None if text is None else msgspec.json.decode(text, type=dict[str, Any])
    except (
        msgspec.DecodeError,
        TypeError,
        RecursionError,
    ) as error:  # another program wrote it: `ven db check` lists it
        return {"unreadable": foreign(str(error))}


def _moment(text: object) -> datetime:
    """Return the time of a change; the year 1 where the row has none that can be read."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _plain(value: object) -> object:
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
