"""What a reader says and does when its broker is away, refuses us, or is not the one that we trust."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.codes import raises_code
from tests.connectors.sites import make_site
from tests.connectors.test_mqtt import PLAIN_W, TOPIC, connected, drained, meter, publish, read, values
from tests.fakes.mqtt import scripted_broker
from tests.peers import missing, mosquitto, pick_port
from venclient.connectors.base import Batch
from venclient.connectors.mqtt import open_mqtt_reader
from venclient.errors import ConnectFailed, ConnectorError


@pytest.mark.peer
async def test_a_broker_that_is_away_at_first_is_dark_once_and_then_read(
    tmp_path: Path, free_port: int
) -> None:
    """An unreachable broker is ConnectFailed after the time-out; the same reader goes on when it is there."""
    reader = open_mqtt_reader(meter(free_port, options={**PLAIN_W, "timeout_s": 0.2}), make_site(tmp_path))
    with raises_code(ConnectFailed, "VEN-MQT-046") as caught:
        await read(reader)
    assert caught.value.subject.startswith("Hotel Ærø")
    waiting = asyncio.create_task(reader.read())
    with mosquitto(tmp_path / "broker", free_port):
        assert await asyncio.wait_for(waiting, 60) == Batch()  # says that all is well
        await publish(free_port, (TOPIC, "1000"))
        assert values(await read(reader)) == [1.0]
        await reader.close()


@pytest.mark.peer
async def test_a_broker_that_goes_and_comes_back(tmp_path: Path, free_port: int) -> None:
    """A lost connection is reported once; the reader resumes by itself, on a broker that forgot it, too."""
    with mosquitto(tmp_path / "one", free_port):
        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        await connected(reader, free_port)
    with raises_code(ConnectFailed, "VEN-MQT-037"):
        await read(reader)
    waiting = asyncio.create_task(reader.read())
    with mosquitto(tmp_path / "two", free_port):
        assert await asyncio.wait_for(waiting, 60) == Batch()
        await publish(free_port, (TOPIC, "3000"))
        assert values(await read(reader)) == [3.0]
        await reader.close()


@contextmanager
def guarded(folder: Path, port: int, *lines: str) -> Iterator[None]:
    """Run a broker that lets in `meter` with the password `geheim` only."""
    folder.mkdir(parents=True)
    done = subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(folder / "passwords"), "meter", "geheim"],
        check=False,
        capture_output=True,
    )
    if done.returncode:
        missing("mosquitto_passwd does not work (apt-get install mosquitto)")
    with mosquitto(folder, port, "allow_anonymous false", f"password_file {folder / 'passwords'}", *lines):
        yield


@pytest.mark.peer
@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_a_refused_login_says_so_and_hides_the_password(
    tmp_path: Path, free_port: int, protocol: str
) -> None:
    """A wrong password is reported as what it is, and the right one lets in."""
    options = {**PLAIN_W, "protocol": protocol}
    login = {"username": "meter", "password": "geheim"}
    with guarded(tmp_path / "broker", free_port):
        wrong = open_mqtt_reader(
            meter(free_port, options=options, username="meter", password="falsch"), make_site(tmp_path)
        )
        with pytest.raises(ConnectorError, match=r"VEN-MQT-03[45]") as caught:
            await read(wrong)
        await wrong.close()
        right = open_mqtt_reader(meter(free_port, options=options, **login), make_site(tmp_path))
        await connected(right, free_port, auth=login)
        await right.close()
    assert "falsch" not in str(caught.value)
    assert not isinstance(caught.value, ConnectFailed)


@pytest.mark.peer
async def test_a_refused_topic_says_so(tmp_path: Path, free_port: int) -> None:
    """A broker that refuses a subscription is distinguished from one that is away; others go on."""
    async with scripted_broker(free_port, refuse={TOPIC}):
        site = make_site(tmp_path)
        refused = open_mqtt_reader(meter(free_port, name="A"), site)
        other = open_mqtt_reader(meter(free_port, name="B", topic="other"), site)
        with pytest.raises(ConnectorError, match=r"'site/meter/power'.*VEN-MQT-047"):
            await read(refused)
        assert await drained(other) == []
        await refused.close()
        await other.close()


@pytest.mark.peer
async def test_a_broker_that_talks_garbage_is_only_a_lost_connection(tmp_path: Path, free_port: int) -> None:
    """Bytes that are no MQTT end the connection, not the reader: it connects again and reads on."""
    async with scripted_broker(free_port, garbage_first=True) as broker:
        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        with pytest.raises(ConnectFailed):
            await read(reader)
        assert await read(reader) == Batch()
        await broker.publish(TOPIC, b"4000")
        assert values(await read(reader)) == [4.0]
        await reader.close()


@pytest.mark.peer
@pytest.mark.parametrize("said", [b"", b"\x20\x02\x00\x01"])
async def test_what_hangs_up_before_it_lets_us_in_is_told(
    tmp_path: Path, free_port: int, said: bytes
) -> None:
    """A server that is not a broker, or wants another version of MQTT, is named with what to check."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(14)
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", free_port):
        options = {**PLAIN_W, "timeout_s": 0.2}
        reader = open_mqtt_reader(meter(free_port, options=options), make_site(tmp_path))
        with pytest.raises(ConnectFailed, match="VEN-MQT-043"):
            await read(reader)
        await reader.close()


