"""What a reader says when a broker lets it in and nothing comes, and when it is no longer let in."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from tests.codes import raises_code
from tests.connectors.sites import make_site
from tests.connectors.test_mqtt import PLAIN_W, connected, drained, meter, publish, read, values
from tests.connectors.test_mqtt_faults import guarded
from tests.connectors.test_mqtt_sites import until
from tests.fakes.mqtt import scripted_broker
from tests.peers import mosquitto
from venclient.clock import ManualClock
from venclient.connectors import mqtt_link, mqtt_traffic
from venclient.connectors.mqtt import open_mqtt_reader
from venclient.connectors.mqtt_inbox import lost
from venclient.connectors.mqtt_traffic import FIRST_PAUSE_S
from venclient.errors import ConnectFailed, ConnectorError, ReadTimeout

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.peer
async def test_a_topic_that_stays_silent_is_told_once(tmp_path: Path, free_port: int) -> None:
    """When nothing has come for long, the meter is dark with a hint; the next message is read as ever."""
    clock = ManualClock(NOON)
    with mosquitto(tmp_path / "broker", free_port):
        options = {**PLAIN_W, "silence_s": 600}
        reader = open_mqtt_reader(meter(free_port, options=options), make_site(tmp_path, clock))
        await connected(reader, free_port)
        waiting = asyncio.create_task(reader.read())
        await clock.advance(590)
        assert not waiting.done()
        await clock.advance(20)
        with pytest.raises(ReadTimeout, match=r"'site/meter/power' for 600 s.*VEN-MQT-060"):
            await asyncio.wait_for(waiting, 10)
        waiting = asyncio.create_task(reader.read())
        await clock.advance(3600)
        assert not waiting.done()
        await publish(free_port, ("site/meter/power", "2000"))
        assert values(await asyncio.wait_for(waiting, 60)) == [2.0]
        await reader.close()


@pytest.mark.peer
async def test_a_name_that_nobody_has_is_told_with_those_that_come(tmp_path: Path, free_port: int) -> None:
    """Where a wildcard brings others' messages only, the hint names them: the match is misspelt."""
    clock = ManualClock(NOON)
    with mosquitto(tmp_path / "broker", free_port):
        site = make_site(tmp_path, clock)
        options = {**PLAIN_W, "silence_s": 60, "match": "em-17"}
        wrong = open_mqtt_reader(meter(free_port, topic="s/+", options=options), site)
        other = open_mqtt_reader(meter(free_port, name="B"), site)
        await connected(other, free_port)
        await publish(free_port, ("s/EM-17", "1"), ("site/meter/power", "1"))
        await drained(other)
        waiting = asyncio.create_task(wrong.read())
        await clock.advance(120)
        with pytest.raises(ReadTimeout, match=r"'EM-17'.*'em-17'.*VEN-MQT-061"):
            await asyncio.wait_for(waiting, 10)
        await wrong.close()
        await other.close()


@pytest.mark.peer
async def test_a_revoked_access_list_ends_in_a_silence_that_is_told(tmp_path: Path, free_port: int) -> None:
    """mosquitto serves no more what its list forbids, without a word: the silence is noticed and named."""
    clock = ManualClock(NOON)
    folder = tmp_path / "broker"
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite #\n")
    acl.chmod(0o644)
    lines = ("allow_anonymous true", f"acl_file {acl}")
    with mosquitto(folder, free_port, *lines) as broker:
        reader = open_mqtt_reader(
            meter(free_port, options={**PLAIN_W, "silence_s": 60}), make_site(tmp_path, clock)
        )
        await connected(reader, free_port)
        acl.write_text("topic write #\n")
        await reload(broker, folder)
        await publish(free_port, ("site/meter/power", "1000"))
        assert await drained(reader) == []
        waiting = asyncio.create_task(reader.read())
        await clock.advance(120)
        with pytest.raises(ReadTimeout, match="VEN-MQT-060"):
            await asyncio.wait_for(waiting, 10)
        acl.write_text("topic readwrite #\n")
        await reload(broker, folder)
        await publish(free_port, ("site/meter/power", "3000"))
        assert 3.0 in values(await read(reader))
        await reader.close()


@pytest.mark.peer
async def test_a_device_that_was_silent_is_not_back_with_its_broker(tmp_path: Path, free_port: int) -> None:
    """A broker that was away and came back says nothing of the device: only a message does."""
    clock = ManualClock(NOON)
    with mosquitto(tmp_path / "one", free_port):
        options = {**PLAIN_W, "silence_s": 60}
        reader = open_mqtt_reader(meter(free_port, options=options), make_site(tmp_path, clock))
        await connected(reader, free_port)
        waiting = asyncio.create_task(reader.read())
        await clock.advance(120)
        with pytest.raises(ReadTimeout, match="VEN-MQT-060"):
            await asyncio.wait_for(waiting, 10)
    with pytest.raises(ConnectFailed, match="VEN-MQT-037"):
        await read(reader)
    with mosquitto(tmp_path / "two", free_port):
        waiting = asyncio.create_task(reader.read())
        await clock.advance(FIRST_PAUSE_S)
        with pytest.raises(ReadTimeout, match="VEN-MQT-060"):
            await asyncio.wait_for(waiting, 10)
        await publish(free_port, ("site/meter/power", "3000"))
        assert values(await read(reader)) == [3.0]
        await reader.close()


