"""Answers without end: what is in front of InfluxDB may send anything, and memory stays bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from venclient.errors import StoreError
from venclient.readings import influx
from venclient.readings.influx import InfluxServer
from venclient.readings.influx_account import InfluxAccount
from venclient.readings.influx_probe import InfluxProbe
from venclient.readings.influx_query import window_of

pytestmark = pytest.mark.peer

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LINE = b"meter_reading,resource_id=meter-0 power_kw=1"
PIECE = b"x" * 65_536
#: What the network holds between two programs, in pieces: all that may be sent and not read.
BUFFERED = 400


class Endless:
    """Counts the pieces that it sent; a client that never hangs up gets ten times what one may read."""

    def __init__(self, status: str, start: bytes) -> None:
        self.pieces = 0
        self._head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n\r\n".encode() + start

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send without an end until the other side hangs up."""
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self._head)
            while self.pieces < 10 * BUFFERED:
                writer.write(PIECE)
                await writer.drain()
                self.pieces += 1
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(status: str, start: bytes = b"") -> AsyncIterator[tuple[Endless, InfluxAccount]]:
    """Serve endless answers, and return the account of that server."""
    endless = Endless(status, start)
    server = await asyncio.start_server(endless.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield endless, InfluxAccount(f"http://127.0.0.1:{port}", org="o", token="t", timeout_s=60.0)
    finally:
        server.close()


@pytest.mark.parametrize(
    ("status", "start", "kind", "dropped"),
    [
        ("200 OK", b"<html><title>Hotel</title>", "later", None),
        ("511 Network Authentication Required", b"<html><title>Hotel</title>", "later", None),
        ("422 Unprocessable Entity", b'{"message": "partial write: dropped=7 ', "refused", 7),
    ],
)
async def test_an_endless_answer_to_a_write_is_read_to_a_bound(
    status: str, start: bytes, kind: str, dropped: int | None
) -> None:
    """The beginning says enough: the rest stays unread, and the write has an outcome."""
    async with serving(status, start) as (endless, account), InfluxServer(account) as server:
        verdict = await server.write(LINE, now=NOW)
    assert (verdict.kind, verdict.dropped) == (kind, dropped)
    assert len(verdict.reason) < 500
    assert endless.pieces < BUFFERED


async def test_endless_history_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than any window has is rejected: nothing of it is taken for readings."""
    monkeypatch.setattr(influx, "MOST_HISTORY", 2**20)
    async with serving("200 OK", b'{"results": [') as (endless, account), InfluxServer(account) as server:
        with pytest.raises(StoreError, match="VEN-INF-240"):
            await server.windows(window_of(["meter-0"], NOW - timedelta(hours=1), NOW))
    assert endless.pieces < BUFFERED


async def test_an_endless_page_is_named_by_doctor() -> None:
    """The probe reads the beginning, too."""
    page = b"<!doctype html><title>Free WiFi</title>"
    async with serving("200 OK", page) as (endless, account), InfluxProbe(account) as probe:
        with pytest.raises(StoreError, match=r"Free WiFi.*VEN-INF-018"):
            await probe.version()
    assert endless.pieces < BUFFERED
