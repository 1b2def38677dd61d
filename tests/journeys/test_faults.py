"""The whole gateway among devices and servers that fail: the others never notice, and nothing is missing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.fakes.modbus import (
    Behaviour,
    Misbehaving,
    Request,
    misbehaving_server,
    refusing,
    sending,
    silent,
    well,
)
from tests.fakes.modbus_process import SILENT_UNIT
from tests.journeys.conftest import LIMIT_S, GatewayProcess, ask_for_usage, until
from tests.journeys.conftest import told as told_to_vtn
from tests.journeys.neighbours import (
    POLL_S,
    QUEUES,
    all_stored,
    counting,
    deaf_host,
    device_process,
    far_broker,
    followed,
    modbus,
    mqtt,
    register,
    rows,
    stored,
    told,
)
from tests.network import bad_line
from tests.peers import missing, mosquitto, pick_port
from venclient.simulation.vtn import LocalVtn

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

#: How long a process stands still; VEN_TEST_STOP_S=60 makes it the minute that it may be in the field.
STOP_S = float(os.environ.get("VEN_TEST_STOP_S", "7"))
NEAR = ("near-1", "near-2")
KILLS = 5


class Around(NamedTuple):
    """What stands beside the gateway: its folder, near meters, and where the broker and the file shall be."""

    folder: Path
    near: subprocess.Popen[bytes]
    near_port: int
    broker_port: int
    file: Path


@pytest.fixture
async def around(tmp_path: Path, vtn: LocalVtn, gateway: GatewayProcess) -> AsyncIterator[Around]:
    """Return good meters, in the registry of a gateway that is not started yet."""
    near_port, broker_port = pick_port(), pick_port()
    # In a process of their own, since what a test waits for must not make them slow.
    with device_process(near_port) as near:
        register(
            tmp_path,
            *(modbus(name, "127.0.0.1", near_port, unit=n) for n, name in enumerate(NEAR, 1)),
            mqtt("counted", "127.0.0.1", broker_port, "site/counted"),
            followed("rows", tmp_path / "rows.csv"),
        )
        gateway.write(vtn.url)
        yield Around(tmp_path, near, near_port, broker_port, tmp_path / "rows.csv")


def well_read(gateway: GatewayProcess, *names: str) -> bool:
    """True when these meters are read."""
    found = rows(gateway)
    return bool(found) and all(found[name]["state"] == "ok" for name in names)


def undisturbed(gateway: GatewayProcess, *names: str) -> None:
    """Fail unless these meters were read all the time, without a failure.

    A busy machine may cost a moment now and then; a meter that others hold up misses most of them.
    """
    found = rows(gateway)
    for name in names:
        row = found[name]
        assert (row["state"], row["last_error"]) == ("ok", None), row
        assert row["missed"] <= row["readings"] // 10, row


def late(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer when the gateway no longer waits."""
    asyncio.get_running_loop().call_later(1.4, _write, writer, request.answer([7777]))


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)


def reset(request: Request, writer: asyncio.StreamWriter) -> None:
    """Send some of the answer, and reset the connection."""
    writer.write(request.answer()[:5])
    asyncio.get_running_loop().call_later(0.05, writer.transport.abort)


#: What is wrong with a device, and a word of what has to be said of it.
FAULTS: dict[str, tuple[Behaviour, str]] = {
    "late": (late, "no answer within 1 s"),
    "short": (sending(lambda request: request.answer([])), "0 registers by function 3"),
    "other unit": (sending(lambda request: request.answer([7777], unit=99)), "one from unit 99"),
    "exceptions": (refusing(4), "exception 4 (device failure)"),
    "half a frame": (sending(lambda request: request.answer()[:7]), "only part of an answer"),
    "garbage": (sending(lambda request: b"\xff\x00garbage" * 9), "bytes that are not Modbus TCP"),
    "never": (silent, "no answer within 1 s"),
    "reset in mid-frame": (reset, "closed the connection during a request"),
}
PAYLOADS = (
    b"no json",
    b"\xff\xfe\x00",
    b"x" * 1_000_000,
    b"[" * 100_000,
    b'{"n": NaN, "ts": 1772366400000}',
    b'{"n": 1e400, "ts": 1772366400000}',
)


