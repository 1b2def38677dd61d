"""Reports built again from the readings file beside the running gateway, and compared with what was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

import apsw
import msgspec

from venclient.errors import StoreError, VenError
from venclient.messages import cli_reports as clp
from venclient.model.reading import Measure, Reading
from venclient.openadr.codec import CODEC_31
from venclient.openadr.objects import Report
from venclient.readings.layout import unusable
from venclient.readings.measures import measures
from venclient.readings.store import ReadingStore
from venclient.readings.tables import Tables, open_tables
from venclient.reporting.bodies import digest_of
from venclient.reporting.builder import Built, build_report
from venclient.reporting.differences import QUALITY, Difference, differences, said_by
from venclient.reporting.means import ReportOptions, report_options
from venclient.reporting.needs import gathered
from venclient.reporting.obligations import Obligation
from venclient.reporting.rows import Row
from venclient.reporting.sent import Attempt
from venclient.reporting.sent_codec import Sent
from venclient.reporting.targets import Reportable
from venclient.settings import Settings


@dataclass(frozen=True)
class Body:
    """A report's body, None when there is none; `as_sent` is None where that is unknown.

    `built` is None when it could not be built at all.
    """

    report: Any
    as_sent: bool | None
    omissions: tuple[str, ...]
    heading: str
    built: Built | None = None


class _FileReadings:
    """The part of a readings store that measuring needs, over a file that another process writes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def flush(self) -> None:
        """Do nothing: what the gateway holds in memory is not ours."""

    async def windows(
        self, resource_ids: Sequence[str], start: datetime, end: datetime
    ) -> dict[str, dict[str, list[Reading]]]:
        """Return the readings of resources with their neighbours."""
        return self._tables.windows(resource_ids, start, end, self._tables.newest)


class Rebuilder:
    """Builds reports again from the readings file, as the running gateway would; a context manager.

    `built` raises VenError when the file cannot be read, or no longer has readings of that time.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path = settings.path("readings.path")
        self._options = report_options(settings)
        self._tables: Tables | None = None
        self._runner = asyncio.Runner()

    def __enter__(self) -> Rebuilder:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()
        if self._tables is not None:
            self._tables.close()

    def built(self, asked: Obligation, resources: Sequence[Reportable], sent: Sent | None = None) -> Built:
        """Return what would be sent now for `asked` on `resources`, under the conditions of `sent`."""
        try:
            if self._tables is None:
                self._tables = open_tables(self._path, read_only=True)
            span = self._tables.span()
            if sent is not None and span is not None and asked.end <= span[0]:
                raise StoreError(clp.READINGS_GONE(first=span[0]), subject=str(self._path))
            return self._runner.run(self._build(self._tables, asked, resources, self._as_then(sent)))
        except apsw.Error as error:
            raise unusable(self._path, error) from error

    def _as_then(self, sent: Sent | None) -> ReportOptions:
        if sent is None:
            return self._options
        return replace(
            self._options,
            client_name=sent.report.client_name,
            percent_of_full=sent.percent_of_full,
            ven_targets=frozenset(sent.ven_targets),
        )

    async def _build(
        self, tables: Tables, asked: Obligation, resources: Sequence[Reportable], options: ReportOptions
    ) -> Built:
        async def measure(
            ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
        ) -> Mapping[tuple[str, datetime, datetime], Measure]:
            return await measures(
                cast("ReadingStore", _FileReadings(tables)),  # no more is asked of it to measure
                ids,
                grid,
                max_gap_s=self._settings["reporting.max_gap_s"],
                rules=tables.rules(),
            )

        found = await gathered(measure, asked, resources, options)
        return build_report(asked, resources, found, options)


def body_of(
    rebuilder: Rebuilder,
    asked: Obligation,
    resources: Sequence[Reportable],
    held: Attempt | None,
    row: Row | None,
) -> Body:
    """Return the body of what is known now, and whether the VTN has the same; a sentence if there is none."""
    sent = held.sent if held is not None else None
    try:
        built = rebuilder.built(asked, resources, sent)
    except VenError as error:
        return Body(None, None, (str(error),), str(clp.BODY_FAILED()))
    if built.report is None:
        return Body(None, None, built.omissions, str(clp.BODY_NONE()), built)
    digest = digest_of(built.report)
    as_sent = None
    if sent is not None:
        as_sent = digest == digest_of(sent.report)
    elif row is not None and row.digest is not None:
        as_sent = digest == row.digest
    heading = clp.BODY_NEXT()
    if row is None or row.state == "sent":
        heading = {
            True: clp.BODY_SENT(),
            False: clp.BODY_DIFFERS(),
            None: clp.BODY_CURRENT(),
        }[as_sent]
    return Body(wire_of(built.report), as_sent, built.omissions, heading, built)


def wire_of(report: Report) -> Any:
    """Return the body of a report as OpenADR 3.1 writes it."""
    return msgspec.json.decode(CODEC_31.report_request(report))


def compared(asked: Obligation, sent: Sent | None, built: Built | None) -> list[Difference]:
    """Return every value as it was sent and as it would be now."""
    kinds = {one.payload_type for one in asked.descriptors} - {QUALITY}
    missing = next(iter(kinds)) if len(kinds) == 1 else ""
    before = said_by(sent.report, sent.unsaid, missing=missing) if sent is not None else {}
    now = said_by(built.report, built.unsaid, missing=missing) if built is not None else {}
    return differences(before, now)
