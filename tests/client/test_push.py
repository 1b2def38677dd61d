"""Push notifications by MQTT, WebSocket and webhook, each proved against a server over real sockets."""

from __future__ import annotations

import asyncio
import shutil
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.peers import missing, mosquitto, pick_port
from venclient.client import VenClient, VtnAccount
from venclient.client.push import Push, Webhook
from venclient.client.registration import ensure_ven
from venclient.clock import SystemClock
from venclient.messages import client as messages
from venclient.simulation.vtn import Fault, LocalVtn
from venclient.simulation.vtn.faults import FOREVER
from venclient.simulation.vtn.push import Push as VtnPush

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

SECRET = "push-secret"


class Told:
    """A push that is running, and what it woke us with."""

    def __init__(self, push: Push, woken: asyncio.Event, client: VenClient, ven_id: str) -> None:
        self.push = push
        self.woken = woken
        self.client = client
        self.ven_id = ven_id

    async def until(self, holds: Callable[[], bool], within_s: float = 60.0) -> None:
        """Return once `holds` does."""
        async with asyncio.timeout(within_s):
            while not holds():  # noqa: ASYNC110  what it looks at has no event
                await asyncio.sleep(0.02)  # another process is at work: no clock of ours turns it

    async def up(self) -> None:
        """Return once the VTN notifies us of changes, and forget that this woke us."""
        await self.until(lambda: self.push.working)
        self.woken.clear()

    async def notified(self, within_s: float = 60.0) -> None:
        """Return at the next notification."""
        async with asyncio.timeout(within_s):
            await self.woken.wait()
        self.woken.clear()


@asynccontextmanager
async def told(vtn: LocalVtn, *, webhook: Webhook | None = None, **account: Any) -> AsyncIterator[Told]:
    """Yield a registered VEN that `vtn` notifies of changes."""
    clock = SystemClock()
    base = {"url": vtn.url, "client_id": "ven-1", "client_secret": SECRET, "allow_http": True}
    async with VenClient(VtnAccount(**{**base, **account}), clock) as client:
        ven = await ensure_ven(client, "told")
        woken = asyncio.Event()
        push = Push(client, woken.set, clock, client_name="told", webhook=webhook)
        task = asyncio.create_task(push.run(lambda: ven.id or ""))
        try:
            yield Told(push, woken, client, ven.id or "")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def local_vtn(push: VtnPush, **options: Any) -> LocalVtn:
    """Return a local VTN that notifies."""
    return LocalVtn(clients=[{"id": "ven-1", "secret": SECRET, "role": "ven"}], push=push, **options)


def post_event(vtn: LocalVtn, **members: Any) -> dict[str, Any]:
    """Post a program, once, and an event of it."""
    programs = vtn.programs or [vtn.add_program({"programName": "push"})]
    period = {"start": "2026-01-01T00:00:00Z", "duration": "PT1H"}
    intervals = [{"id": 0, "payloads": [{"type": "PRICE", "values": [0.1]}]}]
    return vtn.add_event(
        {"programID": programs[0]["id"], "intervalPeriod": period, "intervals": intervals, **members}
    )


def set_password(program: str, file: Path, name: str, password: str, *options: str) -> None:
    """Write a login into a password file of mosquitto."""
    subprocess.run([program, "-b", *options, str(file), name, password], check=True, capture_output=True)


