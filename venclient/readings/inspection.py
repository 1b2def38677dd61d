"""What `ven readings check` finds in a readings file; it only reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from venclient.errors import StoreError
from venclient.messages import readings as rdg
from venclient.messages import with_code, within
from venclient.readings.history import Segment
from venclient.readings.layout import SIDE_PATTERN, one_value
from venclient.readings.segments import unpack
from venclient.readings.tables import Tables

WEAR_DAYS = 7


@dataclass(frozen=True)
class Wear:
    """Bytes written to the disk for the readings of one day (in UTC)."""

    day: str
    bytes: int
    readings: int


@dataclass(frozen=True)
class Inspection:
    """Sizes in bytes, counts, and what is wrong; `fresh` readings are not compressed yet.

    `set_aside` names damaged files, `aside` counts quarantined readings.
    """

    path: str
    layout: int
    bytes: int
    unused_bytes: int
    series: int
    fresh: int
    compressed: int
    segments: int
    segment_bytes: int
    quarters: int
    first: datetime | None
    last: datetime | None
    wear: list[Wear]
    set_aside: list[str]
    aside: int
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return it as lines for people."""
        shown: list[str] = [
            rdg.FILE_SIZE(path=self.path, size=self.bytes, unused=self.unused_bytes, layout=self.layout),
            rdg.FILE_CONTENT(
                series=self.series,
                fresh=self.fresh,
                compressed=self.compressed,
                segments=self.segments,
                each=self._each(),
                quarters=self.quarters,
            ),
        ]
        if self.first is not None and self.last is not None:
            first, last = f"{self.first:%Y-%m-%d %H:%M:%SZ}", f"{self.last:%Y-%m-%d %H:%M:%SZ}"
            shown.append(rdg.FILE_SPAN(first=first, last=last))
        shown += [
            rdg.FILE_WEAR(
                day=one.day,
                size=one.bytes,
                readings=one.readings,
                each=rdg.EACH(size=f"{one.bytes / one.readings:.0f}") if one.readings else "",
            )
            for one in self.wear
        ]
        shown += [rdg.FILE_DAMAGED(name=name) for name in self.set_aside]
        if self.aside:
            shown.append(rdg.FILE_ASIDE(count=self.aside))
        shown += [rdg.FILE_PROBLEM(problem=with_code(problem)) for problem in self.problems]
        return shown if self.problems else [*shown, rdg.FILE_GOOD()]

    def _each(self) -> str:
        return rdg.EACH(size=f"{self.segment_bytes / self.compressed:.2f}") if self.compressed else ""


def inspect(tables: Tables) -> Inspection:
    """Return what is in the file and what is wrong with it; reads all of it."""
    problems = tables.check()
    size = tables.history.size()
    span = tables.span()
    if not problems:
        problems += _segment_problems(tables)
    return Inspection(
        path=str(tables.path),
        layout=one_value(tables.connection, "PRAGMA user_version"),
        bytes=tables.size(),
        unused_bytes=one_value(tables.connection, "PRAGMA freelist_count")
        * one_value(tables.connection, "PRAGMA page_size"),
        series=len(tables.numbers()),
        fresh=one_value(tables.connection, "SELECT count(*) FROM reading"),
        compressed=size.readings,
        segments=size.segments,
        segment_bytes=size.bytes,
        quarters=size.quarters,
        first=span[0] if span else None,
        last=span[1] if span else None,
        wear=[
            Wear(f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day):%Y-%m-%d}", written, readings)
            for day, written, readings in tables.history.wear(WEAR_DAYS)
        ],
        set_aside=sorted(
            path.name
            for path in tables.path.parent.glob(f"{tables.path.name}{SIDE_PATTERN}")
            if not path.name.endswith(("-wal", "-shm"))
        ),
        aside=one_value(tables.connection, "SELECT coalesce(sum(n), 0) FROM aside"),
        problems=problems,
    )


def _segment_problems(tables: Tables) -> list[str]:
    problems = []
    for *head, data in tables.connection.execute("SELECT k, last_ms, n, data FROM segment"):
        segment = Segment._make(head)
        try:
            found = unpack(data) if isinstance(data, bytes) else []
        except StoreError as error:
            problems.append(within(error.text, f"segment {segment.key}: "))
            continue
        if len(found) != segment.readings or found[0][0] != segment.first_ms:
            problems.append(rdg.SEGMENT_CONTENT(key=segment.key))
    return problems
