"""What a connector is: the one interface behind polled, pushed and followed meters.

A connector turns one resource's connection into a `Reader`. The poller owns schedule, time-outs,
back-off and logging; a connector holds nothing but its protocol.

    Modbus  read() asks now                    interval_s = polling period
    File    read() gives the rows new since    interval_s = how often to look
    MQTT    read() waits for messages          interval_s = None: call again at once
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from venclient.clock import Clock
from venclient.connectors.leases import Leases
from venclient.model.reading import Reading, Reject
from venclient.model.resource import Resource
from venclient.model.setpoint import Receipt, Setpoint
from venclient.thinned import Thinned


def _is_never_stored(_resource_id: str, _mark: int) -> bool:
    """Stand for a store that remembers no messages."""
    return False


def _nothing_to_acknowledge() -> None:
    """Stand for the acknowledgement of sources that keep nothing for us."""


@dataclass(frozen=True)
class Batch:
    """What one `read()` brought.

    `bookmarks` are stored in the same commit as `readings` (a file's offset: never twice, never lost).
    `acknowledge` is called after that commit (a broker's message: never lost). `replayable` says that
    the source keeps what is not acknowledged; readings that are not may be lost with a power cut.
    `more` says that a backlog waits: a polled source is read again at once, not in its next slot. `silent`
    says that what came holds no value and the source counts as silent: it is not back.

    `arrivals` has a number for each of `readings`: that of the message that it came in where its time is that
    of arrival, -1 where the source states the time. Each number gets a different time: two messages never
    become one row. Empty: the times stay as they are.
    """

    readings: Sequence[Reading] = ()
    rejects: Sequence[Reject] = ()
    bookmarks: Mapping[str, str] = field(default_factory=dict)
    acknowledge: Callable[[], None] = _nothing_to_acknowledge
    replayable: bool = False
    more: bool = False
    silent: bool = False
    arrivals: Sequence[int] = ()


@runtime_checkable
class Reader(Protocol):
    """A source of one resource's readings."""

    interval_s: float | None
    timeout_s: float

    async def read(self) -> Batch:
        """Return the next readings; raise a ConnectorError when the device cannot be read."""
        ...

    async def close(self) -> None:
        """Let go of the device; safe to call twice."""
        ...


@runtime_checkable
class Writer(Protocol):
    """A resource's device that accepts commands."""

    async def write(self, setpoint: Setpoint) -> Receipt:
        """Send a setpoint; raise WriteRefused when it is refused or not allowed, else a ConnectorError."""
        ...

    async def close(self) -> None:
        """Let go of the device; safe to call twice."""
        ...


@dataclass(frozen=True)
class Site:
    """What connectors share within one gateway.

    `folder` is where relative file names start (the registry file's folder); `bookmark` gives what was
    last stored under a key; `secret` resolves a reference (`env:NAME`, `file:PATH`) or gives a literal
    as it is; `leases` holds the links that several readers share. `one_shot` says that this is a single
    look: nothing may be left behind at the source (a broker keeps no session). `is_stored` says whether a
    resource's message of that mark (`Reading.mark`) is committed. `protected` are files that are
    never meter files; `roots` are the folders that files of new connections must lie in, beside `folder`;
    None: they may lie anywhere. `thinned` chooses which lines of one kind are logged.
    """

    clock: Clock
    folder: Path
    bookmark: Callable[[str], str | None]
    secret: Callable[[str], str]
    leases: Leases
    client_id: str = "venclient"
    one_shot: bool = False
    is_stored: Callable[[str, int], bool] = _is_never_stored
    protected: Sequence[Path] = ()
    roots: tuple[Path, ...] | None = None
    thinned: Thinned = field(default_factory=Thinned)


OpenReader = Callable[[Resource, Site], Reader]
OpenWriter = Callable[[Resource, Site], Writer]
