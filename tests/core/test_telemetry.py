"""What a running gateway says of telemetry that no event of the VTN asks for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rich.console import Console

from tests.reporting.samples import EACH, T0, event
from venclient.clock import ManualClock
from venclient.messages import gateway as gwy
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.openadr.objects import Program
from venclient.reporting.delivery import Reporter
from venclient.reporting.eventbook import EventBook
from venclient.reporting.obligations import agenda
from venclient.reporting.targets import Reportable
from venclient.roster import Roster
from venclient.telemetry import GOOD_FOR_S, MOST_TOLD, TelemetryWatch
from venclient.view import status_view, telemetry_lines

PROGRAM = Program(id="P1", program_name="telemetry")


def resource(name: str, interval: str = "PT15M") -> Resource:
    """Return a resource that is configured to report its use."""
    connection = Connection(ConnectionType.MQTT, ActorType.READER, host="h", topic="t")
    reporting = {"payload_types": ["USAGE"], "interval": interval}
    return Resource(name, name, "DSR", None, "m", connection, {"P_max_kw": 5}, {}, reporting=reporting)


class Watched:
    """A watch over a reporter whose agendas are set by hand."""

    def __init__(self, folder: Path, *resources: Resource) -> None:
        self.clock = ManualClock(T0)
        self.book = EventBook(folder / "state.db")
        self.agendas: list[Any] | None = []
        self.reporter = SimpleNamespace(
            agendas=lambda: self.agendas,
            resources=[Reportable(one.resourceID, one.resourceName) for one in resources],
            options=SimpleNamespace(ven_targets=()),
        )
        by_id = {one.resourceID: one for one in resources}
        self.watch = TelemetryWatch(Roster(by_id), cast("Reporter", self.reporter), self.book, self.clock)

    def listed(self) -> None:
        """Let the VTN have listed its events."""
        self.book.apply([], complete=True, now=self.clock.now())

    def ask(self) -> None:
        """Let an event of an hour ask for what is configured."""
        self.agendas = [(agenda(event(4, EACH, duration="PT15M"), PROGRAM, anchor=T0), PROGRAM)]


def test_unmet_wish_is_told_once_events_are_known(tmp_path: Path) -> None:
    """Before the VTN was heard nothing is unmet; after it, the sentence says what to ask for."""
    site = Watched(tmp_path, resource("hotel"))
    assert site.watch.snapshot()["unmet"] == []

    site.listed()
    (unmet,) = site.watch.snapshot()["unmet"]

    assert unmet.startswith("USAGE of hotel every PT15M is not reported: ")
    assert "ask the VTN's operator" in unmet


async def test_what_an_event_asks_for_is_not_told_until_the_event_is_over(tmp_path: Path) -> None:
    """The answer is kept a while, and computed again when that has passed."""
    site = Watched(tmp_path, resource("hotel"))
    site.ask()
    site.listed()
    assert site.watch.snapshot()["unmet"] == []

    await site.clock.advance(3600 + GOOD_FOR_S)

    assert len(site.watch.snapshot()["unmet"]) == 1


def test_changed_events_are_waited_for(tmp_path: Path) -> None:
    """While the planner has not seen them the last answer stands."""
    site = Watched(tmp_path, resource("hotel"))
    site.listed()
    before = site.watch.snapshot()
    site.agendas = None

    assert site.watch.snapshot() == before


def test_many_kinds_are_counted_and_wrong_ones_named(tmp_path: Path) -> None:
    """A status stays short."""
    kinds = [resource(f"r{n}", f"PT{n}M") for n in range(1, MOST_TOLD + 4)]
    site = Watched(tmp_path, *kinds, resource("odd", "soon"))
    site.listed()

    seen = site.watch.snapshot()

    assert (len(seen["unmet"]), seen["more"]) == (MOST_TOLD, 3)
    assert "odd" in seen["problems"][0]


def test_status_shows_them_for_each_vtn() -> None:
    """With the name of a further VTN before its lines."""
    telemetry = {"unmet": ["USAGE of hotel goes to nobody"], "more": 2, "problems": ["resource x: wrong"]}
    link: dict[str, Any] = {
        "ven": {"name": "v", "resources": 1, "registered": 1},
        "vtn": {"url": "u", "state": "connected", "last_error": None},
        "events": {"known": 0, "programs": 0},
        "reports": {"owed": 0, "sent": 0, "refused": 0},
        "telemetry": telemetry,
    }
    now = T0.isoformat()
    snapshot = link | {
        "version": "1",
        "now": now,
        "started": now,
        "connections": [],
        "readings": {"readings": 0},
        "notes": [],
        "others": [link | {"name": "grid"}],
    }
    console = Console(width=120, force_terminal=False)
    with console.capture() as captured:
        console.print(status_view(snapshot))

    assert telemetry_lines(snapshot)[2] == gwy.MORE_WISHES(count=2)
    assert captured.get().count("USAGE of hotel goes to nobody") == 2
    assert "VTN grid: USAGE of hotel goes to nobody" in captured.get()
