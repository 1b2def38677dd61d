"""What the VTN remembers: records of six kinds, found by id or by any indexed member.

In memory; with a file, every change is also a JSON line there, replayed and compacted at the next
start: 5,000 registrations cost 5,000 lines and not 5,000 copies of everything.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import msgspec

KINDS = ("program", "event", "report", "subscription", "ven", "resource")

# members that a listing filters by, or that must be unique
_INDEXED: Mapping[str, tuple[str, ...]] = {
    "program": ("programName",),
    "event": ("programID",),
    "report": ("eventID", "clientName", "clientID", "programID"),
    "subscription": ("programID", "clientName", "clientID"),
    "ven": ("venName", "clientID"),
    "resource": ("resourceName", "venID", "clientID"),
}


def wire_time(moment: datetime) -> str:
    """Return a UTC time as RFC 3339 text with milliseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class Record(msgspec.Struct, kw_only=True):
    """One stored object: the client's content with wire names, and what the VTN knows about it."""

    kind: str
    id: str
    created: datetime
    modified: datetime
    content: dict[str, Any]
    program_id: str | None = None
    """A report's program, by its event: reports are filtered by it, though they do not carry it."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the object's targets; none for null, absent and empty alike."""
        return tuple(self.content.get("targets") or ())

    @property
    def client_id(self) -> str | None:
        """Return the clientID of the owner, when the kind has one."""
        return self.content.get("clientID")

    def key(self, member: str) -> str | None:
        """Return the value that the record is indexed by under this member's name."""
        if member == "programID" and self.kind == "report":
            return self.program_id
        return self.content.get(member)

    def wire(self, shown_targets: Iterable[str] | None = None) -> dict[str, Any]:
        """Return the object as answered; with `shown_targets`, only those of its targets are in it."""
        answer = {
            "id": self.id,
            "createdDateTime": wire_time(self.created),
            "modificationDateTime": wire_time(self.modified),
            **self.content,
            "objectType": self.kind.upper(),
        }
        if shown_targets is not None and answer.get("targets"):
            shown = frozenset(shown_targets)
            answer["targets"] = [target for target in self.targets if target in shown]
        return answer


class Store:
    """All records; every change goes through `put` and `remove`, which keep the indexes and the file."""

    def __init__(self, now: Callable[[], datetime], path: Path | None = None) -> None:
        self._now = now
        self._records: dict[str, dict[str, Record]] = {kind: {} for kind in KINDS}
        self._index: dict[tuple[str, str, str], dict[str, Record]] = {}
        self._grants: dict[str, Counter[str]] = {}
        self._journal: BinaryIO | None = None
        if path is not None:
            self._open(path)

    def get(self, kind: str, object_id: str) -> Record | None:
        """Return the record with that id, or None."""
        return self._records[kind].get(object_id)

    def find(self, kind: str, **members: str) -> Iterable[Record]:
        """Return the records whose indexed members have these values, oldest first."""
        buckets = [self._index.get((kind, member, value), {}) for member, value in members.items()]
        if not buckets:
            return list(self._records[kind].values())
        first, *others = sorted(buckets, key=len)
        return [record for id_, record in first.items() if all(id_ in other for other in others)]

    def grants(self, client_id: str) -> frozenset[str]:
        """Return the targets that the client's ven and resource objects carry."""
        return frozenset(self._grants.get(client_id, ()))

    def create(
        self, kind: str, content: dict[str, Any], *, object_id: str = "", program_id: str | None = None
    ) -> Record:
        """Store a new object and give its record."""
        now = self._now()
        record = Record(
            kind=kind,
            id=object_id or str(uuid4()),
            created=now,
            modified=now,
            content=content,
            program_id=program_id,
        )
        self.put(record)
        return record

    def update(self, old: Record, content: dict[str, Any], *, program_id: str | None = None) -> Record:
        """Replace an object's content; its modification time always grows, by a millisecond at least."""
        modified = max(self._now(), old.modified + timedelta(milliseconds=1))
        record = Record(
            kind=old.kind,
            id=old.id,
            created=old.created,
            modified=modified,
            content=content,
            program_id=program_id,
        )
        self.put(record)
        return record

    def put(self, record: Record) -> None:
        """Store a record under its id, in place of one that is there."""
        old = self._records[record.kind].get(record.id)
        if old is not None:
            self._unindex(old)
        self._records[record.kind][record.id] = record
        for member in _INDEXED[record.kind]:
            value = record.key(member)
            if value is not None:
                self._index.setdefault((record.kind, member, value), {})[record.id] = record
        if record.kind in ("ven", "resource") and record.client_id:
            self._grants.setdefault(record.client_id, Counter()).update(record.targets)
        self._note(record)

    def remove(self, record: Record) -> None:
        """Forget a record."""
        del self._records[record.kind][record.id]
        self._unindex(record)
        self._note({"removed": record.kind, "id": record.id})

    def close(self) -> None:
        """Close the file; what is in memory stays readable."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _unindex(self, record: Record) -> None:
        for member in _INDEXED[record.kind]:
            value = record.key(member)
            if value is None:
                continue
            bucket = self._index[record.kind, member, value]
            del bucket[record.id]
            if not bucket:
                del self._index[record.kind, member, value]
        if record.kind in ("ven", "resource") and record.client_id:
            granted = self._grants[record.client_id]
            granted.subtract(record.targets)
            self._grants[record.client_id] = +granted  # drops what is down to nothing

    def _note(self, line: object) -> None:
        if self._journal is not None:
            self._journal.write(msgspec.json.encode(line) + b"\n")
            self._journal.flush()

    def _open(self, path: Path) -> None:
        if path.exists():
            for line in path.read_bytes().splitlines():
                self._replay(line)
        fresh = path.with_name(path.name + ".new")
        with fresh.open("wb") as file:
            for kind in KINDS:
                for record in self._records[kind].values():
                    file.write(msgspec.json.encode(record) + b"\n")
        os.replace(fresh, path)  # noqa: PTH105  (replaces in one step, also over an existing file)
        self._journal = path.open("ab")

    def _replay(self, line: bytes) -> None:
        try:
            note = msgspec.json.decode(line)
            if "removed" in note:
                gone = self.get(note["removed"], note["id"])
                if gone is not None:
                    self.remove(gone)
            else:
                self.put(msgspec.convert(note, Record))
        except (msgspec.MsgspecError, KeyError, TypeError):
            return  # the last line of a VTN that was killed while writing
