"""What a VTN sends is limited: bytes after decompression, pages, objects and bytes of a listing."""

from __future__ import annotations

import gzip
import json
import logging
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import httpx2
import pytest

from venclient.client import VenClient, VtnAccount
from venclient.client.limits import MB, Body, LimitReached, Limits
from venclient.client.pages import PageMemory
from venclient.clock import ManualClock
from venclient.errors import VtnUnreachable
from venclient.messages import code_of
from venclient.openadr.codec import Decoded
from venclient.openadr.times import parse_time

NOW = parse_time("2026-01-01T00:00:00Z")
Handler = Callable[[httpx2.Request], httpx2.Response]


class Chunks(httpx2.AsyncByteStream):
    """A body that comes in pieces; `given` counts them."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.given = 0

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        for piece in self._pieces:
            self.given += 1
            yield piece


def client(handler: Handler, limits: Limits) -> VenClient:
    """Return a client that talks to a function."""
    account = VtnAccount(url="https://vtn.example/3.1", limits=limits)
    return VenClient(account, ManualClock(NOW), transport=httpx2.MockTransport(handler))  # type: ignore[arg-type]


def page(request: httpx2.Request, size: int = 50) -> list[dict[str, str]]:
    """Return a page of an endless list of programs."""
    skip = int(request.url.params["skip"])
    return [{"id": f"P{n}", "programName": f"p{n}"} for n in range(skip, skip + size)]


def bomb() -> Iterator[bytes]:
    """Yield a gigabyte of spaces, as gzip."""
    packer = zlib.compressobj(9, wbits=31)
    for _ in range(1024):
        yield packer.compress(b" " * MB)
    yield packer.flush()


async def test_a_response_that_grows_is_not_read_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """A gigabyte of gzip takes little memory; it is an error that no other attempt follows, logged once."""
    body = Chunks(piece for piece in bomb() if piece)
    asked = 0

    def answer(_: httpx2.Request) -> httpx2.Response:
        nonlocal asked
        asked += 1
        return httpx2.Response(200, headers={"Content-Encoding": "gzip"}, stream=body)

    tracemalloc.start()
    try:
        async with client(answer, Limits(response_mb=4)) as ven:
            with pytest.raises(VtnUnreachable) as caught:
                await ven.programs()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert caught.value.code == "VEN-VTN-150"
    assert not caught.value.transient
    assert asked == 1
    assert most < 32 * MB


async def test_chunks_without_end_are_not_read_to_their_end() -> None:
    """A body that never ends is left at the limit."""

    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * 65_536

    body = Chunks(endless())
    async with client(lambda _: httpx2.Response(200, stream=body), Limits(response_mb=1)) as ven:
        with pytest.raises(VtnUnreachable):
            await ven.programs()

    assert body.given == 17


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("", lambda raw: raw),
        ("identity", lambda raw: raw),
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda raw: zlib.compress(raw)[2:-4]),
        ("gzip, gzip", lambda raw: gzip.compress(gzip.compress(raw))),
    ],
)
def test_usual_compressions_are_read(encoding: str, packed: Callable[[bytes], bytes]) -> None:
    """What is within the limit is the same, however it is packed and cut into pieces."""
    raw = b"[" + b"1," * 100_000 + b"1]"
    body = Body(encoding, 1)
    sent = packed(raw)
    for start in range(0, len(sent), 777):
        body.add(sent[start : start + 777])

    assert body.whole() == raw


def test_an_unknown_compression_is_named() -> None:
    """A compression that the request did not offer is an error."""
    with pytest.raises(LimitReached):
        Body("br", 1)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(listing_pages=10),
        Limits(listing_items=490),
        Limits(listing_mb=0.02),
    ],
)
async def test_an_endless_listing_ends(limits: Limits, caplog: pytest.LogCaptureFixture) -> None:
    """What was read counts, nothing missing is taken as gone, and the limit is logged once."""
    asked = 0

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal asked
        asked += 1
        return httpx2.Response(200, json=page(request))

    with caplog.at_level(logging.INFO):
        async with client(answer, limits) as ven:
            first = await ven.programs()
            await ven.programs()

    assert 100 <= len(first.items) <= 600
    assert not first.complete
    assert asked <= 28
    assert [code_of(one.msg) for one in caplog.records].count("VEN-VTN-156") == 1


async def test_the_end_of_an_excess_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """When the VTN lists less again, that is said, and the listing is complete."""
    lists = iter([True, True, True, False])

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=page(request) if next(lists) else [])

    with caplog.at_level(logging.INFO):
        async with client(answer, Limits(listing_pages=3)) as ven:
            await ven.programs()
            again = await ven.programs()

    assert again.complete
    assert code_of(caplog.records[-1].msg) == "VEN-VTN-157"


async def test_a_large_page_is_decoded_object_by_object() -> None:
    """A listing of more than a megabyte is read beside the event loop, and is the same."""
    raw = [{"id": f"P{n}", "programName": f"p{n}" + "x" * 1000} for n in range(1500)]
    async with client(lambda _: httpx2.Response(200, content=json.dumps(raw).encode()), Limits()) as ven:
        listing = await ven.programs()

    assert [one.id for one in listing.items] == [one["id"] for one in raw]


def test_remembered_pages_are_bounded_in_bytes() -> None:
    """The pages that were not asked for longest go."""
    memory = PageMemory(most_bytes=1000)
    for number in range(20):
        key = (("events",), (("skip", str(number)),))
        memory.keep(key, '"tag"', Decoded([], [], []), 100)

    assert len(memory) == 10


def test_what_lies_between_two_compressions_counts_as_well() -> None:
    """Empty blocks of deflate, compressed once more: much work, of which nothing comes."""
    empty = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    blocks = empty.flush(zlib.Z_FULL_FLUSH) + b"\x00\x00\x00\xff\xff" * (MB // 2)
    body = Body("gzip, gzip", 1)
    with pytest.raises(LimitReached):
        body.add(gzip.compress(blocks))


def test_a_response_compressed_many_times_is_refused() -> None:
    """No server does so; each time multiplies what a few bytes can become."""
    with pytest.raises(LimitReached):
        Body(", ".join(["gzip"] * 1000), 1)
    for times in (1, 2, 3):
        data = b"{}"
        for _ in range(times):
            data = gzip.compress(data)
        body = Body(", ".join(["gzip"] * times), 1)
        body.add(data)
        assert body.whole() == b"{}"
