"""`ven events list`, as it is typed, on the state file of a gateway that ran."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.reporting.samples import EACH, event, reportables
from venclient.cli import main
from venclient.openadr.objects import Event
from venclient.reporting.eventbook import EventBook
from venclient.reporting.outbox import Outbox
from venclient.reporting.planner import Planner, Round

NOW = datetime.now(UTC)
REQUEST: dict[str, Any] = {"intervals": None, "start": "0001-01-01", "duration": "PT0H"}
SOON = f"{NOW + timedelta(days=1):%Y-%m-%dT%H:00:00Z}"

EVENTS: dict[str, tuple[Event, str]] = {
    "request": (event(0, {"frequency": 0}, id_="request", **REQUEST), "VEN-CLE-006"),
    "timed": (event(2, EACH, id_="timed", start=SOON, eventName="day \x1b[31mahead"), "VEN-CLE-010"),
    "at-will": (event(2, {"frequency": 0}, id_="at-will", start=SOON), "VEN-CLE-008"),
    "silent": (event(1, id_="silent", start=SOON), "VEN-CLE-002"),
    "wrong": (event(1, {"startInterval": 9}, id_="wrong", start=SOON), "VEN-CLE-003"),
    "past": (event(1, EACH, id_="past", start="2020-01-01T00:00:00Z"), "VEN-CLE-011"),
    "others": (event(1, EACH, id_="others", targets=["south"], start=SOON), "VEN-CLE-004"),
    "waits": (event(1, EACH, id_="waits", targets=["north"], start=SOON), "VEN-CLE-005"),
    "called-off": (event(1, EACH, id_="called-off", start=SOON), "VEN-CLE-001"),
}

Ven = Callable[..., str]


@pytest.fixture
def ven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ven:
    """Return `ven` in a folder whose gateway knows an event of each kind."""
    monkeypatch.chdir(tmp_path)
    Path("ven.toml").write_text('[ven]\nname = "ven-1"\n[vtn]\nurl = "https://vtn.example/openadr3/3.1.1"\n')
    path = Path("var/state.db")
    box, book = Outbox(path), EventBook(path)
    events = [one for one, _ in EVENTS.values()]
    book.apply(events, complete=True, now=NOW)
    cancelled = event(0, EACH, id_="called-off", **REQUEST)
    book.apply([*events[:-1], cancelled], complete=True, now=NOW)
    for changes in Planner(box, book, client_name="ven-1").steps(Round(), NOW + timedelta(days=2), NOW):
        if changes is not None:
            box.apply(changes)
    matched = {"others": [], "timed": reportables("hotel", "school")}
    for row in box.untold(10_000):
        if row.obligation.event_id in matched:
            box.about(row.key, matched[row.obligation.event_id])
    box.close()
    book.close()

    def call(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["ven", "events", "list", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    return call


def test_each_event_is_listed_with_what_was_decided(ven: Ven) -> None:
    """Every event has a decision with a code; none is passed over in silence."""
    listed = {one["event"]: one for one in json.loads(ven("--json"))}

    assert {id_: one["code"] for id_, one in listed.items()} == {
        id_: code for id_, (_, code) in EVENTS.items()
    }
    assert listed["timed"]["resources"] == ["hotel", "school"]
    assert sum(listed["timed"]["reports"].values()) == 2
    assert listed["others"]["resources"] == []
    assert listed["waits"]["resources"] is None
    assert listed["request"]["next_due"] is not None
    assert listed["past"]["next_due"] is None


def test_the_table_names_events_and_shows_no_foreign_escapes(ven: Ven) -> None:
    """People see one line for each event; what a VTN wrote cannot steer their terminal."""
    out = ven()

    assert all(id_ in out for id_ in EVENTS)
    assert "\x1b[31m" not in out
    assert out.splitlines()[-1] == "9 events"
