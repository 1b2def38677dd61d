"""One VTN and all that belongs to it: account, events, outbox, reporter, and the loops that drive them.

A gateway has one link or several. Each has its own state file and its own tasks: a VTN which is
down, slow or refuses everything delays no other.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from venclient.client import VenClient, VtnAccount
from venclient.client.limits import Limits
from venclient.client.push import Push, Webhook
from venclient.clock import Clock, rest
from venclient.clock_guard import ClockGuard
from venclient.errors import ConfigError, StoreError, VenError
from venclient.messages import gateway as gwy
from venclient.messages import secrets as sec
from venclient.model.reading import Reading
from venclient.model.reporting import ReportingStatus
from venclient.model.resource import Resource
from venclient.notes import Notes
from venclient.reporting.builder import Reportable
from venclient.reporting.delivery import Measuring, Reporter, report_options
from venclient.reporting.lateness import LateWatch
from venclient.reporting.means import Expecting, none_expected
from venclient.reporting.state_rescue import open_state
from venclient.roster import Roster
from venclient.settings import Settings, resolve_secret
from venclient.telemetry import TelemetryWatch
from venclient.vtn_side import STATE_RETRY_S, VtnSide

log = logging.getLogger("venclient.gateway")

#: How long the reporter rests when nothing is due.
LONGEST_REST_S = 60.0
#: Kinds of failures that go on.
WAITING, UNCORRECTED, UNSERVED = "reports", "corrections", "service"
UNCOUNTED = "counts"
#: How long after an unexpected failure the link to a VTN is restarted.
BROKEN_REST_S = 60.0


class VtnLink:
    """The conversation with one VTN about the resources of `roster`.

    `settings` and `account` are this VTN's own. `measure` returns what the resources did, `tell`
    receives their reporting status, and `expecting` says which readings are about to come. `ready`, passed
    to `run`, is awaited before the first report is made.
    """

    def __init__(
        self,
        settings: Settings,
        account: VtnAccount,
        roster: Roster,
        clock: Clock,
        guard: ClockGuard,
        measure: Measuring,
        tell: Callable[[Sequence[ReportingStatus]], Awaitable[None]],
        *,
        name: str = "",
        expecting: Expecting = none_expected,
    ) -> None:
        self.name = name
        self.notes = Notes(f"VTN {name}: " if name else "", clock)
        self.roster = roster
        self._settings = settings
        self._clock = clock
        self._guard = guard
        self._tell = tell
        self._wake = asyncio.Event()
        self.client = VenClient(account, clock)
        webhook = webhook_of(settings)
        state = settings.path("reporting.state")
        self.book, self.outbox, said = open_state(state, clock.now())
        for problem in said:
            log.error(problem)
        for problem in (*said, *self.book.problems, *self.outbox.problems):
            self.notes.add(problem)
        self.reporter = Reporter(
            self.outbox,
            self.book,
            self.client,
            measure,
            [Reportable.of(roster.resources[id_], named) for id_, named in roster.names.items()],
            clock,
            report_options(settings),
            expecting=expecting,
        )
        self.side = VtnSide(
            settings,
            self.client,
            self.book,
            self.reporter,
            roster,
            clock,
            self.notes,
            self._wake,
            guard.look,
        )
        self._telemetry = TelemetryWatch(roster, self.reporter, self.book, clock)
        self.push: Push | None = None
        if settings["vtn.push"] == "auto":
            self.push = self.side.push = Push(
                self.client,
                self.side.wake.set,
                clock,
                client_name=settings["ven.name"],
                webhook=webhook,
                registration_changed=self._check_registration,
            )

    def _check_registration(self) -> None:
        self.side.check_again(subscription=False)

    def __str__(self) -> str:
        return f"VTN {self.name or self._settings['vtn.url']}"

    def serve(self, resources: Mapping[str, Resource]) -> None:
        """Serve these resources from now on: registered with the next poll, reported on at once."""
        if self.roster.replace(resources):
            self.side.look_again()
            self._wake.set()

    def close(self) -> None:
        """Close the state file; `run` must have ended."""
        self.outbox.close()
        self.book.close()

    async def run(self, ready: Callable[[], Awaitable[None]]) -> None:
        """Follow the VTN's events and send reports, until cancelled.

        Whatever breaks here is logged and restarted later: it does not affect the meters or other VTNs.
        """
        while True:
            try:
                # In a separate task: a TaskGroup of Python 3.11 that failed leaves its task half cancelled.
                await asyncio.create_task(self._serve(ready), name=f"serve {self}")
            except Exception as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise asyncio.CancelledError from error
                self._tell_broken(error)
            await self._clock.sleep(BROKEN_REST_S)

    def _tell_broken(self, error: Exception) -> None:
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        known = isinstance(error, VenError)
        what = error if known else gwy.UNEXPECTED(kind=type(error).__name__)
        self.side.state, self.side.last_error = "refused", str(what)
        self.notes.begin(UNSERVED, gwy.UNSERVED(reason=what), bug=None if known else error)

    async def _serve(self, ready: Callable[[], Awaitable[None]]) -> None:
        async with self.client, asyncio.TaskGroup() as group:
            group.create_task(self._mended(), name=f"note on {self}")
            group.create_task(self.side.follow(), name=f"follow {self}")
            group.create_task(self._report(ready), name=f"report to {self}")
            if self.push is not None:
                group.create_task(self._be_told(self.push), name=f"be told by {self}")

    async def _mended(self) -> None:
        """Let the note of a breakdown go once all runs for longer than it was waited for."""
        await self._clock.sleep(BROKEN_REST_S)
        self.notes.end(UNSERVED)

    async def _be_told(self, push: Push) -> None:
        """Receive the VTN's notifications of changes, once it knows our VEN."""
        await self.side.known.wait()
        await push.run(lambda: self.side.ven.id or "" if self.side.ven else "")

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
                if done.not_found:
                    self.side.check_again()
                await self._tell(tuple(done.statuses.values()))
                rest_s = self._rest_s()
            except StoreError as error:
                self.notes.begin(WAITING, gwy.REPORTS_WAIT(reason=error))
                rest_s = STATE_RETRY_S
            except Exception as error:  # noqa: BLE001  a bug in reporting must not end the readings
                said = gwy.REPORTS_WAIT(reason=gwy.UNEXPECTED(kind=type(error).__name__))
                self.notes.begin(WAITING, said, bug=error)
                rest_s = LONGEST_REST_S
            else:
                self.notes.end(WAITING)
            await rest(self._clock, rest_s, self._wake)

    def _rest_s(self) -> float:
        due = self.reporter.next_due()
        if due is None:
            return LONGEST_REST_S
        return min(LONGEST_REST_S, max(0.2, (due - self._clock.now()).total_seconds()))

    def snapshot(self) -> dict[str, Any]:
        """Return the status of this VTN as plain data; `name` is empty for the first one."""
        reports: dict[str, int] = dict.fromkeys(("owed", "sent", "refused"), 0)
        try:
            reports.update(dict(self.outbox.counts().items()))
        except StoreError as error:
            self.notes.show(UNCOUNTED, str(error))
        else:
            self.notes.end(UNCOUNTED)
        client = self.client.status
        return {
            "name": self.name,
            "ven": {
                "name": self._settings["ven.name"],
                "id": self.side.ven.id if self.side.ven else None,
                "resources": len(self.roster.resources),
                "registered": len(self.side.registered),
                "verified_at": self.side.verified_at.isoformat() if self.side.verified_at else None,
            },
            "vtn": {
                "url": self._settings["vtn.url"],
                "version": client.version,
                "state": self.side.state,
                "push": self.push.state if self.push else gwy.POLLING(),
                "last_error": self.side.last_error,
                "last_ok": client.last_ok.isoformat() if client.last_ok else None,
                "requests": client.requests,
                "retries": client.retries,
                "clock_skew_s": client.clock_skew_s,
                "refused_objects": client.refused_objects,
            },
            "events": {"known": len(self.book.events), "programs": len(self.book.programs)},
            "reports": reports,
            "telemetry": self._telemetry.snapshot(),
        }


