"""Listings: all pages, each object once, and honest about whether absence means anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.fake_vtn import FakeVtn, problem
from venclient.client.listing import Listing, Page, read_listing
from venclient.errors import VtnProblem, VtnUnreachable
from venclient.openadr.codec import decode_list
from venclient.openadr.objects import Event


def events(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": f"E{number}", "programID": "P"} for number in numbers]


def ids(listing: Listing[Event]) -> list[str | None]:
    return [event.id for event in listing.items]


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 99, 100, 120])
async def test_row_19_all_pages_are_read(vtn: FakeVtn, count: int) -> None:
    """However many objects there are, each is given once, in the VTN's order."""
    vtn.collections["events"] = events(*range(count))
    async with vtn.client() as client:
        listing = await client.events()

    assert ids(listing) == [f"E{number}" for number in range(count)]
    assert listing.complete
    assert listing.ids == {f"E{number}" for number in range(count)}
    assert all(request.url.params["limit"] == "50" for request in vtn.calls("GET", "events"))


Change = Callable[[list[dict[str, Any]]], None]


@pytest.mark.parametrize(
    "change",
    [
        lambda held: held.insert(0, events(999)[0]),
        lambda held: held.pop(0),
        lambda held: held.insert(3, held.pop(110)),
        lambda held: held.reverse(),
        lambda held: held.__delitem__(slice(10, None)),
    ],
    ids=["insert", "remove", "reorder", "reverse", "most gone"],
)
async def test_row_19_a_list_that_moves_is_read_again(vtn: FakeVtn, change: Change) -> None:
    """An insertion, removal or reordering between two pages is noticed; the end state is given whole."""
    held = vtn.collections["events"] = events(*range(120))
    moved: list[bool] = []

    def before(request: httpx2.Request) -> None:
        if request.url.params.get("skip") != "0" and not moved:
            moved.append(True)
            change(held)

    vtn.before = before
    async with vtn.client() as client:
        listing = await client.events()

    assert ids(listing) == [event["id"] for event in held]
    assert listing.complete


async def test_a_list_that_never_rests_is_not_complete(vtn: FakeVtn) -> None:
    """When something new comes before each page, absence means nothing, and the client gives up in time."""
    held = vtn.collections["events"] = events(*range(120))
    vtn.before = lambda request: held.insert(0, events(1000 + len(held))[0])
    async with vtn.client() as client:
        listing = await client.events()

    assert not listing.complete
    assert len(vtn.requests) < 30


async def test_an_order_that_changes_alone_is_complete(vtn: FakeVtn) -> None:
    """A VTN that gives the same objects in another order each time is believed after two equal readings."""
    held = vtn.collections["events"] = events(*range(60))
    vtn.before = lambda request: (
        held.append(held.pop(0)) if request.url.params["skip"] == "0" else held.reverse()
    )
    async with vtn.client() as client:
        listing = await client.events()

    assert len(listing.items) == len(set(ids(listing)))
    assert listing.complete == (len(listing.items) == 60)


@pytest.mark.parametrize("count", [20, 50, 70])
async def test_a_vtn_without_paging_is_read_once(vtn: FakeVtn, count: int) -> None:
    """A VTN that ignores skip and limit ends no client in a loop, and loses nothing."""
    vtn.handlers["GET", "events"] = lambda request: httpx2.Response(200, json=events(*range(count)))
    async with vtn.client() as client:
        listing = await client.events()

    assert ids(listing) == [f"E{number}" for number in range(count)]
    assert listing.complete
    assert len(vtn.calls("GET", "events")) <= 8


@pytest.mark.parametrize("most", [1, 2, 20, 49])
@pytest.mark.parametrize("count", [1, 20, 40, 150])
async def test_a_vtn_that_gives_fewer_than_asked_for_is_read_to_its_end(
    vtn: FakeVtn, most: int, count: int
) -> None:
    """Pages may be as short as the VTN likes, and the last one may be as long as the others."""
    held = vtn.collections["events"] = events(*range(count))

    def capped(request: httpx2.Request) -> httpx2.Response:
        skip, limit = int(request.url.params["skip"]), int(request.url.params["limit"])
        return httpx2.Response(200, json=held[skip : skip + min(most, limit)])

    vtn.handlers["GET", "events"] = capped
    async with vtn.client() as client:
        listing = await client.events()

    assert ids(listing) == [f"E{number}" for number in range(count)]
    assert listing.complete


