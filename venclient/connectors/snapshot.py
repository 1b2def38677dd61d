"""One-shot readings: what a meter says now, without a gateway running."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from venclient.clock import Clock, SystemClock
from venclient.connectors import open_reader
from venclient.connectors.base import Site
from venclient.connectors.leases import Leases
from venclient.connectors.options import subject_of
from venclient.errors import ConnectorError, ReadTimeout
from venclient.messages import Text, with_code
from venclient.messages import connectors as con
from venclient.messages.printable import foreign
from venclient.model.reading import INTERVAL_ENERGY_KWH, POWER_KW, Reading, Reject
from venclient.model.resource import Connection, ConnectionType, Resource, ResourceType
from venclient.settings import resolve_secret

T = TypeVar("T")

_NO_VALUE = {ConnectionType.MQTT: con.NO_VALUE_MQTT, ConnectionType.FILEREADER: con.NO_VALUE_FILE}


def one_shot_site(folder: Path, clock: Clock | None = None) -> Site:
    """Build a site that remembers nothing and shares nothing: each look starts afresh."""
    return Site(
        clock=clock or SystemClock(),
        folder=folder,
        bookmark=lambda _key: None,
        secret=lambda reference: resolve_secret(reference, folder=folder),
        leases=Leases(),
        # Its own name: the session of a running gateway is not taken over.
        client_id=f"venclient-once-{uuid.uuid4().hex[:12]}",
        one_shot=True,
    )


async def take_snapshot(
    resource: Resource,
    site: Site,
    *,
    timeout_s: float = 10.0,
    wanted: str | None = None,
    rejects: list[Reject] | None = None,
    notes: list[str] | None = None,
) -> dict[str, list[Reading]]:
    """Return the newest readings of a resource by quantity, the last two each, oldest first.

    A source with a backlog (a file) is read to its end. One that is pushed is waited for until `wanted`,
    or anything at all, has come; ReadTimeout after `timeout_s`, with the reason of the last reject. What
    could not be read is added to `rejects`, and how a source is read (the layout of a file) to `notes`.
    """
    found: dict[str, list[Reading]] = {}
    last: Reject | None = None
    reader = open_reader(resource, site)
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                batch = await reader.read()
                for reading in batch.readings:
                    found[reading.quantity] = [*found.get(reading.quantity, ())[-1:], reading]
                if rejects is not None:
                    rejects += batch.rejects
                if batch.rejects:
                    last = batch.rejects[-1]
                if reader.interval_s is None:
                    if wanted in found or (wanted is None and found):
                        return found
                elif not batch.replayable or not (batch.readings or batch.rejects):
                    # Only what the source keeps for us can have more waiting behind it.
                    return found
    except TimeoutError:
        explain: Callable[[float], Text | None] = getattr(reader, "no_value", lambda _limit_s: None)
        what = explain(timeout_s)
        if what is not None:
            raise ReadTimeout(what, subject=subject_of(resource)) from None
        what = _NO_VALUE.get(resource.connection.type, con.NO_VALUE)(limit_s=timeout_s)
        if last is not None:
            place = foreign(last.place)
            what = con.NO_VALUE_SKIPPED(
                limit_s=timeout_s, place=place, reason=with_code(last.reason), advice=what.hint
            )
        raise ReadTimeout(what, subject=subject_of(resource)) from None
    finally:
        said = getattr(reader, "said", "")
        if notes is not None and said:
            notes.append(said)
        await reader.close()


def power_of(found: dict[str, list[Reading]], subject: str) -> float:
    """Return the power in kW from the readings of a snapshot; ConnectorError when they have none."""
    if found.get(POWER_KW):
        return found[POWER_KW][-1].value
    energies = found.get(INTERVAL_ENERGY_KWH, [])
    if len(energies) == 2 and energies[1].time > energies[0].time:
        return energies[1].value / ((energies[1].time - energies[0].time).total_seconds() / 3600)
    reported = sorted(found) or [con.NOTHING_REPORTED()]
    raise ConnectorError(con.NO_POWER(reported=reported, quantity=POWER_KW), subject=subject)


def read_power_now(
    connection: Connection, meter_point_id: str, *, timeout_s: float, folder: Path | str | None
) -> float:
    """Return a meter's power now, in kW; the body of `venclient.connectors.read_meter`."""
    resource = Resource(
        resourceID=meter_point_id,
        resourceName=meter_point_id,
        resourceType=ResourceType.DSR.name,
        resourceSubType=None,
        meterPointId=meter_point_id,
        connection=connection,
        capacities={},
        location={},
    )
    site = one_shot_site(_folder_of(connection, folder))
    found = run_to_end(take_snapshot(resource, site, timeout_s=timeout_s, wanted=POWER_KW))
    return power_of(found, subject_of(resource))


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from ordinary code, also where an event loop is running (in a thread, then)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1, thread_name_prefix="read-meter") as pool:
        return pool.submit(asyncio.run, work).result()


def _folder_of(connection: Connection, folder: Path | str | None) -> Path:
    if folder is not None:
        return Path(folder)
    here = Path.cwd()
    # The registry keeps file names relative to its own folder, config/ by default.
    if connection.file and not (here / connection.file).exists() and (here / "config").is_dir():
        return here / "config"
    return here
