"""What only the VTN of the crate `openadr` does: webhooks, client certificates, given tokens, no logins.

The other tests of this folder run against it as well; it is strict about payloads and object privacy in all.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from tests.interop.business import EACH, Business, Object, intervals, period, reported
from tests.interop.certificates import Authority, Certificate
from tests.interop.conftest import MakeVtn
from tests.interop.crate_vtn import find_crate
from tests.interop.site import RARELY_S, UNASKED_S, Gateway, Meter, Site, running, soon, until
from tests.interop.tap import Tap
from tests.interop.vtn import SECRET, Vtn
from tests.peers import pick_port
from venclient.client.discovery import FoundVtn, discover
from venclient.clock import SystemClock
from venclient.simulation.vtn import LocalVtn
from venclient.simulation.vtn.push import Push

pytestmark = pytest.mark.only("openadr")

USAGE = [{"payloadType": "USAGE", "units": "KWH", **EACH}]
#: The operator's token at a VTN without logins.
GIVEN = "given-to-the-operator"


@contextmanager
def operator(vtn: Vtn, *, token: str | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Business]:
    """Run a VTN and give its operator."""
    with vtn:
        made = Business(vtn.url, token=token, tls=tls)
        yield made
        made.close()


@asynccontextmanager
async def started(gateway: Gateway) -> AsyncIterator[Gateway]:
    """Run a gateway for as long as the block lasts."""
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


def asked(business: Business, count: int = 1, **more: object) -> Object:
    """Return an event that soon asks for `count` reports, one each two seconds."""
    return business.add_event(
        business.add_program(),
        intervalPeriod=period(soon(), 2),
        intervals=intervals(count),
        reportDescriptors=USAGE,
        **more,
    )


# ---- who may come


async def test_row_13_a_public_vtn_is_followed_though_it_registers_no_ven(
    make_vtn: MakeVtn, site: Site, tmp_path: Path
) -> None:
    """Without a login no token is sent, POST /vens is refused once in the log, and events are known."""
    vtn = make_vtn("--anonymous", "--bl-token", GIVEN, own_logins=False)
    gateway = Gateway(tmp_path, vtn.url)
    for key in ("client_id", "client_secret"):
        del gateway.settings["vtn"][key]
    with operator(vtn, token=GIVEN) as business:
        async with Tap(vtn.port, vtn.base) as tap:
            gateway.settings["vtn"]["url"] = tap.url
            event = asked(business)
            async with started(gateway):
                await gateway.knows(1)
                asked(business)
                await gateway.knows(2)
                listings = len(tap.requests("GET", "/events"))
                await until(
                    lambda: len(tap.requests("GET", "/events")) >= listings + 5,
                    "followed on",
                    log=lambda: gateway.log,
                )
                status, printed = await gateway.command("doctor")
                assert status == 0, printed
                assert "VEN-DOC-12" in printed

            assert business.vens() == business.reports(event) == []
            assert [one for one in tap.passed if "authorization" in one.headers] == []
            assert tap.requests("POST", "/auth/token") == []
        assert gateway.log.count("VEN-VTN-109") == 1


async def test_a_given_token_registers_and_reports(make_vtn: MakeVtn, site: Site, tmp_path: Path) -> None:
    """Where the operator gave a token and a token service is missing, `vtn.token` is all that is needed."""
    vtn = make_vtn("--ven-token", SECRET, "--bl-token", GIVEN, own_logins=False)
    gateway = Gateway(tmp_path, vtn.url)
    for key in ("client_id", "client_secret"):
        del gateway.settings["vtn"][key]
    gateway.settings["vtn"]["token"] = "env:INTEROP_SECRET"
    with operator(vtn, token=GIVEN) as business:
        async with started(gateway):
            await gateway.registered()
            event = asked(business)
            await until(lambda: business.reports(event), "report accepted", log=lambda: gateway.log)

        assert len(business.vens()) == 1


async def test_row_10_tokens_of_seconds_are_renewed_before_they_end(
    make_vtn: MakeVtn, site: Site, tmp_path: Path
) -> None:
    """With tokens that last ten seconds no request is ever refused."""
    vtn = make_vtn("--token-ttl", "10")
    gateway = Gateway(tmp_path, vtn.url)
    with operator(vtn) as business:
        async with Tap(vtn.port, vtn.base) as tap:
            gateway.settings["vtn"] |= {"url": tap.url, "token_url": f"{tap.url}/auth/token"}
            async with started(gateway):
                await gateway.registered()
                event = asked(business, 3)
                tokens = partial(tap.requests, "POST", "/auth/token")
                await until(
                    lambda: len(business.reports(event)) == 3 and len(tokens()) >= 4,
                    "renewed three times",
                    log=lambda: gateway.log,
                )

            assert {one.status for one in tap.passed if one.status >= 400} <= {404, 409, 501}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return the authority of the VTN and its clients."""
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@contextmanager
def closed(make_vtn: MakeVtn, authority: Authority) -> Iterator[tuple[Vtn, Business]]:
    """Run a VTN that only serves clients with a certificate of the authority."""
    own, operators = authority.issue("vtn"), authority.issue("operator")
    tls = ssl.create_default_context(cafile=authority.file)
    tls.load_cert_chain(operators.file, operators.key)
    options = ("--tls-cert", str(own.file), "--tls-key", str(own.key), "--tls-client-ca", str(authority.file))
    vtn = make_vtn(*options)
    with operator(vtn, tls=tls) as business:
        yield vtn, business


