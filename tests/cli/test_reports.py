"""`ven reports`, as it is typed, on the files of a gateway that ran."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.reporting.samples import EACH, T0, at, event, measures_of, reportables
from venclient.cli import main
from venclient.clock import ManualClock
from venclient.model.reading import Reading
from venclient.readings.measures import measures
from venclient.readings.sqlite import SqliteReadings
from venclient.reporting.bodies import digest_of
from venclient.reporting.builder import build_report
from venclient.reporting.delivery import ReportOptions
from venclient.reporting.obligations import Obligation, owed
from venclient.reporting.outbox import Outbox
from venclient.reporting.sent import Attempt
from venclient.reporting.sent_codec import Sent

ALL = owed(event(4, EACH), anchor=T0, first_seen=T0, after=None, until=at(99))

Ven = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ven:
    """Return `ven` in a folder whose gateway has four reports: sent, refused, lost and pending."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    Path("ven.toml").write_text('[ven]\nname = "ven-1"\n[vtn]\nurl = "https://vtn.example/openadr3/3.1.1"\n')
    box = Outbox(Path("var/state.db"))
    box.owe(ALL, at(0))
    resources = reportables("hotel", "school")
    for one in ALL[:2]:
        box.sending(one.key, at(3), resources=resources)
    box.sent(ALL[0].key, "R-0", at(3), gaps={1: [0]})
    box.refused(ALL[1].key, "400: bad units", at(3))
    box.give_up(at(3.5), at(4), "it could not be delivered in 30 days")
    box.close()

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ven", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code if isinstance(ended.value.code, int) else 0, captured.out, captured.err

    return call


def test_list_tells_reports_and_how_many_of_each_state(ven: Ven) -> None:
    """Each report has a line with state, window and why it is not there; the last line counts."""
    status, out, _ = ven("reports", "list")

    assert status == 0
    assert all(one.key in out for one in ALL)
    assert "400: bad units" in out
    assert out.splitlines()[-1] == "4 shown; total: 1 owed, 1 sent, 1 refused, 1 lost"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--state", "refused"), [1]),
        (("--state", "sent", "--state", "owed"), [0, 3]),
        (("--event", "E1", "--limit", "1"), [3]),
        (("--event", "other"), []),
        (("--since", "2026-01-01T02:30Z"), [2, 3]),
        (("--until", "2026-01-01T01:00:00"), [0]),
        (("--resource", "school", "--state", "sent"), [0]),
        (("--resource", "r1", "--state", "refused"), [1]),
    ],
)
def test_list_filters(ven: Ven, words: tuple[str, ...], expected: list[int]) -> None:
    """State, event, time, and resource by id or by name."""
    status, out, _ = ven("reports", "list", "--json", *words)

    assert status == 0
    assert [one["name"] for one in json.loads(out)] == [ALL[n].key for n in expected]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "--state", "gone"), "VEN-CLP-012"),
        (("list", "--since", "yesterday"), "VEN-CLP-013"),
        (("list", "--resource", "nobody"), "VEN-CLP-011"),
        (("list", "--vtn", "second"), "VEN-CLP-008"),
        (("show", "nobody"), "VEN-CLP-010"),
        (("retry",), "VEN-CLP-001"),
    ],
)
def test_slips_are_told_with_what_to_do(ven: Ven, words: tuple[str, ...], said: str) -> None:
    """A wrong word ends with status 2 and the way out."""
    status, _, err = ven("reports", *words)

    assert status == 2
    assert said in err


async def stored() -> bytes:
    """Store readings of both resources; give the digest of the first report that they make."""
    store = SqliteReadings(Path("var/readings.db"), ManualClock(at(5)))
    store.add(
        [
            Reading(id_, "power_kw", kw, at(0) + timedelta(minutes=n))
            for id_, kw in (("r1", 2.0), ("r2", 3.0))
            for n in range(-5, 300)
        ]
    )
    await store.flush()
    grid = [(span.start, span.end) for span in ALL[0].spans]
    found = await measures(store, ["r1", "r2"], grid)
    await store.close()
    built = build_report(ALL[0], reportables("hotel", "school"), found, ReportOptions(client_name="ven-1"))
    assert built.report is not None
    return digest_of(built.report)


def test_show_says_what_happened_and_what_would_be_sent(ven: Ven) -> None:
    """Without readings the body cannot be made, and that is said; the story is there all the same."""
    status, out, _ = ven("reports", "show", "R-0")

    assert status == 0
    assert ALL[0].key in out
    assert "sent, as R-0" in out
    assert "the VTN has stored it, as R-0" in out
    assert "hotel (r1), school (r2)" in out
    assert "not available here" in out


