"""What every connector promises, run against each with its real peer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.connectors.factories import FACTORIES, SECRET, Factory, Peer
from tests.connectors.sites import make_site
from venclient.connectors.base import Batch, Reader, Site
from venclient.errors import ConfigError, ConnectorError
from venclient.model.reading import Reading

pytestmark = [
    pytest.mark.peer,
    pytest.mark.parametrize("factory", FACTORIES, ids=[factory.name for factory in FACTORIES]),
]


@asynccontextmanager
async def opened(
    factory: Factory, folder: Path, port: int
) -> AsyncIterator[tuple[Peer, Reader, dict[str, str]]]:
    """Start the peer and open its reader; both end with the test."""
    bookmarks: dict[str, str] = {}
    async with factory.start(folder, port) as peer:
        reader = factory.opener(peer.resource, make_site(folder, bookmarks=bookmarks))
        try:
            yield peer, reader, bookmarks
        finally:
            await reader.close()


async def read_some(
    reader: Reader, bookmarks: dict[str, str], *, power_kw: float | None = None
) -> list[Batch]:
    """Read as the poller does, until `power_kw` (or anything, when None) has come."""
    batches: list[Batch] = []
    async with asyncio.timeout(60):
        while True:
            batch = await reader.read()
            bookmarks.update(batch.bookmarks)
            batch.acknowledge()
            batches.append(batch)
            values = [reading.value for reading in batch.readings]
            if any(power_kw is None or math.isclose(value, power_kw) for value in values):
                return batches


async def read_on(reader: Reader) -> None:
    """Read until the reader says that it cannot."""
    while True:
        await reader.read()


def powers(batches: list[Batch]) -> list[Reading]:
    """Return all power readings of some batches."""
    return [r for batch in batches for r in batch.readings if r.quantity == "power_kw"]


async def test_a_reader_has_what_the_poller_needs(factory: Factory, tmp_path: Path, free_port: int) -> None:
    """A reader is a Reader, with a period (or none, when pushed) and a limit."""
    async with opened(factory, tmp_path, free_port) as (_, reader, _bookmarks):
        assert isinstance(reader, Reader)
        assert reader.interval_s is None or reader.interval_s > 0
        assert reader.timeout_s > 0


async def test_what_the_device_shows_is_read(factory: Factory, tmp_path: Path, free_port: int) -> None:
    """Values arrive in kW, for the right resource, stamped with the aware UTC time of the read."""
    async with opened(factory, tmp_path, free_port) as (peer, reader, bookmarks):
        shown = datetime.now(UTC)
        await peer.show(-17.5)
        reading = powers(await read_some(reader, bookmarks, power_kw=-17.5))[-1]

        assert reading.resource_id == peer.resource.resourceID
        assert reading.time.utcoffset() == timedelta(0)
        assert shown <= reading.time <= datetime.now(UTC)


async def test_what_is_no_value_is_never_stored(factory: Factory, tmp_path: Path, free_port: int) -> None:
    """A device that shows nonsense gives no reading for it, and the next good value is read as ever."""
    async with opened(factory, tmp_path, free_port) as (peer, reader, bookmarks):
        await peer.show(2.5)
        await read_some(reader, bookmarks, power_kw=2.5)
        await peer.show_nonsense()
        if reader.interval_s is not None:
            batch = await reader.read()
            bookmarks.update(batch.bookmarks)
            assert not powers([batch])
        await peer.show(3.5)
        later = await read_some(reader, bookmarks, power_kw=3.5)

        assert {reading.value for reading in powers(later)} <= {2.5, 3.5}
        assert all(reject.place and reject.reason for batch in later for reject in batch.rejects)


async def test_a_device_that_is_gone_is_an_error_and_its_return_is_not(
    factory: Factory, tmp_path: Path, free_port: int
) -> None:
    """Without its device a reader raises a ConnectorError with a hint; with it, the same reader goes on."""
    async with opened(factory, tmp_path, free_port) as (peer, reader, bookmarks):
        await peer.show(2.5)
        await read_some(reader, bookmarks, power_kw=2.5)
        await peer.stop()
        with pytest.raises(ConnectorError) as caught:
            await asyncio.wait_for(read_on(reader), 60)

        assert caught.value.subject
        assert caught.value.hint
        assert SECRET not in str(caught.value)

        await peer.start()
        await peer.show(4.5)
        async with asyncio.timeout(60):
            while True:
                try:
                    assert powers(await read_some(reader, bookmarks, power_kw=4.5))
                    break
                except ConnectorError:
                    await asyncio.sleep(0.05)  # a real device is coming up


async def test_a_reader_survives_the_cancelling_of_a_read(
    factory: Factory, tmp_path: Path, free_port: int
) -> None:
    """A read that is cut off leaves the reader usable, and no answer for the wrong question."""
    async with opened(factory, tmp_path, free_port) as (peer, reader, bookmarks):
        await peer.show(2.5)
        await read_some(reader, bookmarks, power_kw=2.5)
        task = asyncio.create_task(reader.read())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await peer.show(6.5)

        assert powers(await read_some(reader, bookmarks, power_kw=6.5))


async def test_closing_twice_is_closing_once(factory: Factory, tmp_path: Path, free_port: int) -> None:
    """A reader may be closed again, and before it was ever used."""
    async with opened(factory, tmp_path, free_port) as (peer, reader, _):
        await reader.close()
        await reader.close()
        unused = factory.opener(peer.resource, make_site(tmp_path))
        await unused.close()


async def test_all_mistakes_in_the_options_are_named_at_once(
    factory: Factory, tmp_path: Path, free_port: int
) -> None:
    """Wrong options are refused when the connection is opened, with the resource and every mistake named."""
    async with factory.start(tmp_path, free_port) as peer:
        wrong = replace(
            peer.resource, connection=replace(peer.resource.connection, options=dict(factory.wrong))
        )
        with pytest.raises(ConfigError) as caught:
            factory.opener(wrong, make_site(tmp_path))

        assert peer.resource.resourceName in caught.value.subject
        assert len(caught.value.problems) > 1
        for word in factory.mistakes:
            assert word in str(caught.value)


async def test_a_connection_without_its_place_is_refused(
    factory: Factory, tmp_path: Path, free_port: int
) -> None:
    """A connection that does not say where the device is cannot be opened."""
    async with factory.start(tmp_path, free_port) as peer:
        nowhere = replace(peer.resource.connection, host=None, port=None, topic=None, file=None)
        with pytest.raises(ConfigError, match="VEN-CON-005"):
            factory.opener(replace(peer.resource, connection=nowhere), make_site(tmp_path))


async def test_no_secret_is_ever_shown(factory: Factory, tmp_path: Path, free_port: int) -> None:
    """Neither a reader nor an error about its connection shows the password."""
    async with opened(factory, tmp_path, free_port) as (peer, reader, bookmarks):
        await peer.show(2.5)
        batches = await read_some(reader, bookmarks)

        assert SECRET not in f"{reader!r} {vars(reader) if hasattr(reader, '__dict__') else ''} {batches!r}"


async def test_nothing_is_touched_before_the_first_read(
    factory: Factory, tmp_path: Path, free_port: int
) -> None:
    """Opening needs neither the device nor a running loop."""
    async with factory.start(tmp_path, free_port) as peer:
        await peer.stop()

        def open_and_forget(site: Site) -> Reader:
            return factory.opener(peer.resource, site)

        reader = await asyncio.to_thread(open_and_forget, make_site(tmp_path))
        await reader.close()
