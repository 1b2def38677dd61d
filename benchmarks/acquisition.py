"""What acquisition costs, and what it loses, against named peers in the same run.

    python benchmarks/acquisition.py [--quick] [--only modbus|silent|mqtt|kill]

Ratios carry over to other machines, the figures themselves do not. Needs mosquitto for MQTT.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._acquisition_peers import meter, site, stored_numbers
from venclient.clock import SystemClock
from venclient.connectors import open_reader
from venclient.connectors.base import Batch, Reader
from venclient.connectors.poller import Poller
from venclient.model.resource import ConnectionType
from venclient.readings.sqlite import SqliteReadings

PEERS = Path(__file__).with_name("_acquisition_peers.py")
DEVICES = 100
UNITS = 10
REGISTERS = 20
METERS = 20
PER_SECOND = 4000
#: A meter's block: power and energy are what reports are made of.
OPTIONS = {
    "max_gap": REGISTERS,
    "registers": [
        {"quantity": "power_kw", "address": 0, "type": "int32", "scale": 0.001},
        {"quantity": "energy_kwh", "address": REGISTERS - 2, "type": "uint32", "scale": 0.01},
    ],
}

Way = Callable[[], Awaitable[int]]


def free_port() -> int:
    """Return an unused port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Return when something listens."""
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


@contextmanager
def running(*words: object) -> Iterator[subprocess.Popen[str]]:
    """Run a peer, and end it on the way out."""
    command = [sys.executable, str(PEERS), *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Run mosquitto with queues as long as they need to be; give its port."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("mosquitto is not installed (apt-get install mosquitto)")
    port = free_port()
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "max_queued_messages 0"]
    lines += ["max_inflight_messages 1000"] + (["user root"] if os.geteuid() == 0 else [])
    config = folder / "mosquitto.conf"
    config.write_text("\n".join(lines) + "\n")
    process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


class Bare(asyncio.Protocol):
    """The least that reads registers: sends a request, gives the bytes that come back for it."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._rest = b""
        self._transaction = 0
        self._waiting: dict[int, asyncio.Future[bytes]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass each whole answer to the request that waits for it."""
        self._rest += data
        while len(self._rest) >= 6:
            transaction, _, length = struct.unpack_from(">HHH", self._rest)
            if len(self._rest) < 6 + length:
                return
            future = self._waiting.pop(transaction)
            if not future.done():
                future.set_result(self._rest[9 : 6 + length])
            self._rest = self._rest[6 + length :]

    async def read(self, unit: int) -> bytes:
        """Return the registers' bytes, or raise TimeoutError."""
        assert self._transport is not None
        self._transaction = transaction = self._transaction % 0xFFFF + 1
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = future
        self._transport.write(struct.pack(">HHHBBHH", transaction, 0, 6, unit, 3, 0, REGISTERS))
        async with asyncio.timeout(1):
            return await future

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()


async def in_turn(ways: dict[str, Way], rounds: int) -> dict[str, list[float]]:
    """Return CPU seconds per read of each way, the ways taking turns."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for n in range(rounds + 1):
        for name, way in ways.items():
            before = time.process_time()
            count = await way()
            if n:  # the first round connects and warms up
                found[name].append((time.process_time() - before) / count)
    return found


async def modbus(folder: Path, sweeps: int, rounds: int) -> bool:
    """Compare reads per second of one core: ours decoded and stored, others as they are."""
    port = free_port()
    with running("devices", port, 999):
        wait_for(port)
        loop = asyncio.get_running_loop()
        bare = [(await loop.create_connection(Bare, "127.0.0.1", port))[1] for _ in range(DEVICES)]
        library = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=1, retries=0)
        await library.connect()
        store = SqliteReadings(folder / "modbus.db", SystemClock())

        def reader(unit: int, shared: bool) -> Reader:
            here = site(folder) if not shared else gateway
            name = f"{'unit' if shared else 'device'}-{unit}"
            return open_reader(meter(name, ConnectionType.MODBUSTCP, port, {"unit": unit} | OPTIONS), here)

        gateway = site(folder)
        own = [reader(unit, False) for unit in range(1, DEVICES + 1)]
        units = [reader(unit, True) for unit in range(1, UNITS + 1)]

        async def bare_way() -> int:
            async def poll(one: Bare, unit: int) -> None:
                for _ in range(sweeps):
                    await one.read(unit)

            await asyncio.gather(*(poll(one, unit) for unit, one in enumerate(bare, 1)))
            return sweeps * DEVICES

        def ours(readers: list[Reader], times: int) -> Way:
            async def poll(one: Reader) -> None:
                for _ in range(times):
                    store.add((await one.read()).readings)

            async def way() -> int:
                await asyncio.gather(*(poll(one) for one in readers))
                await store.flush()
                return times * len(readers)

            return way

        def plain(decoded: bool) -> Way:
            async def way() -> int:
                kinds = (library.DATATYPE.INT32, library.DATATYPE.UINT32)
                for _ in range(sweeps * 3):
                    for unit in range(1, UNITS + 1):
                        answer = await library.read_holding_registers(0, count=REGISTERS, device_id=unit)
                        words = answer.registers
                        if decoded:
                            library.convert_from_registers(words[:2], kinds[0])
                            library.convert_from_registers(words[-2:], kinds[1])
                return sweeps * 3 * UNITS

            return way

        found = await in_turn(
            {
                "bare, own sockets": bare_way,
                "ours, own sockets, decoded and stored": ours(own, sweeps),
                "pymodbus, plain loop, one socket": plain(False),
                "pymodbus, plain loop, one socket, decoded": plain(True),
                "ours, one socket, decoded and stored": ours(units, sweeps * 3),
            },
            rounds,
        )
        for one in (*own, *units):
            await one.close()
        for client in bare:
            client.close()
        library.close()
        await store.close()
    for name, costs in found.items():
        print(f"  {name:<44} {1 / statistics.median(costs):>9,.0f} reads/s of one core")

    def ratio(ours_name: str, peer: str) -> float:
        return statistics.median(p / o for o, p in zip(found[ours_name], found[peer], strict=True))

    own_ratio = ratio("ours, own sockets, decoded and stored", "bare, own sockets")
    ours_name = "ours, one socket, decoded and stored"
    read_ratio = ratio(ours_name, "pymodbus, plain loop, one socket")
    decoded_ratio = ratio(ours_name, "pymodbus, plain loop, one socket, decoded")
    return all(
        (
            told("100 devices, own sockets, of a bare client that moves bytes", own_ratio, 0.4),
            told("one socket, 10 units, of pymodbus reading in a plain loop", read_ratio, 1.0),
            told("the same, of pymodbus reading and decoding", decoded_ratio, 1.0),
        )
    )


async def silent(folder: Path, seconds: int) -> bool:
    """Poll ten units each second, of which one never answers; count what the nine others miss."""
    port = free_port()
    with running("devices", port, 5):
        wait_for(port)
        here = site(folder)
        counts = dict.fromkeys(range(1, UNITS + 1), 0)
        pollers = {}
        for unit in counts:
            options = {"unit": unit, "interval_s": 1} | OPTIONS
            reader = open_reader(meter(f"unit {unit}", ConnectionType.MODBUSTCP, port, options), here)

            async def keep(batch: Batch, unit: int = unit) -> None:
                counts[unit] += bool(batch.readings)

            pollers[unit] = Poller(reader, name=f"unit {unit}", deliver=keep, clock=SystemClock())
        tasks = [asyncio.create_task(poller.run()) for poller in pollers.values()]
        await asyncio.sleep(seconds + 0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    others = [unit for unit in counts if unit != 5]
    skipped = sum(pollers[unit].health.missed for unit in others)
    short = sum(max(0, seconds - counts[unit]) for unit in others)
    read = sum(counts[unit] for unit in others)
    print(f"  {seconds} s, {read} samples of nine units, {counts[5]} of the tenth")
    return told("one silent unit of ten: samples that the nine missed", skipped + short, 0, most=True)


def mqtt(folder: Path, count: int, rounds: int) -> bool:
    """Empty the same queue at the broker: paho counting, and ours until the rows are committed.

    Each round has its own broker with both queues; who is first changes from round to round.
    """
    found: dict[str, list[tuple[float, float]]] = {"paho, counting": [], "ours, committed": []}
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder) as name, broker(Path(name)) as port:
            here = Path(name)
            commands = {
                "paho, counting": ("count", port, count),
                "ours, committed": ("gateway", port, count, METERS, here),
            }
            for command in commands.values():
                subscribe(command)
            with running("send", port, count, 0, METERS) as sender:
                sender.wait(180)
            for way in sorted(commands, reverse=bool(number % 2)):
                with running(*commands[way]) as process:
                    told_line = last_line(process, 150)
                if told_line["seen"] < count:
                    raise SystemExit(f"{way}: only {told_line['seen']} of {count} messages came")
                found[way].append((told_line["seconds"] / count, told_line["cpu"] / count))
    for way, values in found.items():
        passed, worked = (1e6 * statistics.median(one) for one in zip(*values, strict=True))
        spread = f"{1e6 * min(values)[0]:.0f}..{1e6 * max(values)[0]:.0f}"
        each = f"{passed:.0f} us each ({spread}), CPU {worked:.0f} us"
        print(f"  {way:<44} {1e6 / passed:>9,.0f} messages/s, {each}")
    both = list(zip(*found.values(), strict=True))
    rate, work = (statistics.median(paho[n] / ours[n] for paho, ours in both) for n in (0, 1))
    print(f"  by processor time it is {work:.2f} of paho counting")
    return told("MQTT QoS 1 to committed rows, of paho counting", rate, 0.6)


def subscribe(command: tuple[object, ...]) -> None:
    """Let a consumer make its session, in which messages wait for it; then end it."""
    with running(*command) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(1.5)


def last_line(process: subprocess.Popen[str], within_s: float) -> dict[str, float]:
    """Return what a peer prints at its end."""
    text, _ = process.communicate(timeout=within_s)
    lines = text.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        raise SystemExit(f"a peer ended without a word (status {process.returncode})")
    found: dict[str, float] = json.loads(lines[-1])
    return found


def kill(folder: Path, kills: int) -> bool:
    """Kill the gateway again and again while messages come; count what is missing and what is twice."""
    pause = random.Random(11)
    count = int(PER_SECOND * kills * 1.2)
    with tempfile.TemporaryDirectory(dir=folder) as name, broker(Path(name)) as port, ExitStack() as stack:
        here = Path(name)
        command = ("gateway", port, 1 << 40, METERS, here)
        subscribe(command)
        sender = stack.enter_context(running("send", port, count, PER_SECOND, METERS))
        for _ in range(kills):
            with running(*command) as process:
                time.sleep(pause.uniform(0.8, 1.4))
                process.kill()
        with running("gateway", port, 1 << 40, METERS, here) as process:
            if sender.wait(180):
                raise SystemExit("the sender failed: lost messages cannot be counted")
            last_line(process, 180)
        numbers = asyncio.run(stored_numbers(here, METERS, count))
    lost, twice = count - len(set(numbers)), len(numbers) - len(set(numbers))
    print(f"  {count} messages at {PER_SECOND}/s, killed {kills} times")
    return all(
        (
            told("kill -9: messages lost", lost, 0, most=True),
            told("kill -9: messages stored twice", twice, 0, most=True),
        )
    )


def told(what: str, figure: float, goal: float, *, most: bool = False) -> bool:
    """Print a figure with its goal, and say whether it is met."""
    met = figure <= goal if most else figure >= goal
    shown = f"{figure:.0f}" if most else f"{figure:.2f}"
    print(f"{'ok ' if met else 'NOT'} {what}: {shown} (goal: {'at most' if most else 'at least'} {goal:g})")
    return met


def main() -> int:
    """Measure what was asked for; status 1 when a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, messages and kills")
    parser.add_argument("--only", choices=("modbus", "silent", "mqtt", "kill"))
    chosen = parser.parse_args()
    quick = chosen.quick
    with tempfile.TemporaryDirectory(prefix="ven-bench-") as name:
        folder = Path(name)
        parts: dict[str, Callable[[], bool]] = {
            "modbus": lambda: asyncio.run(modbus(folder, 5 if quick else 20, 3 if quick else 9)),
            "silent": lambda: asyncio.run(silent(folder, 6 if quick else 20)),
            "mqtt": lambda: mqtt(folder, 5_000 if quick else 20_000, 5),
            "kill": lambda: kill(folder, 4 if quick else 20),
        }
        results = [part() for key, part in parts.items() if chosen.only in (None, key)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