def test_show_compares_the_body_with_the_one_that_was_sent(ven: Ven) -> None:
    """The body of what is known now is that of the gateway; it is shown whether it was sent so."""
    digest = asyncio.run(stored())
    box = Outbox(Path("var/state.db"))
    box.sent(ALL[0].key, "R-0", at(3), digest=digest)
    box.close()
    _, out, _ = ven("reports", "show", ALL[0].key, "--json")
    data = json.loads(out)
    assert data["as_sent"] is True
    assert data["body"]["reportName"] == ALL[0].key
    values = [part["intervals"][0]["payloads"][0]["values"] for part in data["body"]["resources"]]
    assert values == [[2.0], [3.0]]
    assert [one["what"] for one in data["story"]][:2] == ["due", "to be sent"]

    _, out, _ = ven("reports", "show", ALL[1].key)
    assert "body, as it would be sent now" in out


def test_retry_owes_again_what_was_refused_or_lost(ven: Ven) -> None:
    """By name or by state; what is in another state is left and named, with status 1."""
    assert ven("reports", "retry", ALL[1].key)[:2] == (0, "1 report requeued\n")
    assert ven("reports", "retry", "--state", "lost")[:2] == (0, "1 report requeued\n")
    status, out, err = ven("reports", "retry", "R-0")
    assert (status, out) == (1, "no reports requeued\n")
    assert "VEN-CLP-002" in err

    box = Outbox(Path("var/state.db"))
    assert {state: n for state, n in box.counts().items() if n} == {"owed": 3, "sent": 1}
    soon = box.next_attempt()
    box.close()
    assert soon is not None
    assert soon <= datetime.now(UTC)


def test_coverage_and_its_export(ven: Ven) -> None:
    """Days of resources as a table, JSON and CSV, by resource where asked for."""
    status, out, _ = ven("reports", "coverage", "--since", "2026-01-01")
    assert status == 0
    assert out.splitlines()[-1].startswith("6 intervals due, 1 sent")

    _, out, _ = ven("reports", "export")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(one["resource_id"], one["owed"], one["sent"], one["missing"]) for one in rows] == [
        ("*", "2", "0", "1"),
        ("r1", "2", "1", "1"),
        ("r2", "2", "0", "2"),
    ]
    _, out, _ = ven("reports", "export", "--resource", "school", "--output", "days.json")
    assert out == "days.json: 1 line written, one per resource and day\n"
    assert json.loads(Path("days.json").read_text())[0]["resource_id"] == "r2"


def test_reports_are_read_while_the_gateway_writes(ven: Ven) -> None:
    """The list comes from the file beside its writer, in the middle of a commit even."""
    box = Outbox(Path("var/state.db"))
    with box.change():
        box.superseded(ALL[3].key, "gone", at(5))
        _, out, _ = ven("reports", "list", "--state", "owed", "--json")
        assert len(json.loads(out)) == 1
    box.close()


def test_without_a_state_file_it_is_said_what_makes_one(ven: Ven) -> None:
    """A gateway that never ran has nothing to list."""
    for file in Path("var").iterdir():
        file.unlink()
    status, _, err = ven("reports", "list")

    assert status == 1
    assert "VEN-REP-068" in err