def show(gateway: Gateway, authority: Authority, certificate: Certificate | None) -> None:
    """Have a gateway verify the VTN, and show it a certificate."""
    gateway.settings["vtn"] |= {"ca_file": str(authority.file), "allow_http": False}
    if certificate is not None:
        gateway.settings["vtn"] |= {"cert_file": str(certificate.file), "key_file": str(certificate.key)}


async def test_row_05_a_client_certificate_opens_the_vtn(
    make_vtn: MakeVtn, authority: Authority, site: Site, tmp_path: Path
) -> None:
    """With a certificate of the VTN's authority the gateway registers and reports over TLS."""
    with closed(make_vtn, authority) as (vtn, business):
        gateway = Gateway(tmp_path, vtn.url)
        show(gateway, authority, authority.issue("gateway"))
        async with started(gateway):
            await gateway.registered()
            event = asked(business)
            await until(lambda: business.reports(event), "report accepted", log=lambda: gateway.log)
        status, printed = await gateway.command("doctor")

    assert status == 0, printed


@pytest.mark.parametrize("shown", ["none", "of another authority"])
async def test_a_refused_client_certificate_is_named(
    shown: str, make_vtn: MakeVtn, authority: Authority, site: Site, tmp_path: Path
) -> None:
    """Without a certificate, or with one of another authority, the message is about the certificate."""
    with closed(make_vtn, authority) as (vtn, business):
        gateway = Gateway(tmp_path, vtn.url)
        other = None if shown == "none" else Authority(tmp_path / "other", "other").issue("gateway")
        show(gateway, authority, other)
        async with started(gateway):
            error = await gateway.until(lambda s: s["vtn"]["last_error"], "refusal reported")

        assert "vtn.cert_file" in error
        assert business.vens() == []


async def test_row_03_a_vtn_that_announces_itself_is_found(make_vtn: MakeVtn) -> None:
    """Its announcement by mDNS is read: address, version, programs, and that a login is needed."""
    name = f"crate-{pick_port()}"  # other tests announce theirs, perhaps

    def ours(found: Collection[FoundVtn]) -> list[FoundVtn]:
        return [one for one in found if one.name == name and one.url]

    options = ("--mdns", "--mdns-name", name, "--mdns-program", "day-ahead")
    with make_vtn(*options) as vtn:
        found = await discover(SystemClock(), within_s=30, enough=lambda heard: bool(ours(heard)))

    (one,) = ours(found)
    assert one.url == f"http://{name}.local:{vtn.port}{vtn.base}"
    assert (one.version, one.program_names, one.requires_auth) == ("3.1.0", ("day-ahead",), True)


