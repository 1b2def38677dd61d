"""What strangers and broken peers do to a webhook receiver, an MQTT client and a WebSocket."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest

from tests.client.test_push import certificates
from tests.peers import pick_port
from venclient.client import push_mqtt, push_webhook
from venclient.client.notices import Notices, Topics
from venclient.client.push import Webhook
from venclient.client.push_mqtt import MqttChannel, _Ear
from venclient.client.push_socket import SocketChannel
from venclient.client.push_webhook import Receiver
from venclient.errors import ConfigError, VtnUnreachable
from venclient.messages import code_of
from venclient.openadr.objects import MqttNotifier

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

BEARER = "our-token"


class Woken:
    """Counts."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, *_: object) -> None:
        self.times += 1


@asynccontextmanager
async def receiver(
    woken: Woken, *, cert_file: Path | None = None, key_file: Path | None = None
) -> AsyncIterator[str]:
    """Return the address of a receiver that serves."""
    port = pick_port()
    url = f"http{'s' if cert_file else ''}://127.0.0.1:{port}/hook"
    address = Webhook(url=url, host="127.0.0.1", port=port, cert_file=cert_file, key_file=key_file)
    async with push_webhook._serving(Receiver(BEARER, woken, "/hook"), address):
        yield url


async def post(url: str, body: bytes = b"{}", token: str = BEARER) -> int:
    """Call with a token, and give the status."""
    async with httpx2.AsyncClient(trust_env=False, timeout=120) as http:
        answer = await http.post(url, content=body, headers={"Authorization": f"Bearer {token}"})
        assert answer.headers["connection"] == "close"
        return answer.status_code


