"""The body of a report as the running gateway would make it, from the readings file beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import apsw
import msgspec

from venclient.errors import VenError
from venclient.messages import cli_reports as clp
from venclient.model.reading import Measure, Reading
from venclient.openadr.codec import CODEC_31
from venclient.readings.layout import unusable
from venclient.readings.measures import measures
from venclient.readings.store import ReadingStore
from venclient.readings.tables import Tables, open_tables
from venclient.reporting.bodies import digest_of
from venclient.reporting.builder import Built, build_report
from venclient.reporting.means import report_options
from venclient.reporting.needs import gathered
from venclient.reporting.rows import Row
from venclient.settings import Settings


@dataclass(frozen=True)
class Body:
    """A report's body, None when there is none; `as_sent` is None where nobody can tell."""

    report: Any
    as_sent: bool | None
    omissions: tuple[str, ...]
    heading: str


class _FileReadings:
    """What is asked of a store of readings to measure, from a file that somebody else writes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def flush(self) -> None:
        """Do nothing: what the gateway holds in memory is not ours."""

    async def windows(
        self, resource_ids: Sequence[str], start: datetime, end: datetime
    ) -> dict[str, dict[str, list[Reading]]]:
        """Return the readings of resources with their neighbours."""
        return self._tables.windows(resource_ids, start, end, self._tables.newest)


def body_of(settings: Settings, row: Row) -> Body:
    """Return the body of what is known now, and whether the VTN has the same; a sentence if there is none."""
    try:
        built = asyncio.run(_built(settings, row))
    except VenError as error:
        return Body(None, None, (str(error),), str(clp.BODY_FAILED()))
    if built.report is None:
        return Body(None, None, built.omissions, str(clp.BODY_NONE()))
    as_sent = None if row.digest is None else digest_of(built.report) == row.digest
    heading = clp.BODY_NEXT()
    if row.state == "sent":
        heading = {
            True: clp.BODY_SENT(),
            False: clp.BODY_DIFFERS(),
            None: clp.BODY_CURRENT(),
        }[as_sent]
    wire = msgspec.json.decode(CODEC_31.report_request(built.report))
    return Body(wire, as_sent, built.omissions, heading)


async def _built(settings: Settings, row: Row) -> Built:
    options = report_options(settings)
    resources = list(row.resources or ())
    path = settings.path("readings.path")
    tables = open_tables(path, read_only=True)

    async def measure(
        ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[tuple[str, datetime, datetime], Measure]:
        return await measures(
            cast("ReadingStore", _FileReadings(tables)),  # no more is asked of it to measure
            ids,
            grid,
            max_gap_s=settings["reporting.max_gap_s"],
            rules=tables.rules(),
        )

    try:
        found = await gathered(measure, row.obligation, resources, options)
    except apsw.Error as error:
        raise unusable(path, error) from error
    finally:
        tables.close()
    return build_report(row.obligation, resources, found, options)
