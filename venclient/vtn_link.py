"""One VTN and all that belongs to it: account, events, outbox, reporter, and the loops that drive them.

A gateway has one link or several. Each has its own state file and its own tasks, so that a VTN which is
down, slow or refuses everything delays no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from venclient.client import VenClient, VtnAccount
from venclient.clock import Clock
from venclient.clock_guard import ClockGuard
from venclient.errors import StoreError
from venclient.model.reporting import ReportingStatus
from venclient.model.resource import Resource
from venclient.notes import Notes
from venclient.reporting.builder import Reportable
from venclient.reporting.delivery import Measuring, Reporter, ReportOptions
from venclient.reporting.eventbook import EventBook
from venclient.reporting.outbox import Outbox
from venclient.reporting.registration import resource_names
from venclient.settings import Settings, resolve_secret
from venclient.vtn_side import STATE_RETRY_S, VtnSide

log = logging.getLogger("venclient.gateway")

#: How long the reporter rests when nothing is due.
LONGEST_REST_S = 60.0
WAITING = "reports wait"


class VtnLink:
    """The conversation with one VTN about `resources`; `settings` and `account` are this VTN's own.

    `measure` tells what the resources did, `tell` hears how reporting stands for them, and
    `ready`, given to `run`, is awaited before the first report is made.
    """

    def __init__(
        self,
        settings: Settings,
        account: VtnAccount,
        resources: Mapping[str, Resource],
        clock: Clock,
        guard: ClockGuard,
        measure: Measuring,
        tell: Callable[[Sequence[ReportingStatus]], Awaitable[None]],
        *,
        name: str = "",
        notes: Notes | None = None,
    ) -> None:
        self.name = name
        self.notes = notes or Notes()
        self.names = resource_names(tuple(resources.values()))
        self._settings = settings
        self._resources = resources
        self._clock = clock
        self._guard = guard
        self._tell = tell
        self._wake = asyncio.Event()
        self.client = VenClient(account, clock)
        state = settings.path("reporting.state")
        self.book = EventBook(state)
        self.outbox = Outbox(state)
        for problem in (*self.book.problems, *self.outbox.problems):
            self.notes.add(problem)
        self.reporter = Reporter(
            self.outbox,
            self.book,
            self.client,
            measure,
            [Reportable(id_, named) for id_, named in self.names.items()],
            clock,
            ReportOptions(
                client_name=settings["ven.name"],
                settle_s=settings["reporting.settle_s"],
                allow_negative=settings["reporting.allow_negative"],
            ),
        )
        self.side = VtnSide(
            settings,
            self.client,
            self.book,
            self.reporter,
            resources,
            self.names,
            clock,
            self.notes,
            self._wake,
            guard.look,
        )

    def __str__(self) -> str:
        return f"VTN {self.name or self._settings['vtn.url']}"

    def close(self) -> None:
        """Close the state file; `run` must have ended."""
        self.outbox.close()
        self.book.close()

    async def run(self, ready: Callable[[], Awaitable[None]]) -> None:
        """Follow the VTN's events and send reports, until cancelled."""
        async with self.client, asyncio.TaskGroup() as group:
            group.create_task(self.side.follow(), name=f"follow {self}")
            group.create_task(self._report(ready), name=f"report to {self}")

    async def _report(self, ready: Callable[[], Awaitable[None]]) -> None:
        """Send what is due, then rest until the next is, or events have changed."""
        await ready()
        while True:
            # With a wrong time intervals would end too early, or never.
            await self._guard.until_believed()
            # Cleared before the step: an event that comes while it runs must not wait for the next one.
            self._wake.clear()
            try:
                done = await self.reporter.step()
                for note in done.notes:
                    self.notes.add(note)
                await self._tell(tuple(done.statuses.values()))
                rest_s = self._rest_s()
            except StoreError as error:
                self.notes.begin(WAITING, f"{WAITING}: {error}")
                rest_s = STATE_RETRY_S
            except Exception as error:  # noqa: BLE001  a bug in reporting must not end the readings
                said = f"{WAITING}: unexpected {type(error).__name__} (a bug; please report it)"
                self.notes.begin(WAITING, said, cause=type(error).__name__, bug=error)
                rest_s = LONGEST_REST_S
            else:
                self.notes.end(WAITING)
            await self._sleep_or_woken(rest_s)

    def _rest_s(self) -> float:
        due = self.reporter.next_due()
        if due is None:
            return LONGEST_REST_S
        return min(LONGEST_REST_S, max(0.2, (due - self._clock.now()).total_seconds()))

    async def _sleep_or_woken(self, seconds: float) -> None:
        waits = [
            asyncio.ensure_future(self._clock.sleep(seconds)),
            asyncio.ensure_future(self._wake.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    def snapshot(self) -> dict[str, Any]:
        """Give how it stands with this VTN, as plain data; `name` is empty for the first one."""
        reports: dict[str, int] = dict.fromkeys(("owed", "sent", "refused"), 0)
        try:
            reports.update(dict(self.outbox.counts().items()))
        except StoreError as error:
            self.notes.add(str(error))
        client = self.client.status
        return {
            "name": self.name,
            "ven": {
                "name": self._settings["ven.name"],
                "id": self.side.ven.id if self.side.ven else None,
                "resources": len(self._resources),
                "registered": len(self.side.registered),
            },
            "vtn": {
                "url": self._settings["vtn.url"],
                "state": self.side.state,
                "last_error": self.side.last_error,
                "last_ok": client.last_ok.isoformat() if client.last_ok else None,
                "requests": client.requests,
                "retries": client.retries,
                "clock_skew_s": client.clock_skew_s,
                "refused_objects": client.refused_objects,
            },
            "events": {"known": len(self.book.events), "programs": len(self.book.programs)},
            "reports": reports,
        }


def account_of(settings: Settings) -> VtnAccount:
    """Give the account that the settings describe, its secret resolved; ConfigError names what is wrong."""
    secret = settings["vtn.client_secret"]
    return VtnAccount(
        url=settings["vtn.url"],
        client_id=settings["vtn.client_id"],
        client_secret=resolve_secret(secret, folder=settings.folder) if secret else None,
        token_url=settings["vtn.token_url"],
        allow_http=settings["vtn.allow_http"],
        ca_file=settings.path("vtn.ca_file") if settings["vtn.ca_file"] else None,
        timeout_s=settings["vtn.timeout_s"],
    )
