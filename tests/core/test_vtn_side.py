"""The gateway's side towards the VTN: what a refusal, a fault or a bad object may and may not do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest

from tests.client.fake_vtn import FakeVtn, problem
from venclient.clock import ManualClock
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.notes import Notes
from venclient.reporting.delivery import Reporter
from venclient.reporting.eventbook import EventBook
from venclient.settings import Settings
from venclient.vtn_side import REGISTER_AGAIN_S, VtnSide


def resource(name: str) -> Resource:
    """Give a resource of that name."""
    connection = Connection(ConnectionType.MODBUSTCP, ActorType.READER, "127.0.0.1")
    return Resource(
        name, name, "DSR", "Hotels", f"meter-{name}", connection, {"P_max_kw": 5}, {}, enabled=True
    )


@dataclass
class Options:
    """What of a reporter's options is set here."""

    ven_targets: frozenset[str] = frozenset()


class Site:
    """A VtnSide against a fake VTN."""

    def __init__(self, folder: Path, *names: str, programs: tuple[str, ...] = ()) -> None:
        self.clock = ManualClock()
        self.vtn = FakeVtn(self.clock)
        self.book = EventBook(folder / "state.db")
        self.reporter = SimpleNamespace(resources=[], options=Options())
        self.client = self.vtn.client(retries=0)
        self.notes = Notes()
        values = {"ven.name": "ven", "vtn.poll_s": 60.0, "vtn.programs": programs}
        self.side = VtnSide(
            Settings(values, {}, folder),
            self.client,
            self.book,
            cast("Reporter", self.reporter),
            {name: resource(name) for name in names},
            {name: name for name in names},
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
        await site.run(REGISTER_AGAIN_S)
        assert site.side.registered == {"bar", "hotel"}

    assert sum("no bars" in record.getMessage() for record in caplog.records) == 1


async def test_a_vtn_that_goes_while_registering_is_not_asked_for_each_resource(tmp_path: Path) -> None:
    """A thousand resources do not mean a thousand time-outs before the VTN is given time."""
    site = Site(tmp_path, *(f"r{n}" for n in range(100)))
    site.vtn.handlers["POST", "resources"] = lambda _: problem(503)
    async with site.following():
        assert len(site.vtn.calls("POST", "resources")) <= 8
        assert site.side.state == "unreachable"
        del site.vtn.handlers["POST", "resources"]
        await site.run(60)
        assert len(site.side.registered) == 100


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
        patched.setattr(site.book, "apply", broken)
        async with site.following():
            await site.run(600)
            assert "ZeroDivisionError" in (site.side.last_error or "")
            patched.undo()
            await site.run(600)
            assert set(site.book.events) == {"E1"}
            assert site.side.state == "connected"

    assert len([one for one in caplog.records if one.exc_info]) == 1
