"""The rules of the VTN between HTTP and the store: who sees what, what may exist beside what.

Object privacy is the Definition's: a VEN sees its own ven, resources, reports and subscriptions, and
programs and events that are untargeted or carry a target granted to it. The text is split on a
listing without `targets=`: strict gives a VEN only untargeted objects, lenient also the granted ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from venclient.clock import Clock
from venclient.simulation.vtn.auth import READ_SCOPE, WRITE_SCOPE, Client, demand
from venclient.simulation.vtn.problems import Refusal
from venclient.simulation.vtn.query import Query
from venclient.simulation.vtn.schema import read_body
from venclient.simulation.vtn.store import Record, Store
from venclient.simulation.vtn.timeline import event_end

OnChange = Callable[[str, dict[str, Any]], None]
"""Called with CREATE, UPDATE or DELETE and the whole object, after a change through the API."""
OnRecord = Callable[[str, Record], None]

_TARGETED = ("program", "event")
_UNIQUE = {"program": "programName", "ven": "venName", "resource": "resourceName"}


class Service:
    """The verbs of the API on one store."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        strict_targets: bool = False,
        newest_first: bool = False,
        unique_report_names: bool = False,
        on_change: OnChange | None = None,
    ) -> None:
        self.store = store
        self.strict_targets = strict_targets
        self.newest_first = newest_first
        self.unique_report_names = unique_report_names
        self.private = True
        """Whether targets hide objects from VENs that were not granted one (3.1, not 3.0.1)."""
        self.on_record: OnRecord | None = None
        """Called with each change, also one that the VTN's owner makes past the API."""
        self._clock = clock
        self._on_change = on_change

    def search(self, client: Client, kind: str, query: Query) -> list[dict[str, Any]]:
        """Return one page of what the client may see, oldest first unless this VTN lists the newest first."""
        demand(client, "read_all", READ_SCOPE[kind])
        candidates = self._candidates(client, kind, query)
        page = islice(candidates, query.skip, query.skip + query.limit)
        return [self._tell(client, record, query.targets) for record in page]

    def get(self, client: Client, kind: str, object_id: str) -> dict[str, Any]:
        """Return one object; what the client may not see is not found."""
        demand(client, "read_all", READ_SCOPE[kind])
        return self._tell(client, self._require(client, kind, object_id))

    def create(self, client: Client, kind: str, body: bytes) -> dict[str, Any]:
        """Store a new object and give it as answered."""
        demand(client, WRITE_SCOPE[kind])
        content = self._complete(client, kind, read_body(kind, body, is_bl=client.is_bl))
        program_id = self._check(client, kind, content)
        record = self.store.create(kind, content, program_id=program_id)
        self._announce("CREATE", record)
        return self._tell(client, record)

    def update(self, client: Client, kind: str, object_id: str, body: bytes) -> dict[str, Any]:
        """Replace an object's content; what only the other side may set is kept."""
        demand(client, WRITE_SCOPE[kind])
        old = self._require(client, kind, object_id)
        content = self._complete(client, kind, read_body(kind, body, is_bl=client.is_bl), old)
        program_id = self._check(client, kind, content, old)
        record = self.store.update(old, content, program_id=program_id)
        self._announce("UPDATE", record)
        return self._tell(client, record)

    def delete(self, client: Client, kind: str, object_id: str) -> dict[str, Any]:
        """Forget an object, and with a program its events and with a ven its resources."""
        demand(client, WRITE_SCOPE[kind])
        record = self._require(client, kind, object_id)
        answer = self._tell(client, record)
        self.forget(record)
        return answer

    def forget(self, record: Record) -> None:
        """Remove a record and what cannot be without it; reports outlive their event."""
        parts: Iterable[Record] = ()
        if record.kind == "program":
            parts = self.store.find("event", programID=record.id)
        elif record.kind == "ven":
            parts = self.store.find("resource", venID=record.id)
        for part in parts:
            self.forget(part)
        self.store.remove(record)
        self._announce("DELETE", record)

    def require_program(self, program_id: str) -> None:
        """Return when the program exists; raises Refusal (409)."""
        if self.store.get("program", program_id) is None:
            # the YAML's conflict response names a violated foreign key
            raise Refusal(409, f"there is no program {program_id}")

    def require_free_name(self, kind: str, content: dict[str, Any], old: Record | None = None) -> None:
        """Return when no other object has this name where it must be unique; raises Refusal (409)."""
        member = _UNIQUE.get(kind)
        if member is None:
            return
        scope = {"venID": content["venID"]} if kind == "resource" else {}
        for other in self.store.find(kind, **{member: content[member]}, **scope):
            if old is None or other.id != old.id:
                where = " in this ven" if kind == "resource" else ""
                raise Refusal(409, f"another {kind} has this {member}{where}")

    def _candidates(self, client: Client, kind: str, query: Query) -> Iterator[Record]:
        members = dict(query.members)
        sees_all = "read_all" in client.scopes
        if not sees_all and kind not in _TARGETED:
            members["clientID"] = client.id
        grants = None if sees_all else self.store.grants(client.id)
        now = self._clock.now()
        found = self.store.find(kind, **members)
        for record in reversed(list(found)) if self.newest_first else found:
            if not self._listed(record, query, grants):
                continue
            if query.active:
                end = event_end(record.content, record.created)
                if end is not None and end <= now:
                    continue
            yield record

    def _listed(self, record: Record, query: Query, grants: frozenset[str] | None) -> bool:
        if query.objects is not None:
            operations = record.content["objectOperations"]
            return any(not query.objects.isdisjoint(operation["objects"]) for operation in operations)
        wanted = query.targets
        if wanted is not None:
            if grants is not None and self.private and record.kind in _TARGETED:
                wanted &= grants
            return not wanted.isdisjoint(record.targets)
        if grants is None or not self.private or record.kind not in _TARGETED or not record.targets:
            return True
        return not self.strict_targets and not grants.isdisjoint(record.targets)

    def sees(self, client: Client, record: Record) -> bool:
        """Return whether a client may see an object (Definition, "Object Privacy")."""
        if "read_all" in client.scopes:
            return True
        if record.kind not in _TARGETED:
            return record.client_id == client.id
        return (
            not self.private
            or not record.targets
            or not self.store.grants(client.id).isdisjoint(record.targets)
        )

    def _require(self, client: Client, kind: str, object_id: str) -> Record:
        record = self.store.get(kind, object_id)
        if record is not None and not self.sees(client, record):
            # business logic that may write but not read all still changes what it wrote
            record = record if kind in _TARGETED and WRITE_SCOPE[kind] in client.scopes else None
        if record is None:
            raise Refusal(404, f"there is no {kind} {object_id} for this client")
        return record

    def _tell(self, client: Client, record: Record, asked: frozenset[str] | None = None) -> dict[str, Any]:
        if record.kind not in _TARGETED or not self.private or "read_all" in client.scopes:
            return record.wire()
        grants = self.store.grants(client.id)
        return record.wire(grants if asked is None else grants & asked)

    def _complete(
        self, client: Client, kind: str, content: dict[str, Any], old: Record | None = None
    ) -> dict[str, Any]:
        """Add what the VTN knows: the owner's clientID, and targets that business logic granted before."""
        content.pop("objectType", None)
        if kind in ("report", "subscription") or (kind in ("ven", "resource") and not client.is_bl):
            content["clientID"] = client.id if old is None else old.client_id
            if old is not None and kind in ("ven", "resource") and "targets" in old.content:
                content["targets"] = old.content["targets"]
        return content

    def _check(
        self, client: Client, kind: str, content: dict[str, Any], old: Record | None = None
    ) -> str | None:
        """Refuse what points to nothing or takes a taken name; give the program of a report."""
        program_id: str | None = None
        if kind == "event" or (kind == "subscription" and "programID" in content):
            self.require_program(content["programID"])
        elif kind == "report":
            event = self.store.get("event", content["eventID"])
            if old is not None and old.content["eventID"] == content["eventID"]:
                program_id = old.program_id  # a report may be corrected after its event went
            elif event is None or not self.sees(client, event):
                raise Refusal(409, f"there is no event {content['eventID']} for this client")
            else:
                program_id = event.content["programID"]
            if self.unique_report_names:
                self._require_new_report_name(content, old)
        elif kind == "resource":
            ven = self.store.get("ven", content["venID"])
            if ven is None or not self.sees(client, ven):
                raise Refusal(404, f"there is no ven {content['venID']} for this client")
        self.require_free_name(kind, content, old)
        return program_id

    def _require_new_report_name(self, content: dict[str, Any], old: Record | None) -> None:
        # not the standard's rule, but one of VTNs in the field
        name = content.get("reportName")
        for other in self.store.find("report") if name else ():
            if other.content.get("reportName") == name and (old is None or other.id != old.id):
                raise Refusal(409, "another report has this reportName")

    def note(self, operation: str, record: Record) -> None:
        """Tell those who are notified of a change."""
        if self.on_record is not None:
            self.on_record(operation, record)

    def _announce(self, operation: str, record: Record) -> None:
        self.note(operation, record)
        if self._on_change is not None:
            self._on_change(operation, record.wire())
