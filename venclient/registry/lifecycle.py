"""What becomes of a resource after it was stored: changes, deletion, its connections, its history.

The part of `ResourceDatabase` that is about one thing at a time, or many in one transaction; every change
is checked before (`validation`) and recorded with it (`changes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import Any, cast

from venclient.clock import Clock
from venclient.errors import Conflict, InvalidRecord, NotFound
from venclient.messages import registry as reg
from venclient.messages import text_of
from venclient.model.reporting import REPORTING_STATES, ReportingState, ReportingStatus
from venclient.model.resource import Connection, Resource
from venclient.registry import rows, selection
from venclient.registry.amending import amended, amended_connection
from venclient.registry.changes import (
    Change,
    ChangeLog,
    Entry,
    RegistryVersion,
    connection_entry,
    stamp,
    told_connection,
)
from venclient.registry.link import Link
from venclient.registry.query import Query
from venclient.registry.rows import BadRow, Row
from venclient.registry.sealing import Sealer
from venclient.registry.statements import Statements
from venclient.registry.validation import (
    CheckOptions,
    Findings,
    check_resource,
    refuse_connection_mistakes,
)
from venclient.registry.words import words_for
from venclient.registry.writing import Progress, Writing, missing

_EVERY = 1_000
_MOST = 2**31 - 1  # of row ids
_NAMED = 5


class _Undone(Exception):
    """Ends a dry run."""


class LifeCycle:
    """Mixed into `ResourceDatabase`, which makes what it works with."""

    db_path: str
    _link: Link
    _sql: Statements
    _writing: Writing
    _log: ChangeLog
    _clock: Clock
    _sealer: Sealer
    _check_options: CheckOptions

    # Resources

    def update_resource(
        self,
        resource: str | Resource,
        changes: Mapping[str, Any] | None = None,
        *,
        expected_version: int | None = None,
        **fields: Any,
    ) -> Resource:
        """Change a resource that is stored, and return it as it is then.

        With a Resource, every field of the object is stored over what its id has: None and missing members
        too. `enabled` None alone, which means "not specified", leaves what is stored. With an id, only
        the fields that are named change.

        Names are those of `Resource`, besides resourceID. `capacities`, `location` and `reporting` take a
        dict of the members that change (None removes one); the connections take a Connection or a dict of
        the fields that change; dotted names, in `changes`, reach one member: {"connection.host": "meter-2"}.
        `connection_id` and `control_connection_id` name a stored connection, to share it. A connection
        that other resources use as well is left to them.

        NotFound for an unknown resource; Conflict, naming both versions, when its `version` is not
        the expected one; InvalidRecord with every mistake. When nothing differs nothing is written.
        """
        updates = {**(changes or {}), **fields}
        self._writing.doubts.begin()
        if isinstance(resource, Resource):
            return self._replace(resource, updates, expected_version)
        with self._link.transaction():
            self._update(resource, updates, expected_version)
            return self._stored(resource)

    def bulk_update(
        self,
        changes: Mapping[str, Mapping[str, Any]] | Iterable[tuple[str, Mapping[str, Any]]],
        *,
        progress: Progress | None = None,
    ) -> int:
        """Change many resources, each by id as `update_resource` does, in one transaction, all or none.

        Gives how many were changed. `expected_version` may be among the changes of each.
        """
        self._writing.doubts.begin()
        pairs = changes.items() if isinstance(changes, Mapping) else changes
        changed = done = 0
        with self._link.transaction():
            for resource_id, updates in pairs:
                wanted = dict(updates)
                changed += self._update(resource_id, wanted, wanted.pop("expected_version", None))
                done += 1
                if progress is not None and done % _EVERY == 0:
                    progress(done)
        if progress is not None and done % _EVERY:
            progress(done)
        return changed

    def set_where(
        self,
        where: Query | Iterable[str],
        changes: Mapping[str, Any],
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> int:
        """Make the same changes in all resources that a query finds (or ids name), all or none.

        Gives how many were changed: `set_where(Query().of_type("EV"), {"reporting.interval": "PT15M"})`.
        A `dry_run` checks and counts the same, and stores nothing.
        """
        changed = 0
        rehearsing = self._link.rehearsing() if dry_run else nullcontext()
        with rehearsing, suppress(_Undone), self._link.transaction():
            if isinstance(where, Query):
                wanted = selection.resource_id_selection(where, words_for(self._link.dialect))
                where = [str(row[0]) for row in self._link.rows(*self._sql.bound(wanted))]
            changed = self.bulk_update(((one, changes) for one in where), progress=progress)
            if dry_run:
                raise _Undone
        return changed

    def bulk_delete(self, resource_ids: Iterable[str], *, progress: Progress | None = None) -> int:
        """Delete many resources as `delete_resource` does, in one transaction; give how many.

        NotFound, and none is deleted, when one of them is not there.
        """
        return self._writing.delete_many(resource_ids, progress)

    def validate(self, resource: Resource) -> Findings:
        """Return the errors (`problems`) and warnings (`warnings`) of a resource, storing nothing."""
        return check_resource(resource, self._check_options)

    # History

    def history(self, resource_id: str) -> list[Change]:
        """Return all recorded changes of a resource and of its connections, oldest first.

        Empty when there is none: it was never there, or never changed since before changes were recorded.
        """
        found = self._link.rows(self._sql.resource_by_id, (resource_id,))
        try:
            now = rows.decode_resource(found[0]) if found else None
        except BadRow:
            now = None
        return self._log.history(resource_id, now)

    def changes(self, *, after: int = 0, limit: int = 1_000) -> list[Change]:
        """Return recorded changes of everything, oldest first, starting after the id `after`."""
        return self._log.listed(max(0, min(after, _MOST)), max(0, min(limit, _MOST)))

    def changes_between(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        actor: str | None = None,
        limit: int = 1_000,
    ) -> list[Change]:
        """Return the newest recorded changes in [since, until), oldest first.

        `actor` is a user ("maria"), user and host ("maria@gateway") or process ("maria@gateway:812").
        """
        return self._log.between(since, until, actor, max(0, min(limit, _MOST)))

    def version(self) -> RegistryVersion:
        """Return where the record of changes stands; it differs when something was changed in between."""
        return self._log.version()

    # Connections

    def connection(self, connection_id: int) -> Connection | None:
        """Return a connection by its row id, None if unknown; InvalidRecord when its row is invalid."""
        if not self._sql.may_be_row_id(connection_id):
            return None
        found = self._link.rows(self._sql.connection_by_id, (connection_id,))
        return self._connection_of(found[0]) if found else None

    def users_of_connection(self, connection_id: int) -> list[str]:
        """Return the ids of the resources that are read or controlled through a connection."""
        if not self._sql.may_be_row_id(connection_id):
            return []
        found = self._link.rows(self._sql.users_of_connection, (connection_id, connection_id))
        return [str(row[0]) for row in found]

    def update_connection(
        self, connection_id: int, changes: Mapping[str, Any] | None = None, **fields: Any
    ) -> Connection:
        """Change some fields of a connection, for all resources that use it, and give it as it is then.

        `options` takes a dict of the members that change (None removes one). NotFound when there is no
        such connection, InvalidRecord with every mistake.
        """
        with self._link.transaction() as driver:
            before = self._present_connection(connection_id)
            after = amended_connection(before, {**(changes or {}), **fields})
            if after == before:
                return before
            self._writing.doubts.begin()
            warnings = refuse_connection_mistakes(
                after, self._check_options, before=before, row_id=connection_id
            )
            self._writing.doubts.add(f"connection {connection_id}", warnings)
            self._refuse_wrong_part(connection_id, after)
            values = rows.encode_connection(after, self._sealer)
            driver.execute(self._sql.update_connection, (*values, connection_id))
            driver.execute(self._sql.touch_users_of_connection, (connection_id, connection_id))
            self._log.add([connection_entry(before, after)])
            return self._present_connection(connection_id)

    def delete_connection(self, connection_id: int) -> bool:
        """Delete an unused connection; Conflict names its users. Return False if it is unknown."""
        if not self._sql.may_be_row_id(connection_id):
            return False
        with self._link.transaction() as driver:
            found = self._link.rows(self._sql.connection_by_id, (connection_id,))
            if not found:
                return False
            users = self.users_of_connection(connection_id)
            if users:
                more = f" and {len(users) - _NAMED} more" if len(users) > _NAMED else ""
                raise Conflict(
                    reg.CONNECTION_USED(users=users[:_NAMED], more=more),
                    subject=f"connection {connection_id}",
                )
            try:
                before = told_connection(rows.decode_connection(found[0]))
            except BadRow as error:
                before = {"unreadable": str(error)}
            driver.execute(self._sql.delete_connection, (connection_id,))
            self._log.add([Entry("delete", "connection", str(connection_id), before)])
            return True

    # Reporting

    def set_reporting_status(self, statuses: Iterable[ReportingStatus]) -> None:
        """Store the reporting status of resources; those that are not in the registry are skipped.

        A status without `last_report_at` or `last_report_name` keeps those of the previous report.
        `updated_at` defaults to now.
        """
        listed = list(statuses)
        for one in listed:
            if one.state not in REPORTING_STATES:
                raise InvalidRecord(
                    reg.REPORTING_STATE(value=one.state, known=", ".join(REPORTING_STATES)),
                    subject=f"resource {one.resource_id}",
                )
        if not listed:
            return
        now = self._clock.now()
        values = [
            (
                one.state,
                None if one.last_report_at is None else stamp(one.last_report_at),
                one.last_report_name,
                one.detail,
                stamp(one.updated_at or now),
                one.resource_id,
            )
            for one in listed
        ]
        with self._link.transaction() as driver:
            driver.executemany(self._sql.insert_status, values)
            driver.executemany(self._sql.update_status, values)

    def reporting_status(self, resource_id: str) -> ReportingStatus | None:
        """Return the reporting status of a resource, None before its first report."""
        found = self._link.rows(self._sql.status_of, (resource_id,))
        return _status(found[0]) if found else None

    def reporting_statuses(self) -> list[ReportingStatus]:
        """Return the reporting status of all resources that have been reported, by their ids."""
        return [_status(row) for row in self._link.rows(self._sql.all_status)]

    def _replace(
        self, resource: Resource, others: Mapping[str, Any], expected_version: int | None
    ) -> Resource:
        """Store every field of `resource` over what its id has."""
        subject = f"resource {resource.resourceID}"
        if others:
            raise InvalidRecord(reg.CHANGES_BESIDE_RESOURCE(), subject=subject)
        with self._link.transaction():
            found = self._link.rows(self._sql.resource_by_id, (resource.resourceID,))
            if not found:
                raise missing(resource.resourceID)
            version = found[0][rows.VERSION_AT]
            if expected_version is not None and version != expected_version:
                raise Conflict(
                    reg.VERSION_CONFLICT(stored=version, expected=expected_version), subject=subject
                )
            self._writing.update_row(found[0], resource, resource.ven)
            return self._stored(resource.resourceID)

    def _update(self, resource_id: str, changes: Mapping[str, Any], expected_version: int | None) -> bool:
        found = self._link.rows(self._sql.resource_by_id, (resource_id,))
        if not found:
            raise missing(resource_id)
        stored = self._decoded_row(found[0])
        if expected_version is not None and stored.version != expected_version:
            raise Conflict(
                reg.VERSION_CONFLICT(stored=stored.version, expected=expected_version),
                subject=f"resource {resource_id}",
            )
        updates = dict(changes)
        ids = {name: updates.pop(f"{name}_id", None) for name in ("connection", "control_connection")}
        wanted = amended(stored, updates)
        for name, connection_id in ids.items():
            if connection_id is not None:
                setattr(wanted, name, self._present_connection(connection_id))
        return self._writing.update_row(
            found[0], wanted, wanted.ven, reader_id=ids["connection"], control_id=ids["control_connection"]
        )

    def _stored(self, resource_id: str) -> Resource:
        return self._decoded_row(self._link.rows(self._sql.resource_by_id, (resource_id,))[0])

    def _decoded_row(self, row: Row) -> Resource:
        try:
            return rows.decode_resource(row)
        except BadRow as error:
            raise InvalidRecord(
                text_of(error),
                subject=reg.ROW_OF_RESOURCE(
                    database=self.db_path, row=row[0], resource=row[rows.RESOURCE_AT]
                ),
                hint=reg.BAD_ROW.hint,
            ) from None

    def _connection_of(self, row: Row) -> Connection:
        try:
            return rows.decode_connection(row)
        except BadRow as error:
            raise InvalidRecord(
                text_of(error),
                subject=reg.ROW_OF_CONNECTION(database=self.db_path, row=row[0]),
                hint=reg.BAD_CONNECTION_ROW.hint,
            ) from None

    def _present_connection(self, connection_id: int) -> Connection:
        found = self.connection(connection_id)
        if found is None:
            raise NotFound(reg.CONNECTION_GONE(), subject=f"connection {connection_id}")
        return found

    def _refuse_wrong_part(self, connection_id: int, connection: Connection) -> None:
        """Refuse to make a reader of what controls a resource."""
        if connection.actortype.name == "WRITER":
            return
        for resource_id in self.users_of_connection(connection_id):
            links = self._link.rows(self._sql.links_of, (resource_id,))[0]
            if links[2] == connection_id:
                raise InvalidRecord(
                    reg.MUST_STAY_WRITER(resource=resource_id), subject=f"connection {connection_id}"
                )


def _moment(text: object) -> datetime | None:
    """Return a stored time; None for none, and for one that cannot be read (`ven db check` lists it)."""
    try:
        moment = None if text is None else datetime.fromisoformat(str(text))
    except ValueError:
        return None
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _status(row: Row) -> ReportingStatus:
    resource_id, state, sent_at, name, detail, updated_at = row
    return ReportingStatus(
        resource_id=resource_id,
        state=cast("ReportingState", state),
        last_report_at=_moment(sent_at),
        last_report_name=name,
        detail=detail,
        updated_at=_moment(updated_at),
    )