def test_a_narrow_terminal_shows_ends_of_names_which_do_to_name_them(
    ven: Ven, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 80 columns each report has one line; the end that stands there names it for `show`."""
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = ven("reports", "list")
    lines = [line for line in out.splitlines() if ALL[0].key[-20:] in line]
    status, shown, _ = ven("reports", "show", f"\u2026{ALL[0].key[-20:]}", "--no-body")
    other, _, said = ven("reports", "show", "Z-none")

    assert len(lines) == 1
    assert max(map(len, out.splitlines())) <= 80
    assert (status, ALL[0].key in shown) == (0, True)
    assert (other, "VEN-CLP-010" in said) == (2, True)


# ---- what was sent


@pytest.fixture
def settled(ven: Ven) -> Ven:
    """Return `ven` where the first report was refused once, sent with too little, and can be built again."""
    asyncio.run(stored())
    box = Outbox(Path("var/state.db"))
    for kw, problem in ((2.5, "values must be floats"), (2.5, None)):
        attempt(box, ALL[0], kw, problem)
    attempt(box, ALL[2], 2.0, None)
    box.apply([])
    box.close()
    return ven


def attempt(box: Outbox, one: Obligation, kw: float, problem: str | None) -> None:
    """Let a report on two resources be sent, the first with the given value."""
    resources = reportables("=hotel", "school")
    found = measures_of(one, {"r1": kw, "r2": 3.0})
    built = build_report(one, resources, found, ReportOptions(client_name="ven-1"))
    assert built.report is not None
    box.sent_reports.add(
        Attempt(
            key=one.key,
            at=one.due + timedelta(seconds=3),
            verb="POST",
            taken=problem is None,
            status=201 if problem is None else 400,
            answer=problem or "",
            event_id=one.event_id,
            start=one.start,
            until=one.end,
            report_id="R-7",
            resources=resources,
            sent=Sent(report=built.report, obligation=one, program="P1"),
        )
    )


def test_show_prints_every_attempt_and_the_difference(settled: Ven) -> None:
    """Values as sent, as they would be now, and now minus sent, for each interval."""
    status, out, _ = settled("reports", "show", ALL[0].key, "--json")
    shown = json.loads(out)
    assert status == 0
    assert [(one["attempt"], one["status"], one["accepted"]) for one in shown["attempts"]] == [
        (1, 400, False),
        (2, 201, True),
    ]
    assert shown["attempts"][0]["answer"] == "values must be floats"
    assert shown["attempts"][1]["body"]["reportName"] == ALL[0].key
    assert shown["as_sent"] is False
    assert [(one["resource"], one["sent"], one["now"], one["difference"]) for one in shown["values"]] == [
        ("=hotel", 2.5, 2.0, -0.5),
        ("school", 3.0, 3.0, 0.0),
    ]
    assert shown["values"][0]["start"] == "2026-01-01T00:00:00Z"

    _, out, _ = settled("reports", "show", ALL[0].key, "--no-body")
    assert "1  POST 400  values must be floats" in out
    assert "2  POST 201  accepted, as R-7" in out
    assert "1 of 2 values differ" in out
    assert any(line.split()[-4:-1] == ["2.5", "2.0", "-0.5"] for line in out.splitlines())


def test_show_knows_a_report_that_has_left_the_list(settled: Ven) -> None:
    """By its name, the end of it and its id at the VTN; with the values and their difference."""
    box = Outbox(Path("var/state.db"))
    box.prune(at(1000))
    box.db.execute("DELETE FROM outbox")
    box.close()
    for named in (ALL[2].key, ALL[2].key[-12:]):
        status, out, _ = settled("reports", "show", named, "--json")
        assert status == 0
        assert json.loads(out)["name"] == ALL[2].key
        assert [one["difference"] for one in json.loads(out)["values"]] == [0.0, 0.0]
    _, out, _ = settled("reports", "show", ALL[2].key)
    assert "VEN-CLP" not in out
    assert "0 of 2 values differ" in out


def test_readings_that_are_deleted_are_not_a_difference(settled: Ven) -> None:
    """What cannot be built again is said, and nothing is compared with nothing."""
    Path("var/readings.db").unlink()

    async def later() -> None:
        store = SqliteReadings(Path("var/readings.db"), ManualClock(at(50)))
        store.add([Reading("r1", "power_kw", 1.0, at(40) + timedelta(minutes=n)) for n in range(9)])
        await store.close()

    asyncio.run(later())
    _, out, _ = settled("reports", "show", ALL[0].key, "--json")
    shown = json.loads(out)

    assert (shown["body"], [one["now"] for one in shown["values"]]) == (None, [None, None])
    assert "VEN-CLP-268" in shown["omissions"][0]


def rows_of(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV text."""
    return list(csv.DictReader(io.StringIO(text)))


def test_export_of_values_has_a_row_for_each_value_that_the_vtn_holds(settled: Ven) -> None:
    """Sent, now, their difference, quality, method, report and time; no cell is a formula."""
    status, out, _ = settled("reports", "export", "--values")
    rows = rows_of(out)

    assert status == 0
    assert [(one["resource"], one["sent"], one["now"], one["difference"]) for one in rows] == [
        ("'=hotel", "2.5", "2.0", "-0.5"),
        ("school", "3.0", "3.0", "0.0"),
        ("'=hotel", "2.0", "2.0", "0.0"),
        ("school", "3.0", "3.0", "0.0"),
    ]
    assert rows[0] | {"sent": ""} == {
        "vtn": "",
        "program": "P1",
        "event": "E1",
        "report": ALL[0].key,
        "resource": "'=hotel",
        "resource_id": "r1",
        "start": "2026-01-01T00:00:00Z",
        "end": "2026-01-01T01:00:00Z",
        "interval": "0",
        "payload_type": "USAGE",
        "units": "KWH",
        "method": "DIRECT_READ",
        "sent": "",
        "now": "2.0",
        "difference": "-0.5",
        "quality": "OK",
        "quality_now": "OK",
        "sent_at": "2026-01-01T01:00:03Z",
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--event", "other"), 0),
        (("--program", "P1"), 4),
        (("--program", "other"), 0),
        (("--since", "2026-01-01T02:00Z"), 2),
        (("--until", "2026-01-01T01:00Z"), 2),
        (("--resource", "school"), 2),
        (("--resource", "r1", "--since", "2026-01-01T02:00Z"), 1),
        (("--no-now",), 4),
    ],
)
def test_export_of_values_is_filtered(settled: Ven, words: tuple[str, ...], expected: int) -> None:
    """By event, program, time and resource, as other commands are."""
    status, out, _ = settled("reports", "export", "--values", *words)

    assert status == 0
    assert len(rows_of(out)) == expected