# ---- webhooks


@pytest.fixture
def calling(make_vtn: MakeVtn) -> Iterator[tuple[Vtn, Business]]:
    """Run a VTN that calls its subscribers."""
    vtn = make_vtn("--webhooks", "--webhook-allow-private")
    with operator(vtn) as business:
        yield vtn, business


@pytest.fixture
def called(calling: tuple[Vtn, Business], site: Site, tmp_path: Path) -> Gateway:
    """Return a gateway that can be called, and asks every hour only."""
    made = Gateway(tmp_path, calling[0].url)
    port = pick_port()
    made.settings["vtn"] |= {"poll_s": RARELY_S, "push_poll_s": RARELY_S}
    made.settings["vtn"] |= {"webhook_url": f"http://127.0.0.1:{port}/hook/1"}
    made.settings["vtn"] |= {"webhook_listen": f"127.0.0.1:{port}"}
    return made


async def ready(gateway: Gateway) -> None:
    """Return once all is registered and the VTN calls."""
    await gateway.registered()
    await gateway.until(lambda s: "webhook" in str(s["vtn"].get("push")), "webhook in use")


async def test_row_69_events_are_known_by_webhook(calling: tuple[Vtn, Business], called: Gateway) -> None:
    """New, deleted and asking events wake the gateway; it subscribes once, however often it starts."""
    business = calling[1]
    for _ in range(3):
        async with started(called):
            await ready(called)
    async with started(called):
        await ready(called)
        first = business.add_event(
            business.add_program(), intervalPeriod=period(soon(86_400), 2), intervals=intervals(1)
        )
        await called.knows(1)
        business.delete_event(first)
        await called.knows(0)
        event = asked(business)
        await until(lambda: business.reports(event), "report accepted", log=lambda: called.log)

        assert len(business.say("GET", "/subscriptions")) == 1
    assert business.say("GET", "/subscriptions") == []


async def test_row_69_a_vtn_that_lost_its_store_calls_again(
    calling: tuple[Vtn, Business], called: Gateway
) -> None:
    """After the VTN has come back empty, VEN, resources and subscription are there again, and events wake."""
    vtn, business = calling
    called.settings["vtn"] |= {"poll_s": 0.5, "push_poll_s": 0.5}
    async with started(called):
        await ready(called)
        vtn.stop()
        await called.until(lambda s: s["vtn"]["state"] == "unreachable", "absence noticed")
        vtn.empty()
        business.log_in()
        await until(
            lambda: len(business.resources()) == 3 and business.say("GET", "/subscriptions"),
            "registered and subscribed again",
            log=lambda: called.log,
        )
        event = asked(business)
        await until(lambda: business.reports(event), "report accepted", log=lambda: called.log)

        assert [ven["venName"] for ven in business.vens()] == ["interop"]


# ---- object privacy


async def test_row_25_a_target_granted_while_it_runs_is_known_by_webhook(
    calling: tuple[Vtn, Business], called: Gateway
) -> None:
    """The grant itself wakes the gateway: the event for the target is known without a restart or a poll."""
    business = calling[1]
    async with started(called):
        await ready(called)
        asked(business, targets=["zone-a"])
        asked(business, targets=["zone-b"])
        business.grant(business.vens()[0], "zone-a")
        await until(
            lambda: (s := called.status) and s["events"]["known"] == 1,
            "the event of the granted target known",
            within_s=UNASKED_S,
            log=lambda: called.log,
        )