class Latecomers:
    """Tells the reporters of `links` of readings that came for a time that was reported already.

    `newest` gives the readings last stored of a resource.
    """

    def __init__(
        self, links: Iterable[VtnLink], newest: Callable[[str], Iterable[Reading]], notes: Notes
    ) -> None:
        self._links = links
        self._notes = notes
        self._watch = LateWatch(self._reported, newest)

    async def hear(self, readings: Sequence[Reading]) -> None:
        """Look at readings that are about to be stored; what they change is not forgotten afterwards."""
        late = self._watch.look(readings)
        for link in tuple(self._links) if late else ():
            kind = f"{UNCORRECTED} ({link.name})"
            before = f"{link}: " if link.name else ""
            # Readings come first: a report that stays as it was sent is the smaller loss.
            try:
                await link.reporter.late(late)
            except StoreError as error:
                self._notes.begin(kind, gwy.UNCORRECTED(reason=error).within(before))
            except Exception as error:  # noqa: BLE001  nor may a bug in reporting cost readings
                what = gwy.UNEXPECTED(kind=type(error).__name__)
                said = gwy.UNCORRECTED(reason=what).within(before)
                self._notes.begin(kind, said, bug=error)
            else:
                self._notes.end(kind)

    def _reported(self) -> datetime | None:
        times = [link.reporter.reported for link in self._links]
        return max((one for one in times if one is not None), default=None)


