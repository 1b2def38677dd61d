"""What was sent is kept: every attempt, its body and its answer, for as long as there is room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from tests.reporting.bench import ONE_LOOK, Bench, lost
from tests.reporting.samples import EACH, at, event, measured
from venclient.errors import VtnProblem, VtnUnreachable
from venclient.model.reading import Measure
from venclient.openadr.objects import Report, ValuesMap
from venclient.reporting import sent as sent_module
from venclient.reporting.bodies import digest_of
from venclient.reporting.sent import Attempt, Room, SentView, held_by_vtn, report_of
from venclient.reporting.state_rescue import open_state


def attempts(bench: Bench, number: int = 0) -> list[Attempt]:
    """Return the stored attempts of a report of E1, by its number."""
    key = bench.outbox.of_event("E1")[number].key
    return SentView(bench.outbox.view.db).attempts(key)


async def test_a_sent_report_is_kept_with_its_answer(bench: Bench) -> None:
    """Body, time, status and the VTN's id are those of the request."""
    await bench.run_to(1.5)
    [one] = attempts(bench)

    assert (one.verb, one.taken, one.status, one.report_id, one.number) == ("POST", True, 201, "R0", 1)
    assert one.sent is not None
    assert replace(one.sent.report, id="R0") == bench.vtn.stored[0]
    assert one.sent.obligation == bench.outbox.of_event("E1")[0].obligation
    assert one.sent.program == "P1"
    assert [each.resource_name for each in one.resources] == ["hotel"]
    assert at(1) <= one.at <= at(1.5)


async def test_every_attempt_is_kept_and_the_body_once(bench: Bench) -> None:
    """Failures have their reason; the same body is stored one time only."""
    down = VtnUnreachable("connection refused", subject="POST /reports")
    bench.vtn.faults = [("before", VtnProblem("busy", status=503)), ("before", down)]
    await bench.run_to(1.5, step_s=60)
    found = attempts(bench)

    assert [(one.number, one.status, one.taken) for one in found] == [
        (1, 503, False),
        (2, None, False),
        (3, 201, True),
    ]
    assert "connection refused" in found[1].answer
    assert {digest_of(one.sent.report) for one in found if one.sent} == {digest_of_first(bench)}
    assert bench.outbox.db.execute("SELECT count(body) FROM sent").get == 1


def digest_of_first(bench: Bench) -> bytes:
    """Return the digest of the first report at the VTN, as it was sent."""
    return digest_of(replace(bench.vtn.stored[0], id=None))


async def test_a_refused_report_is_kept_with_the_refusal(bench: Bench) -> None:
    """What the VTN would not have can be shown to its operator."""
    bench.vtn.faults = [("before", VtnProblem("values must be floats", status=422))]
    await bench.run_to(1.5)
    [one] = attempts(bench)

    assert (one.taken, one.status) == (False, 422)
    assert "values must be floats" in one.answer
    assert report_of(one) is not None


async def test_a_report_that_arrived_with_a_lost_answer_is_kept_as_the_vtn_has_it(bench: Bench) -> None:
    """The attempt of unknown fate stays, and the copy that was found counts as what the VTN holds."""
    bench.vtn.faults = [lost(after=True)]
    await bench.run_to(1.9, step_s=60)
    found = attempts(bench)

    assert [(one.verb, one.taken) for one in found] == [("POST", False), ("GET", True)]
    assert report_of(held_by_vtn(found)) == bench.vtn.stored[0]


