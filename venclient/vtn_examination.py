"""One VTN looked at from here: the way to it, the account, and what it holds and offers.

A part of `ven doctor`. It only reads: nothing is created, changed or deleted at the VTN. Whether a VEN may be
registered is asked with a body that no VTN can store.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from msgspec.structs import replace as replaced

from venclient import checkup
from venclient.checkup import Finding, TlsSeen, failure, finding
from venclient.client import Listing, VenClient, VtnAccount, may_not_register
from venclient.clock import Clock
from venclient.errors import InvalidRecord, VenError, VtnError
from venclient.messages import diagnostics as doc
from venclient.messages.printable import foreign
from venclient.openadr.objects import Event, Program
from venclient.registrar import Comparison, Served, compare
from venclient.reporting.obligations import agenda
from venclient.reporting.standing import Standing, standing, wishes_of
from venclient.reporting.targets import Reportable
from venclient.settings import Settings
from venclient.tls_failures import vtn_side
from venclient.utils import chunks
from venclient.vtn_link import account_of, webhook_of
from venclient.vtn_side import TARGETS_AT_ONCE

T = TypeVar("T")

#: What a check returns: one finding, several, or None.
Found = Finding | Sequence[Finding] | None


async def checked(check: str, work: Awaitable[Found], *, within_s: float) -> list[Finding]:
    """Return what a check found; that it failed, or took too long, is a finding as well."""
    try:
        async with asyncio.timeout(within_s):
            found = await work
    except TimeoutError:
        return [finding(check, doc.TOO_SLOW(seconds=within_s))]
    except VenError as error:
        return [failure(check, error)]
    except Exception as error:  # noqa: BLE001  whatever is broken here, the other checks go on
        return [finding(check, doc.BUG(error=type(error).__name__))]
    if found is None:
        return []
    return [found] if isinstance(found, Finding) else list(found)


async def aside(work: Callable[[], T]) -> T:
    """Return the result of blocking work, done in a thread that is abandoned when it takes too long."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(done: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(lambda: None if result.done() else done())

    def run() -> None:
        try:
            value = work()
        except Exception as error:  # noqa: BLE001  handed to who waits
            failure = error
            settle(lambda: result.set_exception(failure))
        else:
            settle(lambda: result.set_result(value))

    threading.Thread(target=run, daemon=True, name="ven doctor").start()
    return await result


