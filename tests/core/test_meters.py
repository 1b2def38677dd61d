"""Meters whose resources change while others read from the same place: who is closed and opened when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.connectors.sites import make_site
from venclient.clock import SystemClock
from venclient.connectors.base import Batch, Site
from venclient.errors import ConfigError
from venclient.messages import gateway as gwy
from venclient.meters import Meters
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.notes import Notes


def resource(name: str, *, password: str = "env:A", host: str = "192.0.2.1") -> Resource:
    """Return a resource behind a broker."""
    connection = Connection(ConnectionType.MQTT, ActorType.READER, host, 1883, topic=f"meters/{name}")
    connection.password = password
    place = {"latitude": 56.1, "longitude": 9.0}
    return Resource(name, name, "DSR", None, name, connection, {"P_max_kw": 40}, place, enabled=True)


class SilentReader:
    """A reader of a source that says nothing; what becomes of it is written into the book's `log`."""

    interval_s: float | None = None
    timeout_s = 5.0

    def __init__(self, book: Book, resource: Resource) -> None:
        self._book = book
        self._name = resource.resourceID
        self._password = resource.connection.password
        book.log.append(f"open {self._name}")
        book.open[self._name] = str(self._password)

    async def read(self) -> Batch:
        """Wait for ever."""
        await asyncio.Event().wait()
        return Batch()

    async def close(self) -> None:
        """Close, once the book lets it."""
        if self._name in self._book.slow:
            await self._book.slow[self._name].wait()
        self._book.log.append(f"close {self._name}")
        self._book.open.pop(self._name)


@dataclass
class Book:
    """What happened, who is open with which password, and whose closing takes long."""

    log: list[str] = field(default_factory=list)
    open: dict[str, str] = field(default_factory=dict)
    slow: dict[str, asyncio.Event] = field(default_factory=dict)

    def open_reader(self, resource: Resource, _site: Site) -> SilentReader:
        """Open a reader; all that are open must have one password, as one connection has."""
        if self.open and set(self.open.values()) != {str(resource.connection.password)}:
            raise ConfigError(gwy.NOT_STARTED(), subject=resource.resourceID)
        return SilentReader(self, resource)


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Book:
    """Return a book that every reader writes into."""
    made = Book()
    monkeypatch.setattr("venclient.meters.open_reader", made.open_reader)
    return made


@pytest.fixture
async def meters(book: Book, tmp_path: Path) -> AsyncIterator[Meters]:
    """Return meters that are read."""

    async def keep(_name: str, _batch: Batch) -> None:
        return

    made = Meters(make_site(tmp_path), keep, SystemClock(), Notes())
    task = asyncio.create_task(made.run())
    yield made
    for event in book.slow.values():
        event.set()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert book.open == {}


def serve(meters: Meters, *resources: Resource) -> None:
    """Serve these."""
    meters.serve({one.resourceID: one for one in resources})


async def until(holds: Callable[[], bool]) -> None:
    """Return once something holds."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 (no event is set for it)
            await asyncio.sleep(0)


async def test_readers_of_one_broker_are_opened_after_all_of_them_are_closed(
    meters: Meters, book: Book
) -> None:
    """Another password for all: none is opened alone, and none is refused for the password of another."""
    book.slow["b"] = asyncio.Event()
    serve(meters, *(resource(name) for name in "abc"))
    await until(lambda: len(book.open) == 3)
    book.log.clear()
    serve(meters, *(resource(name, password="env:B") for name in "abc"))
    await until(lambda: len(book.log) == 2)
    assert sorted(book.log) == ["close a", "close c"]

    book.slow["b"].set()
    await until(lambda: len(book.open) == 3)
    assert book.log[2] == "close b"
    assert sorted(book.log[3:]) == ["open a", "open b", "open c"]
    assert meters.in_use == 3


async def test_one_that_was_refused_for_the_password_of_others_is_opened_with_them(
    meters: Meters, book: Book
) -> None:
    """Passwords that are changed one by one: all are open once the last one is changed."""
    serve(meters, resource("a"), resource("b"))
    await until(lambda: len(book.open) == 2)
    serve(meters, resource("a", password="env:B"), resource("b"))
    await until(lambda: (one := meters.get("a")) is not None and one.refusal is not None)
    one = meters.get("a")
    assert one is not None
    one._retries = 16  # it would try again in five minutes

    serve(meters, *(resource(name, password="env:B") for name in "ab"))
    await until(lambda: book.open == {"a": "env:B", "b": "env:B"})


async def test_reader_elsewhere_does_not_wait_for_one_that_closes_slowly(meters: Meters, book: Book) -> None:
    """Only those that read from the same place are waited for."""
    book.slow["a"] = asyncio.Event()
    serve(meters, resource("a"), resource("b", host="192.0.2.2"))
    await until(lambda: len(book.open) == 2)
    book.log.clear()
    renamed = [resource("a"), resource("b", host="192.0.2.2")]
    for one in renamed:
        one.resourceName = "other"
    serve(meters, *renamed)
    await until(lambda: book.log == ["close b", "open b"])


async def test_resource_that_is_deleted_and_stored_again_is_opened_after_its_old_reader_is_closed(
    meters: Meters, book: Book
) -> None:
    """Two readers of one resource would read everything twice, also where the new one reads elsewhere."""
    book.slow["a"] = asyncio.Event()
    serve(meters, resource("a"))
    await until(lambda: len(book.open) == 1)
    serve(meters)
    serve(meters, resource("a", host="192.0.2.2"))
    assert book.log == ["open a"]
    one = meters.get("a")
    assert one is not None
    assert (one.poller, one.refusal) == (None, None)

    book.slow["a"].set()
    await until(lambda: book.log == ["open a", "close a", "open a"])
    assert meters.in_use == 1


async def test_edits_in_quick_succession_end_with_the_last_one_open(meters: Meters, book: Book) -> None:
    """Each may come while the reader before is opened or closed."""
    serve(meters, resource("a"), resource("b"))
    for number in range(200):
        serve(meters, *(resource(name, password=f"env:P{number}") for name in "ab"))
        for _ in range(number % 7):
            await asyncio.sleep(0)
    await until(lambda: book.open == {"a": "env:P199", "b": "env:P199"})


async def test_resource_that_is_gone_before_it_was_read_leaves_nothing_open(
    meters: Meters, book: Book
) -> None:
    """Its reader was opened, and is closed."""
    serve(meters, resource("a"))
    serve(meters)
    await until(lambda: book.log == ["open a", "close a"])
    assert book.open == {}