@pytest.mark.parametrize("status", [400, 404, 416])
async def test_an_error_behind_the_last_page_is_its_end(vtn: FakeVtn, status: int) -> None:
    """A VTN that refuses to skip everything has no more; an error within full pages stays one."""
    held = vtn.collections["events"] = events(0)

    def strict(request: httpx2.Request) -> httpx2.Response:
        skip = int(request.url.params["skip"])
        return problem(status) if skip >= len(held) else httpx2.Response(200, json=held[skip : skip + 50])

    vtn.handlers["GET", "events"] = strict
    async with vtn.client() as client:
        listing = await client.events()
        assert (ids(listing), listing.complete) == (["E0"], True)

        vtn.handlers["GET", "events"] = lambda request: (
            problem(status)
            if request.url.params["skip"] != "0"
            else httpx2.Response(200, json=events(*range(50)))
        )
        with pytest.raises(VtnProblem):
            await client.events()


async def test_a_vtn_that_ignores_the_page_is_asked_twice(vtn: FakeVtn) -> None:
    """The same page again is the end, and no sign that the list moved."""
    vtn.handlers["GET", "events"] = lambda request: httpx2.Response(200, json=events(*range(20)))
    async with vtn.client() as client:
        assert (await client.events()).complete

    assert len(vtn.calls("GET", "events")) == 2


async def test_row_39_a_failed_page_gives_no_listing(vtn: FakeVtn) -> None:
    """When page two fails for good, an error is raised instead of half a list."""
    vtn.collections["events"] = events(*range(60))
    vtn.faults = [None, *[problem(500)] * 4]
    async with vtn.client() as client:
        with pytest.raises(VtnProblem):
            await client.events()


@pytest.mark.parametrize("body", ["<html>login</html>", '{"items": []}', "[{"])
async def test_a_page_that_is_no_list_is_a_broken_answer(vtn: FakeVtn, body: str) -> None:
    """200 with HTML, an object, or cut JSON is VtnUnreachable, not an empty listing."""
    vtn.faults = [httpx2.Response(200, text=body)]
    async with vtn.client() as client:
        with pytest.raises(VtnUnreachable, match="VEN-VTN-012"):
            await client.events()


async def test_a_bad_object_is_named_once_and_counted(vtn: FakeVtn, caplog: pytest.LogCaptureFixture) -> None:
    """The others are given; it is logged once however often it is met, and still counts as listed."""
    vtn.collections["events"] = [*events(1), {"id": "E2"}, *events(3)]
    async with vtn.client() as client:
        for _ in range(3):
            listing = await client.events()
        refused = client.status.refused_objects

    assert ids(listing) == ["E1", "E3"]
    assert listing.ids == {"E1", "E2", "E3"}
    assert listing.complete
    assert refused == 3
    assert [record.message.split(" of ")[0] for record in caplog.records] == ["events[1] (id 'E2')"]


async def test_one_mistake_in_every_object_is_one_line(
    vtn: FakeVtn, caplog: pytest.LogCaptureFixture
) -> None:
    """Objects that are skipped, or read in part, for one reason are counted in one line."""
    vtn.collections["events"] = [{"id": f"E{n}", "programID": "P", "priority": "high"} for n in range(120)]
    vtn.collections["events"] += [{"id": f"B{n}"} for n in range(30)]
    async with vtn.client() as client:
        for _ in range(2):
            assert len((await client.events()).items) == 120

    skipped, partly = caplog.records
    assert "29 more" in skipped.getMessage()
    assert "119 more" in partly.getMessage()


async def test_a_bad_object_without_id_makes_absence_mean_nothing(vtn: FakeVtn) -> None:
    """An object that may be one that we miss leaves the listing incomplete."""
    vtn.collections["events"] = [*events(1), {"intervals": 3}]
    async with vtn.client() as client:
        listing = await client.events()

    assert not listing.complete
    assert len(listing.refused) == 1


