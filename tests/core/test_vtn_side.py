"""The gateway's side towards the VTN: what a refusal, a fault or a bad object may and may not do."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest

from tests.client.fake_vtn import FakeVtn, problem
from tests.reporting.samples import T0
from venclient.clock import ManualClock
from venclient.messages import code_of
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.notes import Notes
from venclient.reporting.delivery import Reporter
from venclient.reporting.eventbook import EventBook
from venclient.roster import Roster
from venclient.settings import Settings
from venclient.vtn_side import REFUSED_AGAIN_S, REGISTER_AGAIN_S, VtnSide


def resource(name: str) -> Resource:
    """Return a resource of that name."""
    connection = Connection(ConnectionType.MODBUSTCP, ActorType.READER, "127.0.0.1")
    return Resource(
        name, name, "DSR", "Hotels", f"meter-{name}", connection, {"P_max_kw": 5}, {}, enabled=True
    )


@dataclass
class Options:
    """What of a reporter's options is set here."""

    ven_targets: frozenset[str] = frozenset()
    percent_of_full: float = 1.0


class Site:
    """A VtnSide against a fake VTN."""

    def __init__(
        self, folder: Path, *names: str, programs: tuple[str, ...] = (), vtn: FakeVtn | None = None
    ) -> None:
        self.clock = ManualClock()
        self.vtn = vtn or FakeVtn(self.clock)
        self.vtn.clock = self.clock
        self.book = EventBook(folder / "state.db")
        self.reporter = SimpleNamespace(resources=[], options=Options())
        self.client = self.vtn.client(retries=0, version="probe")
        self.notes = Notes()
        self.roster = Roster({name: resource(name) for name in names})
        values: dict[str, Any] = {"ven.name": "ven", "vtn.url": "https://vtn.example", "vtn.poll_s": 60.0}
        values |= {"vtn.programs": programs, "vtn.location_order": "lon_lat"}
        self.side = VtnSide(
            Settings(values, {}, folder),
            self.client,
            self.book,
            cast("Reporter", self.reporter),
            self.roster,
            self.clock,
            self.notes,
            asyncio.Event(),
        )

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        async with self.client:
            task = asyncio.create_task(self.side.follow())
            await self.run(1)
            yield
            assert not task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.book.close()

    async def run(self, seconds: float) -> None:
        await self.clock.advance(seconds, settle=200)

    def has(self, *events: str, program: str = "P1") -> None:
        self.vtn.collections["programs"] = [{"id": "P1", "programName": "one"}]
        self.vtn.collections["events"] = [{"id": one, "programID": program} for one in events]