class Examination:
    """Looks at the VTN of `settings` as the gateway uses it, each check for at most `within_s` seconds."""

    def __init__(
        self,
        settings: Settings,
        served: Served | None,
        clock: Clock,
        *,
        name: str = "",
        within_s: float = 10.0,
    ) -> None:
        self._settings = settings
        self._served = served
        self._clock = clock
        self._name = name
        self._within_s = within_s
        self._scopes: frozenset[str] = frozenset()

    async def run(self) -> list[Finding]:
        """Return what was found, in the order in which one thing rests on another."""
        found = await self._look()
        return [replaced(one, vtn=self._name) for one in found]

    async def _look(self) -> list[Finding]:
        accounts: list[VtnAccount] = []

        async def read_account() -> Found:
            accounts.append(account_of(self._settings))
            webhook_of(self._settings)
            return None

        found = await checked("account", read_account(), within_s=self._within_s)
        if not accounts:
            return found
        # The version is asked for, also where one is set: what is set may be wrong.
        account = replace(
            accounts[0],
            version="probe",
            retries=1,
            timeout_s=min(accounts[0].timeout_s, self._within_s),
        )
        urls = [url for url in (account.url, account.token_url) if url]
        places = {_place(url): url for url in urls}
        ways = await asyncio.gather(*(self._way(url, account) for url in places.values()))
        found += [one for way in ways for one in way]
        if any(one.state == "fail" for one in ways[0]):
            return [*found, finding("VTN", doc.SKIPPED_ALL())]
        try:
            async with VenClient(account, self._clock) as client:
                return found + await self._talk(client, account)
        except VenError as error:  # a certificate file that cannot be used
            return [*found, failure("TLS", error)]

    # ---- the way there

    async def _way(self, url: str, account: VtnAccount) -> list[Finding]:
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        proxy = _proxy_for(parts.scheme, host)
        if proxy is not None:
            host, port = proxy
        found = await checked("DNS", _resolved(host, port), within_s=self._within_s)
        if proxy is not None:
            return [*found, finding("TLS", doc.PROXY(url=url, proxy=f"{host}:{port}"))]
        if any(one.state == "fail" for one in found):
            return found
        if not secure:
            return [*found, *await checked("TLS", _plain(host, port), within_s=self._within_s)]
        seen = checked("TLS", self._tls(host, port, account), within_s=self._within_s)
        return [*found, *await seen]

    async def _tls(self, host: str, port: int, account: VtnAccount) -> Finding:
        authority = str(doc.CA_FILE(path=account.ca_file)) if account.ca_file and account.verify else None
        seen = TlsSeen(place=f"{host}:{port}", verified=account.verify, authority=authority)
        try:
            seen = await _seen(seen, host, port, account.tls_context())
        except ssl.SSLCertVerificationError as error:
            side = vtn_side(has_cert=account.cert_file is not None)
            seen = replaced(seen, refused=side.text(error, self._clock.now()))
            # Connected once more to find out whose it is; nothing is sent over this connection.
            unverified = ssl.create_default_context()
            unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
            with contextlib.suppress(OSError):
                seen = await _seen(seen, host, port, unverified)
        except ssl.SSLError as error:
            refused = vtn_side(has_cert=account.cert_file is not None).text(error, self._clock.now())
            if refused is not None:
                return finding("TLS", refused.within(f"{seen.place}: "))
            reason = (error.reason or str(doc.NO_REASON())).lower().replace("_", " ")
            return finding("TLS", doc.TLS_VERSION(place=seen.place, problem=reason))
        except OSError as error:
            return _nobody(seen.place, error)
        return checkup.of_tls(seen, self._clock.now())

    # ---- the conversation

    async def _talk(self, client: VenClient, account: VtnAccount) -> list[Finding]:
        limit = self._within_s
        found = await checked("token", self._token(client, account), within_s=limit)
        if any(one.check == "token" and one.state == "fail" for one in found):
            found += await checked("clock skew", _skew(client), within_s=limit)
            return [*found, finding("VTN", doc.SKIPPED_MOST())]
        version = await checked("version", self._version(client), within_s=limit)
        found += version
        if any(one.state == "fail" for one in version):
            found += await checked("clock skew", _skew(client), within_s=limit)
            return [*found, finding("VTN", doc.SKIPPED_SOME())]
        listed: list[tuple[Sequence[Program], Sequence[Event]]] = []
        compared: list[Comparison] = []
        parts = await asyncio.gather(
            checked("registration", self._registration(client, compared), within_s=limit * 3),
            checked("notifiers", self._notifiers(client), within_s=limit),
        )
        # Targets that were granted to our objects show more programs: those are known now.
        programs = checked("programs", self._programs(client, listed, compared), within_s=limit * 3)
        found += [*await programs, *parts[0], *parts[1]]
        if listed:
            telemetry = self._standing(client, listed[0], compared[0] if compared else None)
            found += await checked("telemetry", telemetry, within_s=limit)
        return found + await checked("clock skew", _skew(client), within_s=limit)

    async def _token(self, client: VenClient, account: VtnAccount) -> Found:
        if account.client_id is None and account.token is None:
            return finding("token", doc.TOKEN_NOT_NEEDED())
        token = await client.notices.token() or ""
        claims = checkup.claims_of(token)
        ends = claims.get("exp")
        hours = (ends - self._clock.now().timestamp()) / 3600 if isinstance(ends, int | float) else None
        if account.token is not None:
            expired = hours is not None and hours <= 0
            text = doc.TOKEN_EXPIRED() if expired else doc.TOKEN_GIVEN()
        elif hours is None:
            text = doc.TOKEN(client_id=account.client_id)
        else:
            text = doc.TOKEN_UNTIL(client_id=account.client_id, hours=hours)
        validity = finding("token", text)
        scopes = checkup.scopes_of(claims, client.status.scope)
        self._scopes = scopes or frozenset()
        return [validity, checkup.of_scopes(scopes, notified=bool(self._settings["vtn.webhook_url"]))]

    async def _version(self, client: VenClient) -> Found:
        return checkup.of_version((await client.dialect()).version, self._settings["vtn.version"])

    async def _registration(self, client: VenClient, compared: list[Comparison]) -> Found:
        if self._served is None:
            return finding("registration", doc.NO_REGISTRY())
        try:
            found = await compare(client, self._settings, self._served)
        except VtnError as error:
            if not error.answered:
                raise
            return finding("registration", doc.UNLISTABLE(reason=_reason(error)))
        compared.append(found)
        name = self._settings["ven.name"]
        if found.ven is None and (other := await self._other_way(client, name)) is not None:
            return other
        id_ = found.ven.id if found.ven else None
        return checkup.of_registration(name, id_, found.what, found.problems, vtn=self._name)

    async def _other_way(self, client: VenClient, name: str) -> Finding | None:
        """Return what the gateway will do where the VTN does not let it register; None where it may."""
        # A token that says that it may is believed.
        refusal = None if "write_vens" in self._scopes else await client.registration_refusal()
        if refusal is None or not may_not_register(refusal):
            return None
        listed = (await client.vens()).items
        own = [one for one in listed if client.client_id is not None and one.client_id == client.client_id]
        if len(own) == 1:
            return finding("registration", doc.ADOPTABLE(other=foreign(own[0].ven_name)))
        if len(listed) == 1:
            other = foreign(listed[0].ven_name)
            return finding("registration", doc.ANOTHER_VEN(other=other, ven=name))
        return finding("registration", doc.NOT_CREATABLE(ven=name, reason=_reason(refusal)))

    async def _notifiers(self, client: VenClient) -> Found:
        own = self._settings
        return checkup.of_notifiers(
            await client.notifiers(),
            push=own["vtn.push"],
            webhook=bool(own["vtn.webhook_url"]),
            poll_s=own["vtn.poll_s"],
        )

    async def _programs(
        self,
        client: VenClient,
        listed: list[tuple[Sequence[Program], Sequence[Event]]],
        compared: Sequence[Comparison],
    ) -> Found:
        grants = sorted(_granted(compared[0])) if compared else []
        some: Sequence[Sequence[str]] = list(chunks(grants, TARGETS_AT_ONCE)) if grants else ()
        if not (await client.dialect()).grants_targets:
            some = ()
        unread: list[Finding] = []
        programs: Listing[Program] = Listing((), (), False, frozenset())
        try:
            programs = await client.programs()
            for targets in some:
                programs = programs.joined(await client.programs(targets=targets))
        except VtnError as error:
            if not error.answered:
                raise
            unread.append(finding("programs", doc.UNREADABLE_PROGRAMS(reason=_reason(error))))
        try:
            events = await client.events()
            for targets in some:
                events = events.joined(await client.events(targets=targets))
        except VtnError as error:
            if not error.answered:
                raise
            return [*unread, finding("programs", doc.UNREADABLE_EVENTS(reason=_reason(error)))]
        wanted = self._settings["vtn.programs"]
        followed = [one for one in programs.items if not wanted or one.program_name in wanted]
        ids = {one.id for one in followed}
        listed.append((followed, [one for one in events.items if not wanted or one.program_id in ids]))
        found = unread or [checkup.of_programs(programs.items, len(events.items), wanted)]
        odd = (*programs.refused, *events.refused)
        return found + [
            finding(
                "programs",
                doc.OBJECT_SKIPPED(place=foreign(one.place), reason=foreign(one.reason)),
                cause=one.reason,
            )
            for one in odd[: checkup.NAMED]
        ]

    async def _standing(
        self,
        client: VenClient,
        listed: tuple[Sequence[Program], Sequence[Event]],
        compared: Comparison | None,
    ) -> Found:
        if self._served is None:
            return None
        programs, events = listed
        if not (await client.dialect()).grants_targets and compared is not None:
            own = _granted(compared) | {self._settings["ven.name"], *self._served.names.values()}
            events = [one for one in events if not one.targets or own & set(one.targets)]
        found, wishes = standing_of(
            self._settings, self._served, programs, events, compared, self._clock.now()
        )
        return checkup.of_standing([one.text for one in found.uncarried], found.problems, wishes)