async def test_row_26_an_event_for_one_resource_is_reported_for_it_alone_as_soon_as_it_is_granted(
    calling: tuple[Vtn, Business], called: Gateway
) -> None:
    """A target granted to one resource while the gateway runs asks for a report on that one alone."""
    business = calling[1]
    async with started(called):
        await ready(called)
        meter = next(one for one in business.resources() if one["resourceName"] == "Meter 2")
        business.grant_resource(meter, "north")
        event = asked(business, targets=["north"])
        reports = await until(lambda: business.reports(event), "report accepted", log=lambda: called.log)

    assert {name for name, _ in reported(reports)} == {"Meter 2"}


# ---- strict validation


class FeedIn(Meter):
    """A meter that knows power alone, and of a site that feeds in."""

    def write(self, moments: Sequence[datetime]) -> None:
        """Write a row for each moment, without a register."""
        with self._file.open("a", encoding="utf-8") as file:
            file.write("".join(f"{moment.isoformat()},{self.power_kw},\n" for moment in moments))


@pytest.fixture
async def feeding(tmp_path: Path, vtn: Vtn, business: Business) -> AsyncIterator[Gateway]:
    """Return a gateway, not started, of a site that feeds in 36 kW."""
    async with running(Site(tmp_path, [FeedIn(tmp_path, 1, -36.0)])):
        yield Gateway(tmp_path, vtn.url)


async def test_feed_in_is_left_out_of_usage_which_may_not_be_negative(
    feeding: Gateway, business: Business
) -> None:
    """The standard's USAGE begins at 0: without `reporting.allow_negative` the report has no such value."""
    async with started(feeding):
        await feeding.registered()
        event = asked(business)
        reports = await until(lambda: business.reports(event), "report accepted", log=lambda: feeding.log)
        await feeding.until(lambda s: s["reports"]["sent"] == 1, "known as sent")

    assert reported(reports) == {}


async def test_a_value_that_the_vtn_refuses_stops_no_other_report(
    feeding: Gateway, business: Business
) -> None:
    """With `reporting.allow_negative` this VTN refuses USAGE: its reason is logged, and the rest goes on."""
    feeding.settings["reporting"]["allow_negative"] = True
    async with started(feeding):
        await feeding.registered()
        asked(business, 2)
        other = business.add_event(
            business.add_program(),
            intervalPeriod=period(soon(4), 2),
            intervals=intervals(1),
            reportDescriptors=[{"payloadType": "OPERATING_STATE", **EACH}],
        )
        await until(lambda: business.reports(other), "report accepted", log=lambda: feeding.log)
        await feeding.until(lambda s: s["reports"].get("refused") == 2, "refusals counted")

    assert "is outside >= 0" in feeding.log


# ---- its checks of any VTN


async def test_its_conformance_checks_pass_on_the_local_vtn(broker: int) -> None:
    """All that the crate requires of a VTN holds for the local VTN, but one body that lacks a member.

    Its resource of the business side has no `clientID`, which openadr3.yaml of 3.1.1 requires.
    """
    logins = [
        {"id": "bl-1", "secret": SECRET, "role": "bl"},
        {"id": "ven-1", "secret": SECRET, "role": "ven"},
    ]
    offer = Push(mqtt_uri=f"mqtt://127.0.0.1:{broker}")
    async with LocalVtn(clients=logins, push=offer) as vtn:
        process = await asyncio.create_subprocess_exec(
            *(find_crate(), "conformance", "--json", "--url", vtn.url, "--bl-client", f"bl-1:{SECRET}"),
            *("--ven-client", f"ven-1:{SECRET}", "--ven-client-id", "ven-1"),
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
    required = [one for one in json.loads(printed)["findings"] if one["severity"] == "required"]

    assert len(required) >= 40
    assert {one["id"]: one["detail"] for one in required if one["outcome"] == "skipped"} == {}
    ((failed, detail),) = {one["id"]: one["detail"] for one in required if one["outcome"] == "failed"}.items()
    assert failed == "ven-reads-only-its-own-resources"
    assert "clientID" in detail