async def reload(broker: Popen[bytes], folder: Path) -> None:
    """Have mosquitto read its configuration again, and wait until it says so."""
    log = folder / "mosquitto.log"
    before = log.read_text().count("Reloading config")
    broker.send_signal(signal.SIGHUP)
    await until(lambda: log.read_text().count("Reloading config") > before)


@pytest.mark.peer
async def test_a_revoked_password_is_a_refusal(tmp_path: Path, free_port: int) -> None:
    """After a restart with another password the broker's refusal is reported, not only that it was away."""
    login = {"username": "meter", "password": "geheim"}
    with guarded(tmp_path / "one", free_port):
        reader = open_mqtt_reader(meter(free_port, options=PLAIN_W, **login), make_site(tmp_path))
        await connected(reader, free_port, auth=login)
    with raises_code(ConnectFailed, "VEN-MQT-037"):
        await read(reader)
    folder = tmp_path / "two"
    folder.mkdir()
    (folder / "passwords").write_text("")
    lines = ("allow_anonymous false", f"password_file {folder / 'passwords'}")
    with mosquitto(folder, free_port, *lines):
        with pytest.raises(ConnectorError, match="VEN-MQT-03") as caught:
            await read(reader)
        await reader.close()
    assert "geheim" not in str(caught.value)


@pytest.mark.peer
async def test_a_topic_is_refused_after_a_restart_too(tmp_path: Path, free_port: int) -> None:
    """A broker that refuses a subscription it granted before says so after the reconnect."""
    async with scripted_broker(free_port):
        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        assert await drained(reader) == []
    with pytest.raises(ConnectFailed):
        await read(reader)
    async with scripted_broker(free_port, refuse={"site/meter/power"}):
        with pytest.raises(ConnectorError, match="VEN-MQT-047"):
            await read(reader)
        await reader.close()


@pytest.mark.peer
async def test_a_silent_connection_is_kept_alive_and_a_dead_one_is_noticed(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We send keep-alives to the broker; when it does not answer them, the connection is lost."""
    monkeypatch.setattr(mqtt_link, "KEEPALIVE_S", 1)
    monkeypatch.setattr(mqtt_traffic, "LOOK_S", 0.05)
    pinged, over = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.read(1):
                body = await reader.readexactly((await reader.readexactly(1))[0])
                if head == b"\x10":
                    writer.write(b"\x20\x02\x00\x00")
                elif head == b"\x82":
                    writer.write(b"\x90\x03" + body[:2] + b"\x01")
                elif head == b"\xc0":
                    if pinged.is_set():
                        continue  # a broker that stands still
                    pinged.set()
                    writer.write(b"\xd0\x00")
        finally:
            writer.close()
            over.set()

    async with await asyncio.start_server(serve, "127.0.0.1", free_port):
        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        waiting = asyncio.create_task(reader.read())
        async with asyncio.timeout(60):
            await pinged.wait()
            assert not waiting.done()
            with raises_code(ConnectFailed, "VEN-MQT-037"):
                await waiting
        await reader.close()
        await over.wait()


@pytest.mark.peer
async def test_a_connection_that_comes_and_goes_is_left_alone_for_longer(
    tmp_path: Path, free_port: int
) -> None:
    """As with two programs of one client id: the log must not fill with a line each second."""
    opened = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await reader.read(1)
        writer.write(b"\x20\x02\x00\x00")
        writer.close()

    clock = ManualClock(NOON)
    async with await asyncio.start_server(serve, "127.0.0.1", free_port):
        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path, clock))
        with raises_code(ConnectFailed, "VEN-MQT-037"):
            await read(reader)
        traffic = reader._link._traffic
        for number, pause_s in enumerate((1, 2, 4), 1):
            await until(lambda longer=2 * pause_s: traffic._pause_s == longer)
            assert opened == number
            await clock.advance(pause_s)
            await until(lambda more=number: opened > more)
        await reader.close()


def test_what_a_broker_of_version_5_says_on_leaving_is_passed_on() -> None:
    """Each reason has the hint that helps: a taken-over session is not a broker that is down."""

    def hint(code: int) -> str:
        return lost(ReasonCode(PacketTypes.DISCONNECT, identifier=code)).what.hint

    assert "client id" in hint(142)
    assert "access list" in hint(135)
    assert "shutting down" in hint(139)