def standing_of(
    settings: Settings,
    served: Served,
    programs: Sequence[Program],
    events: Sequence[Event],
    compared: Comparison | None,
    now: datetime,
) -> tuple[Standing, int]:
    """Return which reporting wishes the VTN's events carry, and how many wishes there are."""
    what = compared.what if compared else None
    held = [*(what.adopt if what else ()), *(one.held for one in (what.update if what else ()))]
    granted = {one.resource_name: one.targets or () for one in held}
    reportables: dict[str, Reportable] = {}
    for id_, resource in served.resources.items():
        name = served.names[id_]
        try:
            reportables[id_] = Reportable.of(resource, name, granted.get(name, ()))
        except InvalidRecord:  # wishes_of says it
            reportables[id_] = Reportable(id_, name, frozenset(granted.get(name, ())))
    wishes, problems = wishes_of(served.resources.values(), reportables)
    by_id = {one.id: one for one in programs}
    agendas = [
        (agenda(one, by_id.get(one.program_id), anchor=now), by_id.get(one.program_id)) for one in events
    ]
    ven = compared.ven if compared else None
    targets = {*(ven.targets or () if ven else ()), settings["ven.name"]}
    result = standing(
        wishes, agendas, list(reportables.values()), now, ven_targets=targets, problems=problems
    )
    return result, len(wishes)