@contextmanager
def certificates(folder: Path) -> Iterator[dict[str, Path]]:
    """Return an authority, a server's and a client's certificate made by openssl."""
    if shutil.which("openssl") is None:
        missing("openssl is not installed")

    def run(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run(
        "req",
        "-x509",
        *key,
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "2",
        "-subj",
        "/CN=Test authority",
    )
    for name, subject, extension in (
        ("server", "/CN=localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ("client", "/CN=ven-1", "extendedKeyUsage=clientAuth"),
    ):
        run("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        (folder / f"{name}.ext").write_text(extension + "\n")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        run("x509", "-req", "-in", f"{name}.csr", *signing, "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    yield {name: folder / name for name in ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")}


async def test_row_65_mqtt_with_the_token_as_password_wakes_the_poll(tmp_path: Path) -> None:
    """The VTN names broker, topics and login; an event posted there wakes the poll."""
    port = pick_port()
    passwords = tmp_path / "passwords"
    program = shutil.which("mosquitto_passwd") or missing("mosquitto_passwd is not installed")
    set_password(program, passwords, "vtn", "its-own", "-c")
    lines = ("allow_anonymous false", f"password_file {passwords}")
    with mosquitto(tmp_path / "broker", port, *lines) as broker:
        offer = VtnPush(
            mqtt_uri=f"mqtt://127.0.0.1:{port}",
            authentication={"method": "OAUTH2_BEARER_TOKEN", "username": "{clientID}"},
            login=("vtn", "its-own"),
        )
        async with local_vtn(offer) as vtn, told(vtn) as ven:
            await ven.until(lambda: "refused" in ven.push.state)
            token = await ven.client.notices.token()
            set_password(program, passwords, "ven-1", str(token))
            broker.send_signal(signal.SIGHUP)
            await ven.up()
            post_event(vtn)
            await ven.notified()
            assert ven.push.state == messages.PUSHED(kind="MQTT")
            assert str(token) not in ven.push.state


async def test_an_event_for_others_is_not_told(tmp_path: Path) -> None:
    """The topics of our VEN carry what is meant for it; another VEN's event does not wake us."""
    port = pick_port()
    with mosquitto(tmp_path, port):
        async with local_vtn(VtnPush(mqtt_uri=f"mqtt://127.0.0.1:{port}")) as vtn, told(vtn) as ven:
            await ven.up()
            post_event(vtn)
            await ven.until(lambda: ven.push.notifications == 2)  # of the program, and of the event
            ven.woken.clear()
            seen = ven.push.notifications
            post_event(vtn, targets=["others"])
            vtn.grant(ven.ven_id, "zone-a")
            await ven.notified()  # of the grant, which comes after
            post_event(vtn, targets=["zone-a"])
            await ven.notified()
            assert ven.push.notifications == seen + 2


async def test_row_66_after_a_lost_connection_everything_is_read_anew(tmp_path: Path) -> None:
    """The broker goes and comes back; what changed meanwhile is asked for as soon as it is there again."""
    port = pick_port()
    offer = VtnPush(mqtt_uri=f"mqtt://127.0.0.1:{port}")
    with mosquitto(tmp_path, port) as broker:
        async with local_vtn(offer) as vtn, told(vtn) as ven:
            await ven.up()
            broker.kill()
            broker.wait(60)
            await ven.until(lambda: not ven.push.working)
            assert "polling" in ven.push.state
            ven.woken.clear()
            post_event(vtn)
            with mosquitto(tmp_path, port):
                await ven.notified(within_s=180)
                assert ven.push.state == messages.PUSHED(kind="MQTT")


async def test_row_67_mqtt_with_the_certificate_that_the_vtn_hands_out(tmp_path: Path) -> None:
    """CERTIFICATE: the broker's authority, our certificate and its key come from the VTN."""
    with certificates(tmp_path) as files:
        port = pick_port()
        lines = (
            f"cafile {files['ca.pem']}",
            f"certfile {files['server.pem']}",
            f"keyfile {files['server.key']}",
            "require_certificate true",
            "use_identity_as_username true",
        )
        handed_out = {
            "method": "CERTIFICATE",
            "caCert": files["ca.pem"].read_text(),
            "clientCert": files["client.pem"].read_text(),
            "clientKey": files["client.key"].read_text(),
        }
        with mosquitto(tmp_path / "broker", port, *lines):
            offer = VtnPush(
                mqtt_uri=f"mqtts://localhost:{port}",
                authentication=handed_out,
                ca_file=files["ca.pem"],
                cert_files=(files["client.pem"], files["client.key"]),
            )
            async with local_vtn(offer) as vtn, told(vtn) as ven:
                await ven.up()
                post_event(vtn)
                await ven.notified()
                assert ven.push.state == messages.PUSHED(kind="MQTT")


async def test_row_67_an_anonymous_broker_without_tls_needs_the_switch(tmp_path: Path) -> None:
    """ANONYMOUS over plain MQTT works with vtn.allow_http, and is refused, and said, without."""
    port = pick_port()
    with mosquitto(tmp_path, port):
        offer = VtnPush(mqtt_uri=f"mqtt://127.0.0.1:{port}")
        async with local_vtn(offer) as vtn, told(vtn) as ven:
            await ven.up()
            object.__setattr__(ven.client._account, "allow_http", False)
            assert ven.push.state == messages.PUSHED(kind="MQTT")
            push = Push(ven.client, ven.woken.set, SystemClock(), client_name="told")
            task = asyncio.create_task(push.run(lambda: ven.ven_id))
            await ven.until(lambda: "VEN-VTN-059" in push.state)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert "vtn.allow_http" in push.state


@pytest.mark.parametrize("status", [403, 404, 501])
async def test_row_68_without_notifiers_we_poll_and_say_so(status: int) -> None:
    """A VTN that refuses or lacks /notifiers is polled, which is said; nothing fails."""
    async with local_vtn(VtnPush(websocket=True)) as vtn:
        vtn.faults.append(Fault(path="^/notifiers", times=FOREVER, status=status))
        async with told(vtn) as ven:
            await ven.until(lambda: ven.push.state != messages.PUSH_NOT_CHECKED())
            assert ven.push.state == messages.POLLING(reason=messages.PUSH_NOT_OFFERED())
            assert not ven.push.working


async def test_a_websocket_wakes_and_comes_back() -> None:
    """Where the VTN offers a WebSocket, changes come over it, also after the VTN was down."""
    async with local_vtn(VtnPush(websocket=True)) as vtn, told(vtn) as ven:
        await ven.up()
        post_event(vtn)
        await ven.notified()
        assert ven.push.state == messages.PUSHED(kind="WebSocket")
        await ven.until(lambda: ven.push.notifications == 2)  # of the program, and of the event
        await vtn.stop()
        await ven.until(lambda: not ven.push.working)
        ven.woken.clear()
        await vtn.start()
        await ven.notified(within_s=180)
        assert ven.push.state == messages.PUSHED(kind="WebSocket")


async def test_a_token_that_expires_while_connected_costs_one_reconnection_at_most() -> None:
    """The connection of the old token goes on; once it is lost, the next one is made with a new token."""
    async with local_vtn(VtnPush(websocket=True)) as vtn, told(vtn) as ven:
        await ven.up()
        vtn.expire_tokens()
        post_event(vtn)
        await ven.notified()
        await vtn.stop()
        await ven.until(lambda: not ven.push.working)
        await vtn.start()
        await ven.until(lambda: ven.push.working, within_s=180)
        assert ven.push.state == messages.PUSHED(kind="WebSocket")


async def test_row_69_a_webhook_answers_the_echo_and_takes_only_our_token(tmp_path: Path) -> None:
    """Over TLS: the VTN's challenge is answered, a change wakes, and a call without our token does not."""
    with certificates(tmp_path) as files:
        port = pick_port()
        hook = Webhook(
            url=f"https://localhost:{port}/hook",
            host="127.0.0.1",
            port=port,
            cert_file=files["server.pem"],
            key_file=files["server.key"],
        )
        offer = VtnPush(webhook=True, webhook_ca=files["ca.pem"])
        async with local_vtn(offer) as vtn:
            async with told(vtn, webhook=hook) as ven:
                await ven.up()
                post_event(vtn)
                await ven.notified()
                assert ven.push.state == messages.PUSHED(kind="webhook")

                await ven.until(lambda: ven.push.notifications == 2)  # of the program, and of the event
                seen = ven.push.notifications
                trusted = ssl.create_default_context(cafile=str(files["ca.pem"]))
                async with httpx2.AsyncClient(verify=trusted, trust_env=False) as stranger:
                    answers = [
                        await stranger.post(hook.url, json={}),
                        await stranger.post(hook.url, json={}, headers={"Authorization": "Bearer wrong"}),
                        await stranger.get(hook.url, params={"echo": "abc"}),
                        await stranger.get(hook.url.replace("/hook", "/other"), params={"echo": "abc"}),
                    ]
                assert [one.status_code for one in answers] == [401, 401, 200, 404]
                assert answers[2].text == "abc"
                assert ven.push.notifications == seen
                (subscription,) = vtn.service.store.find("subscription")
                assert subscription.content["objectOperations"][0]["bearerToken"] not in ven.push.state
            # A gateway that stops is not called any more.
            assert list(vtn.service.store.find("subscription")) == []


async def test_an_earlier_subscription_is_renewed_not_doubled(free_port: int) -> None:
    """After a crash the subscription of the run before is taken over, with a new token."""
    hook = Webhook(url=f"http://127.0.0.1:{free_port}/", host="127.0.0.1", port=free_port)
    async with local_vtn(VtnPush(webhook=True)) as vtn, told(vtn, webhook=hook) as ven:
        await ven.up()
        (before,) = vtn.service.store.find("subscription")
        again = await ven.client.notices.subscribe("told", hook.url, "another-token")
        (after,) = vtn.service.store.find("subscription")
        assert (again, after.id) == (before.id, before.id)
        assert after.content["objectOperations"][0]["bearerToken"] == "another-token"