async def test_a_correction_is_kept_beside_what_it_corrects(bench: Bench) -> None:
    """Both bodies are there, and the newest that the VTN took is what it holds."""
    kw = 2.0

    async def measure(
        ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[tuple[str, datetime, datetime], Measure]:
        return {(id_, a, b): measured(id_, a, b, kw) for id_ in ids for a, b in grid}

    bench.measure = measure
    await bench.run_to(1.1)
    kw = 5.0
    await bench.reporter.late({"r1": (at(0.5), at(0.6))})
    await bench.run_to(1.5)
    found = attempts(bench)

    assert [(one.verb, one.status) for one in found] == [("POST", 201), ("PUT", 200)]
    values = [one.sent.report.resources[0].intervals[0].payloads[0].values for one in found if one.sent]
    assert values == [[2.0], [5.0]]
    held = report_of(held_by_vtn(found))
    assert held is not None
    assert replace(held, id="R0") == bench.vtn.stored[0]


async def test_only_the_newest_body_that_the_vtn_took_is_held(bench: Bench) -> None:
    """One per report, whatever was attempted; by event and by the time that is reported."""
    bench.list_events(event(4, EACH), event(4, EACH, id_="E2"))
    bench.vtn.faults = [None, ("before", VtnProblem("busy", status=503))]
    await bench.run_to(3.5, step_s=60)
    view = SentView(bench.outbox.view.db)

    assert len(list(view.held())) == 6
    assert {one.event_id for one in view.held(event_id="E2")} == {"E2"}
    assert [one.start for one in view.held(event_id="E1", since=at(1), until=at(2))] == [at(1)]


async def test_many_reports_are_read_a_few_at_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, each comes once, in the order in which they were sent."""
    monkeypatch.setattr(sent_module, "AT_ONCE", 2)
    bench.list_events(event(9, EACH))
    await bench.run_to(9.1)

    starts = [one.start for one in SentView(bench.outbox.view.db).held()]
    assert starts == [at(n) for n in range(9)]


async def test_what_was_sent_outlives_its_row(bench: Bench) -> None:
    """Rows leave the list after `keep_days`; body and resources can be read until the ledger forgets."""
    await bench.run_to(4.1)
    key = bench.outbox.of_event("E1")[0].key
    bench.outbox.prune(at(50))
    assert bench.outbox.get(key) is None
    [one] = SentView(bench.outbox.view.db).attempts(key)
    assert report_of(one) is not None
    assert [each.resource_id for each in one.resources] == ["r1"]

    bench.outbox.prune_sent(at(50))
    bench.outbox.prune(at(50))
    assert SentView(bench.outbox.view.db).attempts(key) == []


async def test_the_oldest_bodies_leave_when_there_are_too_many_bytes(bench: Bench) -> None:
    """Half of the bytes are allowed: the newer half stays."""
    bench.list_events(event(8, EACH))
    await bench.run_to(8.1)
    total = bench.outbox.db.execute("SELECT max(total) FROM sent").get
    bench.outbox.sent_reports.room = Room(most_bytes=total // 2)
    bench.outbox.prune_sent(at(-99))

    starts = [one.start for one in SentView(bench.outbox.view.db).held()]
    assert starts == [at(n) for n in (4, 5, 6, 7)]


async def test_a_day_has_room_for_some_bodies_only(bench: Bench) -> None:
    """Beyond it attempts have no bodies; that is said once a day, and the next day has room."""
    bench.list_events(event(50, EACH))
    bench.reporter.options = type(bench.options)(client_name="ven-1", sent_room=Room(day_bytes=700))
    result = await bench.run_to(49.1)
    rows = bench.outbox.db.execute("SELECT at / 86400000000, count(*), count(body) FROM sent GROUP BY 1")
    by_day = {number: (count, bodies) for number, count, bodies in rows}

    first = min(by_day)
    assert by_day[first][0] == 23
    assert 0 < by_day[first][1] < 5
    assert by_day[first + 1][1] == by_day[first][1]
    assert sum("VEN-REP-463" in note for note in result.notes) == 2


async def test_a_full_disk_stops_no_report(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be stored waits in memory, is reported once, and is stored when there is room again."""
    full = True
    monkeypatch.setattr(sent_module, "_has_room", lambda _: not full)
    result = await bench.run_to(2.5)
    assert (result.sent, attempts(bench)) == (2, [])
    assert sum("VEN-REP-460" in note for note in result.notes) == 1

    full = False
    result = await bench.run_to(3.5)
    assert len(list(SentView(bench.outbox.view.db).held())) == 3
    assert sum("VEN-REP-462" in note for note in result.notes) <= 1


async def test_memory_holds_only_so_much(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the disk full for long the oldest attempts are dropped, and their number is reported."""
    full = True
    monkeypatch.setattr(sent_module, "_has_room", lambda _: not full)
    monkeypatch.setattr(sent_module, "MOST_WAITING", 1_000)
    bench.list_events(event(20, EACH))
    await bench.run_to(18.5)
    assert bench.outbox.sent_reports.waiting < 5
    full = False
    result = await bench.run_to(20.5)

    kept = len(list(SentView(bench.outbox.view.db).held()))
    assert kept < 10
    [said] = [note for note in result.notes if "VEN-REP-462" in note]
    assert f"{20 - kept} attempts" in said


async def test_a_damaged_table_of_bodies_costs_no_report(bench: Bench) -> None:
    """Reports go on while it cannot be written, and the next start keeps all of the ledger."""
    await bench.run_to(1.5)
    ruin(bench.path)
    result = await bench.run_to(2.5)
    assert result.sent == 1
    rows = bench.outbox.of_event("E1")
    assert [row.state for row in rows] == ["sent", "sent"]
    bench.close()
    book, outbox, said = open_state(bench.path, bench.clock.now())

    assert ["VEN-REP-464" in one for one in said] == [True]
    assert outbox.of_event("E1") == rows
    assert outbox.planned() != {}
    assert list(book.events) == ["E1"]
    book.close()
    outbox.close()
    bench.restart()
    await bench.run_to(3.5)
    assert len(bench.vtn.stored) == 3
    assert bench.vtn.listings == 2 * ONE_LOOK


def ruin(path: Path) -> None:
    """Overwrite the root pages of what was sent, as a worn card does."""
    with apsw.Connection(str(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = db.execute("PRAGMA page_size").get
        pages = [page for (page,) in db.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'sent'")]
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * size)
            file.write(b"\xa5" * size)


@pytest.mark.parametrize("length", [400, 2_000])
async def test_answers_are_bounded_and_printable(bench: Bench, length: int) -> None:
    """A VTN's long problem text takes no more room than a line, and no terminal obeys it."""
    bench.vtn.faults = [("before", VtnProblem("\x1b[2J" + "x" * length, status=400))]
    await bench.run_to(1.5)
    [one] = attempts(bench)

    assert len(one.answer) <= sent_module.LONGEST_ANSWER
    assert "\x1b" not in one.answer


async def test_attempts_of_years_ago_are_deleted_by_the_hourly_pass(bench: Bench) -> None:
    """The age is that of the setting, whatever the list of reports keeps."""
    bench.reporter.options = type(bench.options)(client_name="ven-1", sent_room=Room(days=0.1))
    await bench.run_to(1.5)
    assert len(list(SentView(bench.outbox.view.db).held())) == 1
    await bench.clock.advance(timedelta(hours=3).total_seconds(), settle=0)
    await bench.reporter.step()

    held = list(SentView(bench.outbox.view.db).held())
    assert min(one.at for one in held) > bench.clock.now() - timedelta(hours=2.5)


async def test_a_copy_of_the_vtn_with_other_values_is_what_counts(bench: Bench) -> None:
    """A VTN that changes a value when it stores it: both are kept, and the VTN's is what it holds."""
    create = bench.vtn.create_report

    async def rounding(report: Report) -> Report:
        kept = await create(report)
        [part] = kept.resources
        payloads = [ValuesMap(type="USAGE", values=[2.5])]
        interval = replace(part.intervals[0], payloads=payloads)
        changed = replace(kept, resources=[replace(part, intervals=[interval])])
        bench.vtn.stored[-1] = changed
        return changed

    bench.vtn.create_report = rounding  # type: ignore[method-assign]
    await bench.run_to(1.5)
    first, second = attempts(bench)

    assert [(one.verb, one.taken) for one in (first, second)] == [("POST", True), ("GET", True)]
    assert report_of(held_by_vtn([first, second])) == bench.vtn.stored[0]


@pytest.mark.parametrize("resources", [[], None])
async def test_a_vtn_that_returns_no_values_has_what_was_sent(
    bench: Bench, resources: list[object] | None
) -> None:
    """An answer without resources says nothing about them; its time is kept."""
    create = bench.vtn.create_report

    async def terse(report: Report) -> Report:
        kept = await create(report)
        returned = kept.resources if resources is None else []
        return replace(kept, resources=returned, created_date_time="2026-01-01T01:00:02Z")

    bench.vtn.create_report = terse  # type: ignore[method-assign]
    await bench.run_to(1.5)
    [one] = attempts(bench)

    assert (one.verb, one.answer) == ("POST", "2026-01-01T01:00:02Z")
