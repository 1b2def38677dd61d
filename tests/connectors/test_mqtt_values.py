"""Topics whose messages never contain the value: noticed, and shown with what arrives instead."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.connectors.sites import make_site
from tests.connectors.test_mqtt import TOPIC, connected, meter, publish, read, values
from tests.peers import mosquitto
from venclient.clock import ManualClock
from venclient.connectors.mqtt import open_mqtt_reader
from venclient.connectors.snapshot import one_shot_site, take_snapshot
from venclient.errors import ReadTimeout
from venclient.messages import Text

pytestmark = pytest.mark.peer

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
POWER = {"values": [{"path": "ENERGY.Power", "quantity": "power_kw", "unit": "W"}]}


def device(watts: object, key: str = "Power") -> str:
    """Return the payload of a device."""
    return json.dumps({"Time": "12:00", "ENERGY": {key: watts, "Total": 7.5}})


@pytest.mark.parametrize("other", [device(5, "ActivePower"), device(None), device("much"), "{}"])
async def test_messages_without_the_value_are_a_silence(other: str, tmp_path: Path, free_port: int) -> None:
    """A key that was renamed makes the meter silent, however many messages come; a value ends that."""
    clock = ManualClock(NOON)
    with mosquitto(tmp_path / "broker", free_port):
        options = {**POWER, "silence_s": 60}
        reader = open_mqtt_reader(meter(free_port, options=options), make_site(tmp_path, clock))
        await connected(reader, free_port, shape=device("{}").replace('"{}"', "{}"))

        async def look_on() -> None:
            while True:
                (await reader.read()).acknowledge()

        for _ in range(4):
            watching = asyncio.create_task(look_on())
            await publish(free_port, (TOPIC, other))
            await asyncio.wait({watching}, timeout=0.3)
            assert not watching.done()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await clock.advance(14)
        waiting = asyncio.create_task(reader.read())
        await publish(free_port, (TOPIC, other))
        await asyncio.wait({waiting}, timeout=0.3)
        if waiting.done():  # a payload that is rejected comes as a batch without readings
            assert not waiting.result().readings
            waiting = asyncio.create_task(reader.read())
        await clock.advance(30)
        with pytest.raises(ReadTimeout, match=r"VEN-MQT-06[56]") as caught:
            await asyncio.wait_for(waiting, 60)
        if "ActivePower" in other:
            assert "ENERGY.ActivePower" in caught.value.hint
            assert "ENERGY.Power" in str(caught.value)

        await publish(free_port, (TOPIC, other), (TOPIC, device(3000)))
        batch = await read(reader)
        while not batch.readings:
            assert batch.silent
            batch = await read(reader)
        assert values(batch) == [3.0]
        await reader.close()


async def test_a_test_of_the_connection_proposes_options_for_json(tmp_path: Path, free_port: int) -> None:
    """Without `values` a JSON payload is shown by its keys, with options that read it."""
    with mosquitto(tmp_path / "broker", free_port):
        await publish(free_port, (TOPIC, device(56)), retain=True)
        with pytest.raises(ReadTimeout, match="VEN-MQT-067") as caught:
            await take_snapshot(meter(free_port, options={}), one_shot_site(tmp_path), timeout_s=2)
        assert "ENERGY.Total" in str(caught.value)
        what = caught.value.what
        assert isinstance(what, Text)
        values_proposed = json.loads(what.params["example"])
        assert {"quantity": "power_kw", "path": "ENERGY.Power", "unit": "W"} in values_proposed
        options = {"values": values_proposed}
        found = await take_snapshot(meter(free_port, options=options), one_shot_site(tmp_path))
    assert found["power_kw"][-1].value == pytest.approx(0.056)


async def test_a_switch_is_not_a_power(tmp_path: Path, free_port: int) -> None:
    """A payload of states only is shown as such; topic and login are not blamed."""
    with mosquitto(tmp_path / "broker", free_port):
        await publish(free_port, (TOPIC, '{"output": true, "id": "x"}'), retain=True)
        with pytest.raises(ReadTimeout, match="VEN-MQT-068") as caught:
            await take_snapshot(meter(free_port, options={}), one_shot_site(tmp_path), timeout_s=2)
        assert "output" in str(caught.value)
        await publish(free_port, (TOPIC, "on"), retain=True)
        with pytest.raises(ReadTimeout, match="VEN-CON-072"):
            await take_snapshot(meter(free_port, options={}), one_shot_site(tmp_path), timeout_s=2)


async def test_a_topic_without_a_message_is_still_blamed(tmp_path: Path, free_port: int) -> None:
    """Where nothing comes at all, topic and access list are what to check."""
    with mosquitto(tmp_path / "broker", free_port), pytest.raises(ReadTimeout, match="VEN-CON-101"):
        await take_snapshot(meter(free_port, options={}), one_shot_site(tmp_path), timeout_s=1)


async def test_values_on_time_keep_a_topic_alive(tmp_path: Path, free_port: int) -> None:
    """Messages without the value between those with it do not count as silence."""
    clock = ManualClock(NOON)
    with mosquitto(tmp_path / "broker", free_port):
        options = {**POWER, "silence_s": 60}
        reader = open_mqtt_reader(meter(free_port, options=options), make_site(tmp_path, clock))
        await connected(reader, free_port, shape=device("{}").replace('"{}"', "{}"))
        for _ in range(3):
            await clock.advance(40)
            await publish(free_port, (TOPIC, "{}"), (TOPIC, device(1000)))
            batch = await read(reader)
            while not batch.readings:
                batch = await read(reader)
            assert values(batch) == [1.0]
            batch.acknowledge()
        await reader.close()