def checked_account(settings: Settings, name: str = "") -> VtnAccount:
    """Return a VTN's account, once all that its settings name was found usable; ConfigError names the VTN."""
    try:
        account = account_of(settings)
        webhook_of(settings)
        if account.url.startswith("https:"):
            account.tls_context()
    except ConfigError as error:
        if not name:
            raise
        raise ConfigError(
            error.what,
            subject=f"[vtns.{name}] {error.subject}".strip(),
            hint=error.hint,
            problems=tuple(f"[vtns.{name}] {one}" for one in error.problems),
        ) from error
    return account


def account_of(settings: Settings) -> VtnAccount:
    """Return the account that the settings describe, its secret resolved; ConfigError names what is wrong."""
    secret, token = settings["vtn.client_secret"], settings["vtn.token"]
    return VtnAccount(
        url=settings["vtn.url"],
        client_id=settings["vtn.client_id"],
        client_secret=resolve_secret(secret, folder=settings.folder) if secret else None,
        token_url=settings["vtn.token_url"],
        scope=settings["vtn.scope"],
        token=resolve_secret(token, folder=settings.folder).strip() if token else None,
        allow_http=settings["vtn.allow_http"],
        ca_file=credential_file(settings, "vtn.ca_file"),
        cert_file=credential_file(settings, "vtn.cert_file"),
        key_file=credential_file(settings, "vtn.key_file"),
        verify=settings["vtn.verify"],
        version=settings["vtn.version"],
        timeout_s=settings["vtn.timeout_s"],
        limits=Limits(
            response_mb=settings["vtn.response_mb"],
            listing_mb=settings["vtn.listing_mb"],
            listing_pages=settings["vtn.listing_pages"],
            listing_items=settings["vtn.listing_items"],
            listing_s=settings["vtn.listing_s"],
        ),
    )


def webhook_of(settings: Settings) -> Webhook | None:
    """Return where the VTN may call us, as the settings say; None when they say nothing."""
    if not settings["vtn.webhook_url"]:
        return None
    host, _, port = str(settings["vtn.webhook_listen"]).rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ConfigError(
            gwy.LISTEN_ADDRESS(value=settings["vtn.webhook_listen"]), subject="vtn.webhook_listen"
        )
    return Webhook(
        url=settings["vtn.webhook_url"],
        host=host.strip("[]"),
        port=int(port),
        cert_file=credential_file(settings, "vtn.webhook_cert_file"),
        key_file=credential_file(settings, "vtn.webhook_key_file"),
    )


def credential_file(settings: Settings, key: str) -> Path | None:
    """Return the file that a setting names by path or as a systemd credential; None when it is not set."""
    kind, _, name = str(settings[key] or "").partition(":")
    if kind != "credential":
        return settings.path(key) if settings[key] else None
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise ConfigError(sec.NO_CREDENTIALS(), subject=f"{key} = {settings[key]!r}")
    return Path(folder) / name