async def test_row_69_callers_that_say_nothing_do_not_keep_the_vtn_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More idle connections than there is room for are ended in time, and the VTN's call is served."""
    monkeypatch.setattr(push_webhook, "CALL_WITHIN_S", 0.3)
    monkeypatch.setattr(push_webhook, "MOST_CALLS", 4)
    woken = Woken()
    async with receiver(woken) as url:
        with ExitStack() as idle:
            for number in range(6):
                caller = idle.enter_context(
                    socket.create_connection(("127.0.0.1", httpx2.URL(url).port or 0))
                )
                if number % 2:
                    caller.sendall(b"POST /hook HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            assert await post(url) == 200
    assert woken.times == 1


async def test_silent_callers_do_not_delay_a_call(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With five times the silent callers that there is room for, the VTN's call is served before any ends."""
    monkeypatch.setattr(push_webhook, "CALL_WITHIN_S", 600.0)
    monkeypatch.setattr(push_webhook, "MOST_CALLS", 32)
    woken = Woken()
    async with receiver(woken) as url:
        with ExitStack() as idle:
            for _ in range(161):
                idle.enter_context(socket.create_connection(("127.0.0.1", httpx2.URL(url).port or 0)))
                await asyncio.sleep(0)
            assert await post(url) == 200
    assert woken.times == 1
    assert [code_of(one.msg) for one in caplog.records if one.name.endswith("webhook")] == ["VEN-VTN-158"]


async def test_a_body_is_read_up_to_a_limit_and_a_strangers_not_at_all() -> None:
    """The VTN's giant notification still wakes; a stranger's is refused by its header."""
    woken = Woken()
    async with receiver(woken) as url:
        assert await post(url, b"x" * (2**22 + 2**20)) == 413
        assert woken.times == 1
        assert await post(url, b"{}", token="guess") == 401
        assert woken.times == 1


async def test_row_69_the_receiver_speaks_no_tls_before_1_2(tmp_path: Path) -> None:
    """Its context asks for TLS 1.2 or newer, whatever the system allows; a wrong key is reported."""
    with certificates(tmp_path) as files:
        address = Webhook(
            url="https://localhost/",
            host="127.0.0.1",
            port=1,
            cert_file=files["server.pem"],
            key_file=files["server.key"],
        )
        context = push_webhook._tls(address)
        assert context is not None
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        wrong = Webhook(
            url="https://localhost/",
            host="127.0.0.1",
            port=1,
            cert_file=files["server.pem"],
            key_file=files["client.key"],
        )
        with pytest.raises(ConfigError, match="webhook_cert_file"):
            push_webhook._tls(wrong)


async def test_a_call_that_is_no_tls_ends_and_others_are_served(tmp_path: Path) -> None:
    """A plain-text call to the TLS port does no harm to others."""
    woken = Woken()
    with certificates(tmp_path) as files:
        async with receiver(woken, cert_file=files["server.pem"], key_file=files["server.key"]) as url:
            port = httpx2.URL(url).port or 0
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            trusted = ssl.create_default_context(cafile=str(files["ca.pem"]))
            async with httpx2.AsyncClient(verify=trusted, trust_env=False) as http:
                answer = await http.get(url, params={"echo": "word"})
            writer.close()
    assert (answer.status_code, answer.text) == (200, "word")


def mqtt_channel(port: int) -> MqttChannel:
    """Return a channel to a port of this machine, of a VTN that has topics and allows plain connections."""

    async def topics(_: str) -> Topics:
        return Topics(("e",), ("p",))

    notices = SimpleNamespace(url="http://vtn", plain_allowed=True, client_id="x", topics=topics)
    uri = f"mqtt://127.0.0.1:{port}"
    return MqttChannel(cast("Notices", notices), MqttNotifier(uris=[uri]), uri, "V1")


async def test_a_broker_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connected, but not let in: another way is tried after a while, and no thread stays behind."""
    monkeypatch.setattr(push_mqtt, "_ANSWER_WITHIN_S", 0.2)
    before = threading.active_count()
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(8)
        with pytest.raises(VtnUnreachable, match="VEN-VTN-055"):
            await mqtt_channel(deaf.getsockname()[1]).run(Woken(), Woken())
    # The executor's own threads stay; none of the client's does.
    assert not [one.name for one in threading.enumerate() if one.name.startswith(("paho", "mqtt"))]
    assert threading.active_count() <= before + 2


async def test_a_channel_is_left_at_once_while_it_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping the gateway does not wait for a broker's address that swallows packets."""
    asked, over = threading.Event(), threading.Event()

    def swallowed(*_: Any, **__: Any) -> None:
        asked.set()
        over.wait(10)

    monkeypatch.setattr("paho.mqtt.client.Client.connect", swallowed)
    task = asyncio.create_task(mqtt_channel(1).run(Woken(), Woken()))
    await asyncio.to_thread(asked.wait, 10)
    task.cancel()
    async with asyncio.timeout(60):
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    over.set()


@pytest.mark.parametrize(
    ("refused", "ended"),
    [
        ((True, False), "VEN-VTN-062"),
        ((False, True), None),
    ],
)
async def test_without_the_topics_of_events_it_does_not_count_as_told(
    refused: tuple[bool, bool], ended: str | None
) -> None:
    """With a broker that allows only the programs topic, we would poll rarely and miss events."""
    up = Woken()
    client = SimpleNamespace()
    ear = _Ear(client, 5, Topics(("e",), ("p",)), up, Woken())
    client.on_subscribe(client, None, 1, [SimpleNamespace(is_failure=one) for one in refused], None)
    await asyncio.sleep(0)
    assert (code_of(ear.ended.result()) if ear.ended.done() else None) == ended
    assert up.times == (0 if ended else 1)


async def test_a_broker_that_hangs_up_on_version_5_is_asked_with_3_1_1() -> None:
    """Not every old broker says that the version is why."""
    for protocol, ended in ((5, push_mqtt._UNSUPPORTED_VERSION), (4, "the connection ended (gone)")):
        client = SimpleNamespace()
        ear = _Ear(client, protocol, Topics(("e",), ()), Woken(), Woken())
        client.on_disconnect(client, None, None, "gone", None)
        await asyncio.sleep(0)
        assert ear.ended.result() == ended


async def test_a_websocket_follows_no_redirect() -> None:
    """A redirect would carry the token to an unconfirmed address."""
    asked: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def nothing(_: str) -> None: ...

    async def token() -> str:
        return "s3cret"

    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        notices = SimpleNamespace(url=url, subscribe_socket=nothing, token=token)
        with pytest.raises(VtnUnreachable, match=r"302.*VEN-VTN-063"):
            await SocketChannel(cast("Notices", notices), "x").run(Woken(), Woken())
    assert len(asked) == 1