def test_export_of_values_without_building_again_leaves_now_empty(settled: Ven) -> None:
    """Nothing is made up for what was not looked at."""
    _, out, _ = settled("reports", "export", "--values", "--no-now")

    assert {(one["now"], one["difference"], one["quality_now"]) for one in rows_of(out)} == {("", "", "")}


def test_export_of_values_writes_files_whole(settled: Ven) -> None:
    """CSV or JSON by the name of the file; the same figures as `show`."""
    status, out, _ = settled("reports", "export", "--values", "--output", "values.json")
    assert (status, out) == (0, "values.json: 4 lines written, one per resource, interval and payload\n")
    exported = json.loads(Path("values.json").read_text())
    _, shown, _ = settled("reports", "show", ALL[0].key, "--json")
    names = ("resource", "start", "end", "payload_type", "sent", "now", "difference", "quality")
    of_first = [{name: one[name] for name in names} for one in exported if one["report"] == ALL[0].key]
    assert of_first == [{name: one[name] for name in names} for one in json.loads(shown)["values"]]
    assert list(Path().glob(".*part")) == []

    status, _, err = settled("reports", "export", "--values", "--output", "nowhere/values.csv")
    assert (status, "VEN-CLP-005" in err) == (2, True)


@pytest.mark.parametrize("words", [("--event", "E1"), ("--program", "P1"), ("--no-now",)])
def test_options_of_values_need_values(ven: Ven, words: tuple[str, ...]) -> None:
    """They are not ignored silently in an export of the coverage."""
    status, _, err = ven("reports", "export", *words)

    assert (status, "VEN-CLP-271" in err) == (2, True)


def test_a_narrow_terminal_cuts_no_figure(settled: Ven, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and times are folded; what is shown is what `--json` has, digit by digit."""
    box = Outbox(Path("var/state.db"))
    attempt(box, ALL[2], 28.930635731, None)
    box.apply([])
    box.close()
    _, out, _ = settled("reports", "show", ALL[2].key, "--json")
    first = json.loads(out)["values"][0]
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = settled("reports", "show", ALL[2].key, "--no-body")
    words = out.split()

    assert {repr(first["sent"]), repr(first["now"]), repr(first["difference"])} <= set(words)
    assert max(len(line) for line in out.splitlines() if "28.930635731" in line) <= 80


@pytest.mark.parametrize(
    ("words", "missing"), [((), 1), (("--resource", "school"), 1), (("--since", "2027-01-01"), 0)]
)
def test_export_of_values_counts_the_reports_whose_bodies_are_not_stored(
    settled: Ven, words: tuple[str, ...], missing: int
) -> None:
    """What is missing from an export is said beside it, not in it."""
    _, whole, err = settled("reports", "export", "--values", *words)
    assert err == ""
    with closing(sqlite3.connect("var/state.db")) as db, db:
        db.execute(
            "UPDATE sent SET body = NULL WHERE id = (SELECT max(id) FROM sent WHERE taken AND body NOTNULL)"
        )
    status, out, err = settled("reports", "export", "--values", *words)

    assert status == 0
    assert ("VEN-CLP-340" in err) == bool(missing)
    assert (len(out.splitlines()) < len(whole.splitlines())) == bool(missing)
