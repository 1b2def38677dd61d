"""Copy me: a whole connector, small enough to read in one go, that passes the same tests as the real ones.

The protocol is the simplest that deserves one. Connect by TCP, send "power?" and a line end; the device
answers with one line, "1.25 kW", or "-" when it has no value now. A login, if any, goes first.

What a connector does: check all options when it is opened, touch the network only in `read()`, raise
errors of our tree that say what to do, skip and name what it cannot understand. What it leaves to the
poller: schedule, back-off, logging. See docs/how-to/add-a-connector.md.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated

import msgspec
from msgspec import Meta

from venclient.connectors.base import Batch, Reader, Site
from venclient.connectors.mistakes import shown
from venclient.connectors.options import check_options, refuse, subject_of
from venclient.errors import ConnectFailed, ConnectorError, ReadTimeout
from venclient.messages import connectors as con
from venclient.model.reading import POWER_KW, Reading, Reject
from venclient.model.resource import Resource

DEFAULT_PORT = 7000
PAGE = "docs/how-to/add-a-connector.md"


class BlueprintOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the connection says beyond host, port, username and password."""

    interval_s: Annotated[float, Meta(gt=0)] = 10.0
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 1.0
    scale: float = 1.0


class BlueprintReader:
    """Reads the power of one device, in kW."""

    def __init__(self, resource: Resource, options: BlueprintOptions, site: Site) -> None:
        self.interval_s: float | None = options.interval_s
        self.timeout_s = 3 * options.timeout_s  # connecting and asking each have their own limit within
        self._resource = resource
        self._options = options
        self._site = site
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def read(self) -> Batch:
        """Return the power now; raise ConnectorError when the device cannot be asked."""
        try:
            line = await self._ask("power?")
        except (ConnectorError, asyncio.CancelledError):
            # An answer may still be on its way: never let the next question find it.
            await self._disconnect()
            raise
        if line == "-":
            return Batch()
        number, _, unit = line.partition(" ")
        try:
            value = float(number) * self._options.scale
            reading = Reading(self._resource.resourceID, POWER_KW, value, self._site.clock.now())
        except ValueError:
            return Batch(rejects=(self._reject(line),))
        if unit != "kW" or not -1e9 < value < 1e9:
            return Batch(rejects=(self._reject(line),))
        return Batch(readings=(reading,))

    async def close(self) -> None:
        """Let go of the device; safe to call twice."""
        await self._disconnect()

    def _reject(self, line: str) -> Reject:
        return Reject(self._resource.connection.endpoint, con.EXAMPLE_VALUE(value=shown(line)))

    async def _ask(self, question: str) -> str:
        subject = subject_of(self._resource)
        try:
            if self._streams is None:
                async with asyncio.timeout(self._options.timeout_s):
                    self._streams = await self._connect()
            reader, writer = self._streams
            writer.write(f"{question}\n".encode())
            async with asyncio.timeout(self._options.timeout_s):
                answer = await reader.readline()
        except TimeoutError:
            raise ReadTimeout(con.EXAMPLE_SILENT(limit_s=self._options.timeout_s), subject=subject) from None
        except (OSError, ValueError) as error:
            raise ConnectFailed(con.EXAMPLE_UNREACHABLE(error=error), subject=subject) from error
        if not answer.endswith(b"\n"):
            raise ConnectFailed(con.EXAMPLE_CLOSED(), subject=subject)
        return answer.decode("ascii", "replace").strip()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        connection = self._resource.connection
        streams = await asyncio.open_connection(connection.host, connection.port or DEFAULT_PORT)
        if connection.password:
            # A password is a reference until the moment it is used, and never part of a message.
            streams[1].write(f"login {self._site.secret(connection.password)}\n".encode())
        return streams

    async def _disconnect(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()


def open_blueprint_reader(resource: Resource, site: Site) -> Reader:
    """Build the reader of a connection; ConfigError lists everything that is wrong with it."""
    options, problems = check_options(resource.connection.options, BlueprintOptions)
    if not resource.connection.host:
        problems.insert(0, con.HOST_MISSING(device="device"))
    if options is None or problems:
        raise refuse(resource, problems, page=PAGE)
    return BlueprintReader(resource, options, site)