async def test_row_25_both_target_queries_are_joined(vtn: FakeVtn) -> None:
    """With targets, what a query without them gives and what a query with them gives are one listing."""

    def strict(request: httpx2.Request) -> httpx2.Response:
        asked = request.url.params.get_list("targets")
        return httpx2.Response(200, json=events(1, 2) if not asked else events(2, 3))

    vtn.handlers["GET", "events"] = strict
    async with vtn.client() as client:
        listing = await client.events("P", targets=["zone-a", "zone-b"])

    assert ids(listing) == ["E1", "E2", "E3"]
    queries = [request.url.params for request in vtn.calls("GET", "events")]
    assert [query.get_list("targets") for query in queries if query["skip"] == "0"] == [
        [],
        ["zone-a", "zone-b"],
    ]
    assert {query["programID"] for query in queries} == {"P"}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 200)), max_size=8), st.integers(0, 160))
@settings(max_examples=60, deadline=None)
def test_what_rests_is_never_missed_by_a_complete_listing(moves: list[tuple[int, int]], count: int) -> None:
    """With insertions and removals at random pages, a complete listing misses nothing that stayed."""
    held = events(*range(count))
    throughout = {event["id"] for event in held}
    pending = [] if len({kind % 2 for kind, _ in moves}) > 1 else list(moves)

    async def fetch(skip: int, limit: int) -> Page[Event]:
        if skip and pending:
            kind, at = pending.pop(0)
            if kind % 2:
                held.insert(min(at, len(held)), events(1000 + len(pending))[0])
            elif held:
                throughout.discard(held.pop(min(at, len(held) - 1))["id"])
        return Page(decode_list(Event, json.dumps(held[skip : skip + limit]).encode()))

    listing = asyncio.run(read_listing(fetch))

    if listing.complete:
        assert throughout <= listing.ids


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 160)), max_size=6), st.integers(51, 160))
@settings(max_examples=60, deadline=None)
def test_row_39_what_was_known_is_not_missed_whatever_moves(moves: list[tuple[int, int]], count: int) -> None:
    """Insertions that hide removals between pages do not make a known object vanish that stayed."""
    held = events(*range(count))
    known = {event["id"] for event in held}
    throughout = set(known)
    pending = list(moves)

    async def fetch(skip: int, limit: int) -> Page[Event]:
        if skip:
            for kind, at in pending[:2]:
                if kind:
                    held.insert(min(at, len(held)), events(1000 + len(pending))[0])
                elif held:
                    throughout.discard(held.pop(min(at, len(held) - 1))["id"])
            del pending[:2]
        return Page(decode_list(Event, json.dumps(held[skip : skip + limit]).encode()))

    listing = asyncio.run(read_listing(fetch, known))

    if listing.complete:
        assert throughout <= listing.ids


async def test_row_39_an_object_hidden_between_pages_is_looked_for_again() -> None:
    """One moves over the page's end while another goes: the pages agree, and still none is missed."""
    held = events(*range(120))
    known = {event["id"] for event in held}
    passes = 0

    async def fetch(skip: int, limit: int) -> Page[Event]:
        nonlocal passes
        passes += not skip
        if skip and passes == 1 and held[0]["id"] == "E0":
            del held[0]
            held.insert(0, held.pop(60))
        return Page(decode_list(Event, json.dumps(held[skip : skip + limit]).encode()))

    careless = await read_listing(fetch)
    held[:] = events(*range(120))
    passes = 0
    careful = await read_listing(fetch, known)

    assert "E61" not in careless.ids
    assert careful.complete
    assert careful.ids == {f"E{number}" for number in range(1, 120)}


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize("broken", [True, False])
async def test_objects_without_an_id_on_the_same_page_for_ever_end_the_listing(
    vtn: FakeVtn, count: int, broken: bool
) -> None:
    """A VTN without paging is not asked for page after page because its objects have no id."""
    one = {"programID": {} if broken else "P"}
    vtn.handlers["GET", "events"] = lambda request: httpx2.Response(200, json=[one] * count)
    async with vtn.client() as client:
        listing = await client.events()

    assert len(vtn.calls("GET", "events")) <= 3
    assert not listing.complete
    assert len(listing.refused if broken else listing.items) == count


async def test_an_object_that_is_twice_on_a_page_is_given_once(vtn: FakeVtn) -> None:
    """Whatever a VTN repeats, each id is one object."""
    vtn.collections["events"] = [*events(1, 2), *events(1, 3)]
    async with vtn.client() as client:
        listing = await client.events()

    assert ids(listing) == ["E1", "E2", "E3"]