async def test_devices_that_fail_in_every_way_disturb_nobody(around: Around, gateway: GatewayProcess) -> None:
    """Late, short, foreign, refusing, half, garbage, silent, reset, deaf, and nonsense by MQTT: each is shown
    with its reason, none of it is stored, the others are read on; repaired, each comes back.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(mosquitto(around.folder / "broker", around.broker_port, *QUEUES))
        peers: dict[str, Misbehaving] = {}
        bad = [modbus("silent neighbour", "127.0.0.1", around.near_port, unit=SILENT_UNIT)]
        for name, (behaviour, _) in FAULTS.items():
            port = pick_port()
            peers[name] = await stack.enter_async_context(misbehaving_server(port))
            peers[name].units[1] = behaviour
            bad.append(modbus(name, "127.0.0.1", port))
        bad.append(modbus("deaf", "127.0.0.1", stack.enter_context(deaf_host())))
        nonsense = mqtt("nonsense", "127.0.0.1", around.broker_port, "site/nonsense")
        register(around.folder, *bad, nonsense)
        counter = await stack.enter_async_context(counting(around.broker_port, around.file))
        await gateway.start()
        names = [one.resourceName for one in bad]
        await until(
            lambda: (found := rows(gateway)) and all(found[name]["state"] == "dark" for name in names),
            "each bad device is dark",
        )
        await until(lambda: well_read(gateway, *NEAR, "counted", "rows"), "the others are read")
        sender = Client(CallbackAPIVersion.VERSION2)
        sender.connect("127.0.0.1", around.broker_port)
        sender.loop_start()
        for payload in PAYLOADS:
            sender.publish("site/nonsense", payload, qos=1)
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        good = f'{{"n": 5, "ts": {now_ms}}}'
        sender.publish("site/nonsense", good, qos=1).wait_for_publish(10)
        await until(lambda: rows(gateway)["nonsense"]["readings"] == 1, "the one good message is stored")
        sender.loop_stop()

        found = rows(gateway)
        for name, (_, word) in FAULTS.items():
            assert word in found[name]["last_error"], found[name]["last_error"]
            assert found[name]["readings"] == 0
        assert found["nonsense"]["rejects"] == len(PAYLOADS)
        assert all(not stored(around.folder, name) for name in names)
        undisturbed(gateway, *NEAR)
        shown = await told(gateway)
        # The first eight with their reasons, and how many more there are.
        assert all(f"! {name}: modbustcp 127.0.0.1:" in shown for name in names[:8]), shown
        assert "more meters" in shown

        around.near.send_signal(signal.SIGUSR1)
        for peer in peers.values():
            peer.units[1] = well
        await until(
            lambda: well_read(gateway, "silent neighbour", *FAULTS), "those that were mended are read"
        )
        undisturbed(gateway, *NEAR)
    await all_stored(gateway, counter)
    assert all(set(stored(around.folder, name)) == {1000.0} for name in FAULTS)
    assert "Traceback" not in gateway.log


async def test_a_gateway_that_stood_still_has_all_it_may_have(
    around: Around, gateway: GatewayProcess, vtn: LocalVtn
) -> None:
    """SIGSTOP, and SIGCONT: messages and rows of the meantime are stored once, what could not be asked is
    counted as missed, and each report is sent once. Meanwhile `ven status` says that it does not answer.
    """
    with mosquitto(around.folder / "broker", around.broker_port, *QUEUES):
        async with counting(around.broker_port, around.file) as counter:
            await gateway.start()
            await until(lambda: well_read(gateway, *NEAR, "counted", "rows"), "all are read")
            ask_for_usage(vtn, intervals=3)
            await until(lambda: gateway.status["events"]["known"] == 1, "event known")
            assert gateway.process is not None
            gateway.process.send_signal(signal.SIGSTOP)
            try:
                asked = asyncio.create_task(told(gateway))
                await asyncio.sleep(STOP_S)  # a real process stands still for so long
                silence = await asked
            finally:
                gateway.process.send_signal(signal.SIGCONT)
            await until(lambda: gateway.status["reports"]["sent"] == 3, "three reports sent")
            await until(lambda: well_read(gateway, *NEAR, "counted", "rows"), "all are read again")
        await all_stored(gateway, counter)

        assert "does not answer" in silence
        found = rows(gateway)
        assert all(found[name]["missed"] >= int(STOP_S / POLL_S) - 2 for name in NEAR)
        parts = told_to_vtn(vtn)
        assert len(parts) == len(set(parts))
        assert {("counted", n) for n in range(3)} <= set(parts)
        assert "Traceback" not in gateway.log


async def test_a_device_and_a_broker_that_stand_still_stop_nobody(
    around: Around, gateway: GatewayProcess
) -> None:
    """Their systems take connections, no program answers: the device is shown as dark, the near meters are
    read on; once they go on, so does everything, and no message is missing.
    """
    port = pick_port()
    register(around.folder, modbus("frozen", "127.0.0.1", port))
    with (
        mosquitto(around.folder / "broker", around.broker_port, *QUEUES) as broker,
        device_process(port) as device,
    ):
        async with counting(around.broker_port, around.file) as counter:
            await gateway.start()
            await until(lambda: well_read(gateway, *NEAR, "counted", "rows", "frozen"), "all are read")
            for process in (device, broker):
                process.send_signal(signal.SIGSTOP)
            try:
                await until(lambda: rows(gateway)["frozen"]["state"] == "dark", "the device is dark")
                shown = await told(gateway)
                await asyncio.sleep(STOP_S)  # real processes stand still for so long
                undisturbed(gateway, *NEAR, "rows")
                before = rows(gateway)["counted"]["readings"]
            finally:
                for process in (device, broker):
                    process.send_signal(signal.SIGCONT)
            await until(
                lambda: well_read(gateway, "frozen") and rows(gateway)["counted"]["readings"] > before,
                "all are read again",
            )
            undisturbed(gateway, *NEAR, "rows")
        await all_stored(gateway, counter)
    assert "frozen: no answer" in shown or "no answer" in shown


async def test_a_broker_that_was_killed_and_comes_back_is_read_on(
    around: Around, gateway: GatewayProcess
) -> None:
    """kill -9 of the broker: said, the others are read on; what it is given afterwards arrives."""
    folder = around.folder / "broker"
    async with AsyncExitStack() as stack:
        with mosquitto(folder, around.broker_port, *QUEUES) as broker:
            counter = await stack.enter_async_context(counting(around.broker_port, around.file))
            await gateway.start()
            await until(lambda: well_read(gateway, *NEAR, "counted", "rows"), "all are read")
            await until(lambda: stored(around.folder, "counted"), "messages are stored")
            kept = stored(around.folder, "counted")
            broker.kill()
            await asyncio.to_thread(broker.wait)
            await until(lambda: rows(gateway)["counted"]["state"] == "dark", "the broker's absence is told")
            shown = await told(gateway)
        first = counter.said
        with mosquitto(folder, around.broker_port, *QUEUES):
            await until(lambda: well_read(gateway, "counted"), "the broker is found again")
            since = counter.said
            await until(lambda: counter.said > since + 40, "more was said")
            await until(
                lambda: max(stored(around.folder, "counted")) > since, "messages since then are stored"
            )
            undisturbed(gateway, *NEAR, "rows")
            await stack.aclose()
            every = [float(number) for number in range(since, counter.said)]
            await until(
                lambda: [n for n in stored(around.folder, "counted") if n >= since] == every, "all since then"
            )
    assert stored(around.folder, "counted")[: len(kept)] == kept
    assert str(around.broker_port) in shown
    assert first < since


async def test_killed_at_any_moment_nothing_acknowledged_is_missing(
    around: Around, gateway: GatewayProcess
) -> None:
    """kill -9 of the gateway while it starts, reads and commits: each message and row is stored once."""
    moments = random.Random(61)
    with mosquitto(around.folder / "broker", around.broker_port, *QUEUES):
        await gateway.start()
        await until(lambda: well_read(gateway, *NEAR), "the gateway runs")
        async with counting(around.broker_port, around.file) as counter:
            await until(lambda: stored(around.folder, "counted"), "messages are stored")
            for _ in range(KILLS):
                await gateway.stop(signal.SIGKILL)
                await gateway.start()
                await asyncio.sleep(moments.uniform(0.2, 4.0))  # any moment of a real process
            await gateway.stop(signal.SIGKILL)
            await gateway.start()
            await until(lambda: well_read(gateway, *NEAR, "counted", "rows"), "all are read")
        await all_stored(gateway, counter)
    undisturbed(gateway, *NEAR)
    assert "Traceback" not in gateway.log


async def test_devices_behind_a_line_with_loss_and_two_seconds_of_delay(
    around: Around, gateway: GatewayProcess
) -> None:
    """A namespace behind such a line: who waits long enough reads there, who does not is shown as dark and
    never takes a late answer for a later one; messages of a broker there arrive once; the near meters never
    notice.
    """
    ports = [pick_port() for _ in range(3)]
    with (
        mosquitto(around.folder / "broker", around.broker_port, *QUEUES),
        bad_line(delay_s=1.0, loss=0.05) as line,
        device_process(ports[0], line.there, *line.command()),
        device_process(ports[1], line.there, *line.command()),
        far_broker(around.folder / "far-broker", ports[2], line),
    ):
        register(
            around.folder,
            modbus("far", line.there, ports[0], timeout_s=20, interval_s=5),
            modbus("far and hasty", line.there, ports[1], timeout_s=1),
            mqtt("far messages", line.there, ports[2], "site/counted"),
        )
        async with (
            counting(around.broker_port, around.file) as counter,
            counting(ports[2], around.folder / "unread.csv", line.there) as far_counter,
        ):
            await gateway.start()
            await until(lambda: well_read(gateway, *NEAR, "counted", "rows"), "the near ones are read")
            await until(lambda: rows(gateway)["far"]["readings"] >= 4, "the far one is read")
            await until(lambda: rows(gateway)["far and hasty"]["state"] == "dark", "the hasty one is dark")
            await until(
                lambda: rows(gateway)["far messages"]["readings"] > 20,
                "messages come from there",
            )
            undisturbed(gateway, *NEAR)
            shown = await told(gateway)
        await all_stored(gateway, counter)
        await all_stored(gateway, far_counter, name="far messages")
        undisturbed(gateway, *NEAR, "rows")
    assert "far and hasty" in shown
    assert "no answer within" in shown
    assert set(stored(around.folder, "far")) <= {1000.0}
    assert stored(around.folder, "far and hasty") == []
    assert line.passed > 20


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Yield a folder that is a separate disk of this size; skip where none may be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        missing(f"a disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


async def filled(ballast: Path) -> None:
    """Take all the room there is, and whatever becomes free, until cancelled."""
    with ballast.open("wb", buffering=0) as file:
        while True:
            with contextlib.suppress(OSError):
                while file.write(bytes(4096)):
                    pass
            await asyncio.sleep(0.05)  # until the gateway lets go of something


async def test_a_full_disk_stops_no_reading_and_loses_none(around: Around, gateway: GatewayProcess) -> None:
    """The gateway's files on a disk that the test fills: meters are read on, `ven status` says so; with
    room again all that was read, said and appended meanwhile is stored once.
    """
    with (
        small_disk(around.folder / "var", 24) as disk,
        mosquitto(around.folder / "broker", around.broker_port, *QUEUES),
    ):
        async with counting(around.broker_port, around.file) as counter:
            await gateway.start()
            await until(lambda: well_read(gateway, *NEAR, "counted", "rows"), "all are read")
            await until(lambda: stored(around.folder, "counted"), "messages are stored")
            filling = asyncio.create_task(filled(disk / "ballast"))
            await until(
                lambda: gateway.status["readings"]["last_error"], "the full disk is told", within_s=180
            )
            shown = ""
            async with asyncio.timeout(LIMIT_S):
                while "disk is full" not in shown:  # what fits meanwhile may be stored
                    shown = await told(gateway)
            before = {name: rows(gateway)[name]["last_value"] for name in NEAR}
            await until(
                lambda: all(rows(gateway)[name]["last_value"] > before[name] for name in NEAR),
                "meters are read on",
            )
            assert well_read(gateway, *NEAR)
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)
            (disk / "ballast").unlink()
            await until(
                lambda: gateway.status["readings"]["last_error"] is None, "stored again", within_s=180
            )
            undisturbed(gateway, *NEAR)
        await all_stored(gateway, counter)
        count = rows(gateway)["near-1"]["readings"]
        await until(lambda: len(stored(around.folder, "near-1")) >= count, "each polled reading is stored")
        assert gateway.status["readings"]["dropped"] == 0
        await gateway.stop()
    assert "Traceback" not in gateway.log