@pytest.mark.peer
async def test_an_answer_that_no_broker_gives_costs_one_connection(tmp_path: Path, free_port: int) -> None:
    """A subscription that is answered with nonsense is reported as a lost connection, then read again."""
    codes = [0x4D, 0x00]
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readexactly(2)
            await reader.readexactly(head[1])
            writer.write(b"\x20\x02\x00\x00")
            head = await reader.readexactly(2)
            wish = await reader.readexactly(head[1])
            writer.write(b"\x90\x03" + wish[:2] + bytes([codes.pop(0)]))
            if not codes:
                body = len(TOPIC).to_bytes(2, "big") + TOPIC.encode() + b"5000"
                writer.write(b"\x30" + bytes([len(body)]) + body)
            await reader.read()
        finally:
            writer.close()
            if not codes:
                over.set()

    async with await asyncio.start_server(serve, "127.0.0.1", free_port):
        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        with raises_code(ConnectFailed, "VEN-MQT-037"):
            await read(reader)
        batches = [await read(reader)]
        while not values(*batches):
            batches.append(await read(reader))
        await reader.close()
        await over.wait()
    assert values(*batches) == [5.0]


@pytest.mark.peer
async def test_a_packet_that_the_library_chokes_on_costs_one_connection(
    tmp_path: Path, free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged and the connection is opened again; what was not acknowledged comes again."""
    with mosquitto(tmp_path / "broker", free_port):
        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        await connected(reader, free_port)
        client = vars(vars(reader)["_link"])["_client"]

        def choke() -> None:
            del client.loop_read
            raise ValueError("a bug")

        client.loop_read = choke
        await publish(free_port, (TOPIC, "6000"))
        with raises_code(ConnectFailed, "VEN-MQT-037"):
            await read(reader)
        batches = [await read(reader)]
        while not values(*batches):
            batches.append(await read(reader))
        await reader.close()
    assert values(*batches) == [6.0]
    assert "a packet cannot be decoded" in caplog.text


@pytest.mark.peer
async def test_a_server_that_stays_silent_does_not_hold_up_the_end(tmp_path: Path, free_port: int) -> None:
    """A host that takes the connection and says nothing is reported, and closing does not wait for it."""

    over = asyncio.Event()

    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        over.set()

    async with await asyncio.start_server(stay_silent, "127.0.0.1", free_port):
        options = {**PLAIN_W, "timeout_s": 0.2}
        reader = open_mqtt_reader(meter(free_port, options=options), make_site(tmp_path))
        with pytest.raises(ConnectFailed, match="VEN-MQT-030"):
            await read(reader)
        async with asyncio.timeout(60):
            await reader.close()
            await over.wait()


@pytest.mark.peer
async def test_a_link_can_be_closed_while_it_connects(tmp_path: Path) -> None:
    """A link that is closed before it is connected leaves neither task, thread nor socket behind."""
    reader = open_mqtt_reader(meter(9, options=PLAIN_W), make_site(tmp_path))
    reading = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    await reader.close()
    reading.cancel()
    assert not [one for one in asyncio.all_tasks() if "connection" in one.get_name()]


@contextmanager
def certified(folder: Path, port: int) -> Iterator[None]:
    """Run a broker with TLS for localhost that wants client certificates of a separate CA."""
    folder.mkdir(parents=True)

    def openssl(*words: str) -> None:
        try:
            subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)
        except (OSError, subprocess.CalledProcessError) as error:
            missing(f"openssl does not work ({error})")

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Our CA", "-days", "2")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            *f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2".split(),
            *f"-out {name}.pem -extfile names".split(),
        )
    lines = [
        f"{option} {folder}/{file}"
        for option, file in (("cafile", "ca.pem"), ("certfile", "server.pem"), ("keyfile", "server.key"))
    ]
    with mosquitto(folder, port, "allow_anonymous true", *lines, "require_certificate true"):
        yield


@pytest.mark.peer
async def test_tls_with_our_own_authority_and_certificate(tmp_path: Path, free_port: int) -> None:
    """The broker's certificate is checked, ours is shown; files are found beside the registry."""
    certificate = {"cert_file": "broker/client.pem", "key_file": "broker/client.key"}
    trusting = {**PLAIN_W, "tls": True, "ca_file": "broker/ca.pem", **certificate}
    blind = {**PLAIN_W, "tls": True, **certificate}
    with certified(tmp_path / "broker", free_port):
        reader = open_mqtt_reader(meter(free_port, options=trusting), make_site(tmp_path))
        tls = {
            "ca_certs": str(tmp_path / "broker/ca.pem"),
            "certfile": str(tmp_path / "broker/client.pem"),
            "keyfile": str(tmp_path / "broker/client.key"),
        }
        await connected(reader, free_port, tls=tls)
        await publish(free_port, (TOPIC, "1000"), tls=tls)
        assert values(*await drained(reader, least=1)) == [1.0]
        # Many in one record of TLS: what it has decrypted makes no socket readable.
        await publish(free_port, *((TOPIC, str(1000 * n)) for n in range(300)), tls=tls)
        assert values(*await drained(reader, least=300)) == [float(n) for n in range(300)]
        await reader.close()

        reader = open_mqtt_reader(meter(free_port, options=blind), make_site(tmp_path))
        with pytest.raises(ConnectorError, match="VEN-TLS-284"):
            await read(reader)
        await reader.close()


@pytest.mark.peer
async def test_packets_of_one_tls_record_are_all_read(tmp_path: Path, free_port: int) -> None:
    """What TLS has decrypted makes no socket readable: it is read on when it comes behind an answer."""
    port = pick_port()
    body = len(TOPIC).to_bytes(2, "big") + TOPIC.encode() + b"1000"
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(2)
        await reader.readexactly(head[1])
        writer.write(b"\x20\x02\x00\x00")
        head = await reader.readexactly(2)
        wish = await reader.readexactly(head[1])
        writer.write(b"\x90\x03" + wish[:2] + b"\x01" + b"\x30" + bytes([len(body)]) + body)
        await reader.read()
        writer.close()
        over.set()

    with certified(tmp_path / "broker", free_port):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tmp_path / "broker/server.pem", tmp_path / "broker/server.key")
        async with await asyncio.start_server(serve, "127.0.0.1", port, ssl=context):
            options = {**PLAIN_W, "tls": True, "ca_file": "broker/ca.pem"}
            reader = open_mqtt_reader(meter(port, options=options), make_site(tmp_path))
            batch = await read(reader)
            await reader.close()
            await over.wait()
    assert values(batch) == [1.0]