async def test_a_refused_resource_is_said_once_and_asked_again_after_an_hour(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither requests nor log lines repeat with every poll because the VTN will not have one resource."""
    site = Site(tmp_path, "bar", "hotel")

    def refuse_bar(request: httpx2.Request) -> httpx2.Response:
        if site.vtn.body(request)["resourceName"] == "bar":
            return problem(400, detail="no bars")
        return site.vtn._collection(request, "resources")

    site.vtn.handlers["POST", "resources"] = refuse_bar
    site.has("E1")
    async with site.following():
        await site.run(1800)
        assert len(site.vtn.calls("POST", "resources")) == 2
        assert site.side.registered == {"hotel"}
        assert site.side.state == "connected"
        assert set(site.book.events) == {"E1"}
        del site.vtn.handlers["POST", "resources"]
        await site.run(REFUSED_AGAIN_S - 1800 + REGISTER_AGAIN_S)
        assert site.side.registered == {"bar", "hotel"}

    assert sum("no bars" in record.getMessage() for record in caplog.records) == 1


async def test_a_vtn_that_goes_while_registering_is_not_asked_for_each_resource(tmp_path: Path) -> None:
    """A thousand resources do not mean a thousand time-outs before the VTN is given time."""
    site = Site(tmp_path, *(f"r{n}" for n in range(100)))
    site.vtn.handlers["POST", "resources"] = lambda _: problem(503)
    async with site.following():
        assert len(site.vtn.calls("POST", "resources")) <= 8
        assert "503" in (site.side.last_error or "")
        del site.vtn.handlers["POST", "resources"]
        await site.run(60)
        assert len(site.side.registered) == 100


@pytest.mark.parametrize("status", [401, 403, 404, 405, 501, 400, 500])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_vtn_that_refuses_registration_is_followed_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, method: str, status: int
) -> None:
    """Programs and events are read; the refusal is logged once, and registering is tried again later."""
    site = Site(tmp_path, "bar")
    site.has("E1")
    site.vtn.handlers[method, "vens"] = lambda _: problem(status, detail="not here")
    async with site.following():
        assert set(site.book.events) == {"E1"}
        assert site.side.state == "connected"
        assert "not here" in (site.side.last_error or "")
        await site.run(1800)
        site.has("E1", "E2")
        await site.run(120)
        assert set(site.book.events) == {"E1", "E2"}
        del site.vtn.handlers[method, "vens"]
        await site.run(REGISTER_AGAIN_S)
        assert site.side.registered == {"bar"}
        assert site.side.last_error is None
        assert not [note for note in site.notes if "not here" in note]

    said = [one for one in caplog.records if "not here" in one.getMessage()]
    assert len(said) == 1


@pytest.mark.parametrize("place", ["vens", "resources"])
async def test_an_unreadable_answer_about_our_objects_holds_up_no_event(tmp_path: Path, place: str) -> None:
    """A listing of VENs or resources that is not a list leaves events as they are."""
    site = Site(tmp_path, "bar")
    site.client = site.side._client = site.vtn.client(retries=0)
    site.has("E1")
    site.vtn.handlers["GET", place] = lambda _: httpx2.Response(200, text='{"nonsense": true}')
    async with site.following():
        assert set(site.book.events) == {"E1"}


async def test_the_ven_that_the_operator_created_for_us_is_used(tmp_path: Path) -> None:
    """Where POST /vens is refused, the one VEN of this client is taken under its own name."""
    site = Site(tmp_path, "bar")
    site.has("E1")
    theirs = {"id": "V7", "venName": "ven-77", "clientID": "gw-1", "targets": ["north"]}
    site.vtn.collections["vens"] = [theirs]
    site.vtn.handlers["POST", "vens"] = lambda _: problem(403)
    async with site.following():
        assert site.side.ven is not None
        assert site.side.ven.id == "V7"
        assert site.side.registered == {"bar"}
        assert {"north", "ven-77", "ven"} <= site.reporter.options.ven_targets
        assert site.vtn.calls("PUT", "vens/V7") == []


@pytest.mark.parametrize("status", [401, 403, 404, 405, 501])
async def test_a_vtn_that_lets_us_create_no_resource_is_asked_for_a_few(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """A hundred resources are not a hundred refusals; targets of the VEN are used, events are followed."""
    site = Site(tmp_path, *(f"r{n}" for n in range(100)))
    site.has("E1")
    site.vtn.collections["vens"] = [{"id": "V1", "venName": "ven", "targets": ["north"]}]
    site.vtn.handlers["POST", "resources"] = lambda _: problem(status)
    async with site.following():
        assert len(site.vtn.calls("POST", "resources")) <= 16  # eight at once, each with another token
        assert set(site.book.events) == {"E1"}
        assert site.side.state == "connected"

    said = [one for one in caplog.records if one.name == "venclient.gateway"]
    assert len(said) == 1


async def test_targets_of_the_ven_count_where_resources_cannot_be_listed(tmp_path: Path) -> None:
    """What the VTN granted the VEN is asked for although GET /resources is refused."""
    site = Site(tmp_path, "bar")
    site.client = site.side._client = site.vtn.client(retries=0)
    site.has("E1")
    site.vtn.collections["vens"] = [{"id": "V1", "venName": "ven", "targets": ["north"]}]
    site.vtn.handlers["GET", "resources"] = lambda _: problem(403)
    async with site.following():
        asked = [one.url.params.get_list("targets") for one in site.vtn.calls("GET", "events")]
        assert ["north"] in asked


async def test_changes_are_heard_of_without_a_ven(tmp_path: Path) -> None:
    """Notifications are set up where registering is refused, and again once the VEN is there."""
    site = Site(tmp_path, "bar")
    restarted: list[bool] = []
    site.side.push = cast("Any", SimpleNamespace(working=False, begin_anew=lambda: restarted.append(True)))
    site.vtn.handlers["POST", "vens"] = lambda _: problem(403)
    async with site.following():
        assert site.side.known.is_set()
        assert site.side.ven is None
        assert restarted == []
        site.vtn.collections["vens"] = [{"id": "V1", "venName": "ven"}]
        await site.run(REGISTER_AGAIN_S + 120)
        assert restarted == [True]


async def test_a_refused_login_is_not_taken_for_a_refused_registration(tmp_path: Path) -> None:
    """A token service that rejects the client stops the conversation, with its own reason."""
    site = Site(tmp_path, "bar")
    site.has("E1")
    refused = {"error": "invalid_client"}
    site.vtn.handlers["POST", "auth/token"] = lambda _: httpx2.Response(401, json=refused)
    async with site.following():
        assert site.side.state == "refused"
        assert "invalid_client" in (site.side.last_error or "")
        assert not [note for note in site.notes if "VEN-VTN-109" in note]


@pytest.mark.parametrize(
    "answer", [problem(500), problem(403), problem(404), httpx2.Response(200, text="{}")]
)
@pytest.mark.parametrize("known", [True, False])
async def test_events_are_followed_where_programs_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: httpx2.Response, known: bool
) -> None:
    """Events come and go, known programs stay; what is missing is logged at its start and at its end."""
    caplog.set_level(logging.INFO, logger="venclient")
    site = Site(tmp_path)
    site.client = site.side._client = site.vtn.client(retries=0)
    site.has("E1")
    if not known:
        site.vtn.handlers["GET", "programs"] = lambda _: answer
    async with site.following():
        site.vtn.handlers["GET", "programs"] = lambda _: answer
        await site.run(600)
        assert set(site.book.events) == {"E1"}
        site.has("E2")
        await site.run(600)
        assert set(site.book.events) == {"E2"}
        assert set(site.book.programs) == ({"P1"} if known else set())
        assert site.side.state == "connected"
        assert [note for note in site.notes if "VEN-VTN-111" in note]
        assert "VEN-VTN-111" in (site.side.last_error or "")
        del site.vtn.handlers["GET", "programs"]
        await site.run(600)
        assert set(site.book.programs) == {"P1"}
        assert site.side.last_error is None

    codes = [code_of(one.msg) for one in caplog.records]
    said = [one for one in codes if one in PROGRAM_CODES]
    levels = [one.levelno for one in caplog.records if "programs" in one.getMessage()]
    assert said == ([] if answer.status_code == 500 else sorted(PROGRAM_CODES))
    assert [level >= logging.WARNING for level in levels] == [True, False]


PROGRAM_CODES = {"VEN-VTN-111", "VEN-VTN-112"}


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_programs_are_followed_where_events_cannot_be_read(tmp_path: Path, status: int) -> None:
    """What a program says of units counts for the reports on the events that are known."""
    site = Site(tmp_path, "bar")
    site.has("E1")
    async with site.following():
        site.vtn.handlers["GET", "events"] = lambda _: problem(status)
        site.vtn.collections["programs"] = [{"id": "P1", "programName": "new"}]
        await site.run(120)
        assert site.book.programs["P1"].program_name == "new"
        assert set(site.book.events) == {"E1"}


async def test_an_allow_list_of_programs_holds_while_programs_cannot_be_read(tmp_path: Path) -> None:
    """Events of programs that are not followed are not taken because their names cannot be read."""
    site = Site(tmp_path, programs=("one",))
    site.has("E1")
    async with site.following():
        site.vtn.handlers["GET", "programs"] = lambda _: problem(500)
        events = [{"id": "E2", "programID": "P1"}, {"id": "E3", "programID": "P2"}]
        site.vtn.collections["events"] += events
        await site.run(120)
        assert set(site.book.events) == {"E1", "E2"}


async def test_events_of_unknown_programs_wait_where_programs_show_whose_they_are(old: Site) -> None:
    """At a VTN of 3.0.1 an event of an unreadable program may be for others, unless its targets are ours."""
    old.has("E1")
    async with old.following():
        old.vtn.handlers["GET", "programs"] = lambda _: problem(500)
        ours = [{"type": "VEN_NAME", "values": ["ven"]}]
        old.vtn.collections["events"] += [
            {"id": "E2", "programID": "P9", "intervals": []},
            {"id": "E3", "programID": "P9", "intervals": [], "targets": ours},
        ]
        await old.run(120)
        assert set(old.book.events) == {"E1", "E3"}


@pytest.mark.parametrize("status", [500, 503, 403])
async def test_a_lasting_error_is_logged_at_its_start_and_at_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """While other requests succeed, too; and a VTN that answers is not called unreachable."""
    caplog.set_level(logging.INFO, logger="venclient")
    site = Site(tmp_path)
    site.client = site.side._client = site.vtn.client(retries=0)
    site.has("E1")
    async with site.following():
        caplog.clear()
        site.vtn.handlers["GET", "events"] = lambda _: problem(status)
        await site.run(3600)
        assert len(site.vtn.calls("GET", "events")) > 5
        assert site.side.state == ("refused" if status == 403 else f"answers {status}")
        assert len(caplog.records) == 1
        del site.vtn.handlers["GET", "events"]
        await site.run(600)
        assert site.side.state == "connected"

    assert [one.levelno >= logging.WARNING for one in caplog.records] == [True, False]


async def test_row_18_what_others_wrote_on_a_resource_stays(tmp_path: Path) -> None:
    """An attribute that is not ours is neither a difference nor lost with an update."""
    site = Site(tmp_path, "bar")
    theirs = {"type": "GRID_ZONE", "values": ["DK1"]}
    site.vtn.collections["vens"] = [{"id": "V1", "venName": "ven"}]
    site.vtn.collections["resources"] = [
        {"id": "R1", "venID": "V1", "resourceName": "bar", "attributes": [theirs]}
    ]
    async with site.following():
        assert theirs in site.vtn.collections["resources"][0]["attributes"]
        await site.run(REGISTER_AGAIN_S + 60)
        assert len(site.vtn.calls("PUT", "resources/R1")) == 1


@pytest.mark.parametrize("renames", [True, False])
async def test_a_renamed_resource_keeps_its_object(tmp_path: Path, renames: bool) -> None:
    """The object gets the new name and keeps its targets; else a new one is created."""
    site = Site(tmp_path, "bar", "hotel")
    async with site.following():
        (before,) = [one for one in site.vtn.collections["resources"] if one["resourceName"] == "bar"]
        before["targets"] = ["group-1"]
        if not renames:
            site.vtn.handlers["PUT", f"resources/{before['id']}"] = lambda _: problem(
                400, detail="names are fixed"
            )
        site.roster.replace(
            {"bar": replace(resource("bar"), resourceName="Bar 2"), "hotel": resource("hotel")}
        )
        site.side.look_again()
        await site.run(120)

        held = {one["resourceName"]: one for one in site.vtn.collections["resources"]}
        assert site.side.registered == {"bar", "hotel"}
        assert set(held) == ({"Bar 2", "hotel"} if renames else {"bar", "Bar 2", "hotel"})
        assert (held["Bar 2"]["id"] == before["id"]) == renames
        assert (held["Bar 2"].get("targets") == ["group-1"]) == renames
        assert not list(site.notes)


async def test_row_25_granted_targets_are_asked_for_as_well(tmp_path: Path) -> None:
    """Events for granted targets are found at a VTN that shows them only to those who name them."""
    site = Site(tmp_path, "bar")
    site.vtn.collections["vens"] = [{"id": "V1", "venName": "ven", "targets": ["north"]}]

    def by_target(request: httpx2.Request) -> httpx2.Response:
        named = "north" in request.url.params.get_list("targets")
        return httpx2.Response(200, json=[{"id": "E2", "programID": "P1"}] if named else [])

    site.vtn.handlers["GET", "events"] = by_target
    async with site.following():
        assert set(site.book.events) == {"E2"}


@pytest.mark.parametrize("refused", ["programs", "events"])
@pytest.mark.parametrize("status", [403, 400, 500])
async def test_row_25_a_listing_that_may_not_name_targets_stops_no_other(
    tmp_path: Path, refused: str, status: int
) -> None:
    """The refusal is noted as long as it holds, and the other listing is asked for granted targets."""
    site = Site(tmp_path, "bar")
    site.vtn.collections["vens"] = [{"id": "V1", "venName": "ven", "targets": ["north"]}]
    site.has("E1")
    refuses = [True]

    def answer(place: str) -> Any:
        def by_target(request: httpx2.Request) -> httpx2.Response:
            named = "north" in request.url.params.get_list("targets")
            if named and place == refused and refuses:
                return problem(status)
            return site.vtn._collection(request, place)

        return by_target

    def asked(place: str) -> int:
        calls = site.vtn.calls("GET", place)
        return len([one for one in calls if "north" in one.url.params.get_list("targets")])

    site.vtn.handlers["GET", "programs"] = answer("programs")
    site.vtn.handlers["GET", "events"] = answer("events")
    async with site.following():
        assert (asked("programs") > 0, asked("events") > 0) == (True, True)
        assert set(site.book.events) == {"E1"}
        assert sum("VEN-GWY-068" in one for one in site.notes) == 1
        refuses.clear()
        await site.run(2 * REGISTER_AGAIN_S)
        assert not any("VEN-GWY-068" in one for one in site.notes)


async def test_row_25_an_unknown_target_has_the_registration_read_at_once(tmp_path: Path) -> None:
    """An unknown target is looked for at the VTN once; what was granted counts then."""
    site = Site(tmp_path, "bar", "hotel")
    site.has("E1")
    async with site.following():
        for one in site.vtn.collections["resources"]:
            one["targets"] = ["north"] if one["resourceName"] == "bar" else []
        site.vtn.collections["events"].append({"id": "E2", "programID": "P1", "targets": ["north", "south"]})
        before = len([one for one in site.vtn.calls("GET", "resources") if one.url.params["skip"] == "0"])
        await site.run(60)
        after = len([one for one in site.vtn.calls("GET", "resources") if one.url.params["skip"] == "0"])
        assert after == before + 1
        granted = {one.resource_name: one.targets for one in site.reporter.resources}
        assert granted == {"bar": {"north"}, "hotel": frozenset()}
        assert site.reporter.granted_at == T0 + timedelta(seconds=60)
        await site.run(200)
        assert (
            len([one for one in site.vtn.calls("GET", "resources") if one.url.params["skip"] == "0"]) == after
        )


async def test_row_25_an_unknown_target_is_looked_for_until_the_vtn_answers(tmp_path: Path) -> None:
    """A registration that could not be read is read with the next poll."""
    site = Site(tmp_path, "bar")
    async with site.following():
        site.has("E1")
        site.vtn.collections["events"][0]["targets"] = ["north"]
        site.vtn.collections["resources"][0]["targets"] = ["north"]
        site.vtn.handlers["GET", "resources"] = lambda _: problem(503)
        await site.run(61)
        assert site.reporter.resources[0].targets == frozenset()
        del site.vtn.handlers["GET", "resources"]
        await site.run(60)
        assert site.reporter.resources[0].targets == {"north"}


async def test_row_25_targets_of_a_resource_that_cannot_be_changed_count(tmp_path: Path) -> None:
    """A VTN that refuses our change of a resource has listed the targets of its object all the same."""
    site = Site(tmp_path, "bar")
    site.vtn.collections["vens"] = [{"id": "V1", "venName": "ven"}]
    site.vtn.collections["resources"] = [
        {"id": "R1", "venID": "V1", "resourceName": "bar", "targets": ["north"]}
    ]
    site.vtn.handlers["PUT", "resources/R1"] = lambda _: problem(409)
    async with site.following():
        assert site.reporter.resources[0].targets == {"north"}


def reads(site: Site) -> int:
    """Return how often the resources were read at the VTN."""
    return len(site.vtn.calls("GET", "resources"))


async def test_the_registration_is_read_every_five_minutes_also_while_polls_are_rare(tmp_path: Path) -> None:
    """A resource that the VTN lost is registered again within five minutes, though a channel is up."""
    site = Site(tmp_path, "bar")
    site.side.push = cast("Any", SimpleNamespace(working=True, check_again=lambda: None, begin_anew=None))
    site.side._settings.values["vtn.push_poll_s"] = 3600.0  # type: ignore[index]
    async with site.following():
        verified = site.side.verified_at
        site.vtn.collections["resources"].clear()
        await site.run(REGISTER_AGAIN_S)
        assert len(site.vtn.collections["resources"]) == 1
        assert site.side.verified_at != verified


async def test_the_registration_counts_as_verified_only_until_an_outage(tmp_path: Path) -> None:
    """While the VTN is away nothing is claimed; when it is back the registration is read first."""
    doubts: list[float] = []
    site = Site(tmp_path, "bar")
    site.side.push = cast(
        "Any", SimpleNamespace(working=False, check_again=lambda: doubts.append(1), begin_anew=None)
    )
    async with site.following():
        assert (site.side.registered, reads(site)) == ({"bar"}, 1)
        site.vtn.handlers["GET", "events"] = lambda _: problem(503)
        await site.run(61)
        assert (site.side.registered, site.side.verified_at) == (set(), None)
        assert doubts
        del site.vtn.handlers["GET", "events"]
        await site.run(10)
        assert site.side.registered == {"bar"}
        assert reads(site) > 1


@pytest.mark.parametrize("status", [403, 404])
async def test_the_registration_is_read_every_five_minutes_while_events_are_refused(
    tmp_path: Path, status: int
) -> None:
    """A VTN that shows no events may lose our objects all the same: nothing is claimed for longer."""
    site = Site(tmp_path, "bar")
    site.vtn.handlers["GET", "events"] = lambda _: problem(status)
    async with site.following():
        assert (site.side.registered, reads(site)) == ({"bar"}, 1)
        site.vtn.collections["resources"].clear()
        await site.run(3 * REGISTER_AGAIN_S)
        assert len(site.vtn.collections["resources"]) == 1
        assert reads(site) > 1


async def test_a_listing_that_changed_wholesale_has_the_registration_read(tmp_path: Path) -> None:
    """A VTN whose events are all gone may have lost our objects as well; one event that goes is usual."""
    site = Site(tmp_path, "bar")
    site.has("E1", "E2", "E3")
    async with site.following():
        site.has("E2", "E3")
        await site.run(60)
        assert reads(site) == 1
        site.has("E9")
        site.vtn.collections["resources"].clear()
        await site.run(62)
        assert len(site.vtn.collections["resources"]) == 1


async def test_what_a_notification_says_of_the_registration_is_read_at_once(tmp_path: Path) -> None:
    """Targets granted to a resource count with the notification that it has changed."""
    site = Site(tmp_path, "bar")
    async with site.following():
        site.vtn.collections["resources"][0]["targets"] = ["north"]
        site.side.check_again()
        await site.run(2)
        assert site.reporter.resources[0].targets == {"north"}


@pytest.mark.parametrize("stays", [True, False])
async def test_targets_that_our_update_cost_are_named(tmp_path: Path, stays: bool) -> None:
    """A VTN that forgets grants with our PUT is named with them; one whose answer is short of them is not."""
    site = Site(tmp_path, "bar")
    site.vtn.collections["vens"] = [{"id": "V1", "venName": "ven"}]
    held = {"id": "R1", "venID": "V1", "resourceName": "bar", "targets": ["north"]}
    site.vtn.collections["resources"] = [held]

    def put(request: httpx2.Request) -> httpx2.Response:
        held["attributes"] = site.vtn.body(request)["attributes"]
        held["targets"] = ["north"] if stays else []
        return httpx2.Response(200, json={**held, "targets": []})

    site.vtn.handlers["PUT", "resources/R1"] = put
    async with site.following():
        assert site.reporter.resources[0].targets == ({"north"} if stays else frozenset())
        assert any("VEN-GWY-140" in note and "north" in note for note in site.notes) == (not stays)


@pytest.mark.parametrize("programs", [(), ("one",)])
async def test_row_39_a_program_that_cannot_be_read_takes_no_event_along(
    tmp_path: Path, programs: tuple[str, ...]
) -> None:
    """A bad program object is named; that its events have gone is not concluded from it."""
    site = Site(tmp_path, programs=programs)
    site.has("E1")
    async with site.following():
        site.vtn.collections["programs"] = [{"id": "P1", "programName": {"not": "a text"}}]
        await site.run(120)
        assert set(site.book.events) == {"E1"}
        assert any("programName" in note for note in site.notes)


async def test_an_event_with_half_a_character_hides_no_other(tmp_path: Path) -> None:
    """A text that nothing can store is refused with its event; the others are followed."""
    site = Site(tmp_path)
    body = rb'[{"id": "E1", "programID": "P1", "eventName": "x\ud800"}, {"id": "E2", "programID": "P1"}]'
    site.vtn.handlers["GET", "events"] = lambda _: httpx2.Response(200, content=body)
    async with site.following():
        assert set(site.book.events) == {"E2"}
        assert site.side.state == "connected"


async def test_a_refusal_with_changing_words_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A VTN that puts a request's number into its problem document does not fill the log."""
    site = Site(tmp_path)
    count = iter(range(10_000))
    site.vtn.handlers["GET", "events"] = lambda _: problem(400, detail=f"request {next(count)} is bad")
    async with site.following():
        await site.run(3000)
        assert next(count) > 5

    assert len([one for one in caplog.records if one.levelno >= logging.ERROR]) == 1


async def test_a_bug_ends_nothing_and_is_traced_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is unexpected waits and is tried again; the other tasks of the gateway go on."""
    site = Site(tmp_path)
    site.has("E1")

    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(site.book, "take", broken)
        async with site.following():
            await site.run(600)
            assert "ZeroDivisionError" in (site.side.last_error or "")
            patched.undo()
            await site.run(600)
            assert set(site.book.events) == {"E1"}
            assert site.side.state == "connected"

    assert len([one for one in caplog.records if one.exc_info]) == 1


@pytest.mark.parametrize(("skew_s", "alarmed"), [(60, True), (-60, True), (7, True), (-7, True), (4, False)])
async def test_row_70_clocks_that_come_apart_are_said_once_with_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, skew_s: float, alarmed: bool
) -> None:
    """Beyond 5 s there is one note with which way and where to look, and one line when it is well."""
    caplog.set_level(logging.INFO, logger="venclient")
    site = Site(tmp_path)
    site.has("E1")
    site.vtn.skew_s = skew_s
    async with site.following():
        await site.run(600)
        notes = [note for note in site.notes if "VEN-GWY-052" in note]
        site.vtn.skew_s = 0
        await site.run(600)

    assert len(notes) == alarmed
    if alarmed:
        assert ("behind" if skew_s > 0 else "ahead of") in notes[0]
        assert "https://vtn.example" in notes[0]
        assert "timedatectl" in notes[0]
    said = [record.levelname for record in caplog.records if "clock" in record.getMessage()]
    assert said == (["ERROR", "INFO"] if alarmed else [])


async def test_row_04_a_refused_certificate_is_in_the_status_with_what_to_set(tmp_path: Path) -> None:
    """The status says why the VTN is not spoken to, and which setting would help."""
    site = Site(tmp_path)
    refused = ssl.SSLCertVerificationError("self-signed certificate")
    failure = httpx2.ConnectError("TLS")
    failure.__cause__ = refused
    site.vtn.faults = [failure] * 50
    async with site.following():
        assert site.side.state == "unreachable"
        assert "not trusted" in str(site.side.last_error)
        assert "vtn.ca_file" in str(site.side.last_error)


@pytest.fixture
def old(tmp_path: Path) -> Site:
    """Return a site with the resource "bar" at a VTN of 3.0.1."""
    return Site(tmp_path, "bar", vtn=FakeVtn(ManualClock(), path="/openadr3/3.0.1", old=True))


async def test_row_71_a_vtn_of_3_0_1_is_registered_with_and_followed(old: Site) -> None:
    """Resources are nested, and the reports use 100 as the full PERCENT value."""
    old.has("E1")
    async with old.following():
        assert old.side.state == "connected"
        assert old.side.registered == {"bar"}
        assert set(old.book.events) == {"E1"}

    assert len(old.vtn.calls("POST", "vens/V1/resources")) == 1
    assert old.reporter.options.percent_of_full == 100.0
    assert old.client.status.version == "3.0.1"


@pytest.mark.parametrize(
    ("targets", "ours"),
    [
        ([], True),
        ([("VEN_NAME", "ven")], True),
        ([("VEN_NAME", "another")], False),
        ([("RESOURCE_NAME", "bar")], True),
        ([("RESOURCE_NAME", "their-bar")], False),
        ([("GROUP", "north")], True),
        ([("GROUP", "south")], False),
        ([("GROUP", "south"), ("VEN_NAME", "ven")], True),
        ([("VEN_NAME", "another"), ("VEN_NAME", "ven")], True),
        ([("VEN_NAME", "another"), ("RESOURCE_NAME", "bar")], False),
        ([("GROUP", "north"), ("VEN_NAME", "another")], False),
    ],
)
async def test_row_71_events_for_others_are_left_to_them(
    old: Site, targets: list[tuple[str, str]], ours: bool
) -> None:
    """A VTN of 3.0.1 shows everybody everything: what is addressed to others is left out, and said."""
    group = [{"type": "GROUP", "values": ["north"]}]
    old.vtn.collections["vens"] = [{"id": "V1", "venName": "ven", "targets": group}]
    old.has("E1", "E2")
    old.vtn.collections["events"][0]["targets"] = [{"type": kind, "values": [one]} for kind, one in targets]
    async with old.following():
        assert set(old.book.events) == ({"E1", "E2"} if ours else {"E2"})
        assert any("VEN-GWY-070" in note for note in old.notes) == (not ours)


async def test_row_71_events_of_programs_for_others_are_left_to_them_too(old: Site) -> None:
    """A program that is addressed to others takes its events along; what was ours before is let go."""
    old.has("E1")
    async with old.following():
        assert set(old.book.events) == {"E1"}
        theirs = [
            {"type": "VEN_NAME", "values": ["another"]},
            {"type": "RESOURCE_NAME", "values": ["bar", "ven"]},
        ]
        old.vtn.collections["programs"][0]["targets"] = theirs
        await old.run(120)
        assert not old.book.events
        assert not old.book.programs


async def test_row_39_an_unchanged_listing_keeps_events(tmp_path: Path) -> None:
    """A VTN that answers 304 for hours has not lost its events; a deletion is noticed all the same."""
    site = Site(tmp_path, vtn=FakeVtn(ManualClock(), etags=True))
    site.has("E1", "E2")
    async with site.following():
        await site.run(3000)
        assert set(site.book.events) == {"E1", "E2"}
        site.has("E2")
        await site.run(120)
        assert set(site.book.events) == {"E2"}


async def test_events_without_an_id_are_named(tmp_path: Path) -> None:
    """An event that cannot be followed is said once, with what it holds up; the others are followed."""
    site = Site(tmp_path)
    site.has("E1", "E2")
    site.vtn.collections["events"].append({"programID": "P1", "eventName": "nameless"})
    async with site.following():
        assert set(site.book.events) == {"E1", "E2"}
        del site.vtn.collections["events"][0]
        await site.run(120)

        assert set(site.book.events) == {"E1", "E2"}
        (said,) = [note for note in site.notes if "VEN-GWY-069" in note]
        assert said.startswith("1 event has")
        del site.vtn.collections["events"][1]
        await site.run(120)
        assert set(site.book.events) == {"E2"}


async def test_row_27_programs_are_followed_by_the_list_of_those_allowed(tmp_path: Path) -> None:
    """With an allow-list events of other programs are not taken, and go when their program is left."""
    site = Site(tmp_path, programs=("one",))
    site.vtn.collections["programs"] = [
        {"id": "P1", "programName": "one"},
        {"id": "P2", "programName": "two"},
    ]
    site.vtn.collections["events"] = [{"id": "E1", "programID": "P1"}, {"id": "E2", "programID": "P2"}]
    async with site.following():
        assert set(site.book.events) == {"E1"}
        assert set(site.book.programs) == {"P1"}
        site.vtn.collections["programs"][0]["programName"] = "renamed"
        site.vtn.collections["programs"][1]["programName"] = "one"
        await site.run(120)
        assert set(site.book.events) == {"E2"}


async def test_resources_that_a_vtn_refuses_for_one_reason_are_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """2,000 resources, each refused in its own words: one line and one note, which go when it takes them."""
    names = [f"site {number}" for number in range(2_000)]
    site = Site(tmp_path, *names)
    refusing = [True]

    def refuse(request: httpx2.Request) -> httpx2.Response:
        if refusing[0]:
            return problem(400, detail=f"no {site.vtn.body(request)['resourceName']}")
        return site.vtn._collection(request, "resources")

    site.vtn.handlers["POST", "resources"] = refuse
    async with site.following():
        await site.run(600)
        assert [code_of(one.msg) for one in caplog.records].count("VEN-GWY-282") == 1
        assert len(caplog.records) <= 5
        assert len(list(site.notes)) == 1
        refusing[0] = False
        await site.run(3_600)
        assert list(site.notes) == []