def _granted(compared: Comparison) -> set[str]:
    what = compared.what
    held = (*what.adopt, *(one.held for one in what.update))
    ven = compared.ven.targets or () if compared.ven else ()
    return {*ven, *(target for one in held for target in one.targets or ())}


def _reason(error: VtnError) -> str:
    return f"{error.subject}: {error.what}"


def _place(url: str) -> str:
    return urlsplit(url).netloc.casefold()


def _proxy_for(scheme: str, host: str) -> tuple[str, int] | None:
    """Return host and port of the proxy on the way to a host; None where there is none."""
    proxies: dict[str, Any] = getproxies()
    address = proxies.get(scheme) or proxies.get("all")
    if not address or host in ("localhost", "127.0.0.1", "::1") or proxy_bypass(host):
        return None
    parts = urlsplit(address if "://" in address else f"//{address}")
    return (parts.hostname, parts.port or 80) if parts.hostname else None


async def _resolved(host: str, port: int) -> Finding:
    import socket

    try:
        found = await aside(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError as error:
        return finding("DNS", doc.DNS_UNKNOWN(host=host, problem=error.strerror or str(error)))
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    if addresses == [host]:
        return finding("DNS", doc.DNS_ADDRESS(host=host))
    return finding("DNS", doc.DNS(host=host, addresses=addresses[:3]))


async def _plain(host: str, port: int) -> Finding:
    """Report that there is no TLS, and whether the host answers at all."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return _nobody(f"{host}:{port}", error)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    if host in ("localhost", "127.0.0.1", "::1"):
        return finding("TLS", doc.PLAIN_LOCAL(place=f"{host}:{port}"))
    return finding("TLS", doc.PLAIN(place=f"{host}:{port}"))


def _nobody(place: str, error: OSError) -> Finding:
    return finding("TLS", doc.UNREACHABLE(place=place, problem=error.strerror or str(error)))


async def _seen(seen: TlsSeen, host: str, port: int, context: ssl.SSLContext) -> TlsSeen:
    """Return a TLS connection's version and certificate."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    try:
        over: ssl.SSLObject = writer.get_extra_info("ssl_object")
        version, der = over.version(), over.getpeercert(binary_form=True)
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await writer.wait_closed()
    if der is None:
        return replaced(seen, version=version)
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = [
            str(one.value)
            for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
            for one in certificate.issuer.get_attributes_for_oid(oid)
        ]
        issuer = next(iter(names), None) or certificate.issuer.rfc4514_string()
        until = certificate.not_valid_after_utc
    except ValueError:
        return replaced(seen, version=version)
    return replaced(seen, version=version, issuer=issuer, until=until)


async def _skew(client: VenClient) -> Found:
    return checkup.of_skew(client.clock_skew_s)
