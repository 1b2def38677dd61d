"""Virtual Modbus devices behind a real Modbus TCP server: registers are computed when they are asked for.

| unit | device             | registers                                                                 |
|------|--------------------|---------------------------------------------------------------------------|
| 1..  | three-phase meter  | holding 0..5 int16 (10 W per phase), 10 uint32 total import (0.1 Wh)        |
| next | battery            | holding 100 int16 power (10 W, discharge positive), 101 uint16 charge (0.1 %) |
| next | PV inverter        | input 200 float32 power (W), 202 float32 total (kWh), low word first        |
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from venclient.clock import Clock
from venclient.simulation.loads import Load

Registers = Mapping[int, int]


def words(pattern: str, value: float, *, low_word_first: bool = False) -> list[int]:
    """the 16-bit registers of one number ("h", "H", "I", "f"), high word first by default."""
    number: int | float = value if pattern == "f" else round(value)
    data = struct.pack(f">{pattern}", number)
    found = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
    return found[::-1] if low_word_first else found


def _placed(*blocks: tuple[int, list[int]]) -> Registers:
    return {start + offset: word for start, found in blocks for offset, word in enumerate(found)}


@dataclass(frozen=True)
class ModbusDevice:
    """One unit: which registers it has, how they follow from the time, and how a gateway must read them."""

    registers: Callable[[float], Registers]
    options: Mapping[str, Any]
    kind: str


def three_phase_meter(load: Load, since_s: float) -> ModbusDevice:
    """Return a meter with int16 power per phase and a uint32 import register (0.1 Wh)."""
    shares = (0.42, 0.33, 0.25)

    def registers(at_s: float) -> Registers:
        power_kw = load.power_kw(at_s)
        phases = [word for share in shares for word in words("h", power_kw * share * 100)]
        voltages = [word for _ in shares for word in words("H", 2300)]
        total = words("I", 5_000_000 + load.energy_kwh(since_s, at_s) * 10_000)
        return _placed((0, phases), (3, voltages), (10, total), (12, words("h", power_kw * 100)))

    return ModbusDevice(
        registers,
        {
            "registers": [
                {"quantity": "power_kw", "address": 12, "kind": "holding", "type": "int16", "scale": 0.01},
                {
                    "quantity": "energy_kwh",
                    "address": 10,
                    "kind": "holding",
                    "type": "uint32",
                    "scale": 0.0001,
                },
                {"quantity": "voltage_l1_v", "address": 3, "kind": "holding", "type": "uint16", "scale": 0.1},
            ]
        },
        "three-phase meter",
    )


def battery(load: Load, since_s: float, *, capacity_kwh: float = 200.0, charge: float = 0.8) -> ModbusDevice:
    """a battery with signed int16 power (discharging counts positive there) and its state of charge."""

    def registers(at_s: float) -> Registers:
        stored = charge + load.energy_kwh(since_s, at_s) / capacity_kwh
        return _placed(
            (100, words("h", -load.power_kw(at_s) * 100)),
            (101, words("H", min(1.0, max(0.0, stored)) * 1000)),
        )

    return ModbusDevice(
        registers,
        {
            "registers": [
                {"quantity": "power_kw", "address": 100, "kind": "holding", "type": "int16", "scale": -0.01},
                {
                    "quantity": "soc_percent",
                    "address": 101,
                    "kind": "holding",
                    "type": "uint16",
                    "scale": 0.1,
                },
            ]
        },
        "battery",
    )


def pv_inverter(load: Load, since_s: float) -> ModbusDevice:
    """Return an inverter with word-swapped float32 power (W, production positive) and total (kWh)."""

    def registers(at_s: float) -> Registers:
        return _placed(
            (200, words("f", -load.power_kw(at_s) * 1000, low_word_first=True)),
            (202, words("f", 120 - load.energy_kwh(since_s, at_s), low_word_first=True)),
        )

    swapped = {"kind": "input", "type": "float32", "word_order": "little"}
    return ModbusDevice(
        registers,
        {
            "registers": [
                {"quantity": "power_kw", "address": 200, "scale": -0.001, **swapped},
                {"quantity": "energy_export_kwh", "address": 202, **swapped},
            ]
        },
        "PV inverter",
    )


class ModbusServer:
    """A pymodbus TCP server on loopback whose units answer for virtual devices."""

    def __init__(self, devices: Mapping[int, ModbusDevice], clock: Clock) -> None:
        self._devices = devices
        self._clock = clock
        self._server: Any = None
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        from pymodbus.server import ModbusTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        units = [
            SimDevice(
                id=unit,
                simdata=[SimData(0, count=300, values=0, datatype=DataType.REGISTERS)],
                action=self._answer(device),
            )
            for unit, device in self._devices.items()
        ]
        self._server = ModbusTcpServer(units, address=("127.0.0.1", 0))
        await self._server.serve_forever(background=True)
        self.port = self._server.transport.sockets[0].getsockname()[1]

    def _answer(self, device: ModbusDevice) -> Callable[..., Any]:
        async def action(
            _function_code: int,
            start_address: int,
            _address: int,
            _count: int,
            current_registers: list[int],
            set_values: list[int] | list[bool] | None,
        ) -> None:
            if set_values is None:
                for place, word in device.registers(self._clock.now().timestamp()).items():
                    index = place - start_address
                    if 0 <= index < len(current_registers):
                        current_registers[index] = word

        return action

    async def stop(self) -> None:
        """Close the listener and its connections."""
        if self._server is not None:
            await self._server.shutdown()
            self._server = None
            await asyncio.sleep(0)
