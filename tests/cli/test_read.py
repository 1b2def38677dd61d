"""`ven read`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.cli.test_connections import serving
from tests.connectors.sites import make_resource
from tests.connectors.test_sunspec import METER, common, device
from tests.fakes.modbus import Memory
from venclient.cli import app
from venclient.cli.read import SHOWN_REJECTS
from venclient.errors import ConfigError
from venclient.model.resource import ConnectionType
from venclient.registry.database import ResourceDatabase

REGISTERS = [
    {"quantity": "power_kw", "address": 0, "type": "int32"},
    {"quantity": "energy_kwh", "address": 4, "type": "uint32"},
    {"quantity": "frequency_hz", "address": 100, "type": "uint16"},
    {"quantity": "door", "address": 7, "kind": "coil", "type": "bool"},
]


def read(db: Path, *words: str) -> Result:
    """Run `ven read` for the resource of the registry."""
    return CliRunner().invoke(app, ["read", "Hotel Ærø", "--db", str(db), *words])


def registry(folder: Path, kind: ConnectionType = ConnectionType.MODBUSTCP, **connection: Any) -> Path:
    """Return a registry with one resource."""
    db = folder / "resources.db"
    with ResourceDatabase(str(db)) as opened:
        opened.upsert_resource(make_resource(kind, host="127.0.0.1", **connection))
    return db


def test_the_plan_is_shown_without_a_device(tmp_path: Path, free_port: int) -> None:
    """Each request, its registers and what is in them; no device has to listen at the port."""
    db = registry(tmp_path, port=free_port, options={"registers": REGISTERS})
    shown, as_json = read(db, "--plan"), read(db, "--plan", "--json")

    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines()[0].endswith("3 request(s)")
    assert "  holding 0..5  (6 registers)  power_kw, energy_kwh" in shown.output
    assert "  holding 100  (1 register)  frequency_hz" in shown.output
    assert [one["place"] for one in json.loads(as_json.output)] == ["coil 7", "holding 0..5", "holding 100"]


def test_the_plan_keeps_to_the_limits_of_the_options(tmp_path: Path) -> None:
    """A smaller gap, or a forbidden address between, makes two requests of one."""
    narrow = {"registers": REGISTERS[:2], "max_gap": 1}
    barred = {"registers": REGISTERS[:2], "forbidden": [{"first": 2, "last": 3}]}
    for n, options in enumerate((narrow, barred)):
        folder = tmp_path / str(n)
        folder.mkdir()
        shown = read(registry(folder, options=options), "--plan").output
        assert "2 request(s)" in shown
        assert "holding 0..1" in shown


@pytest.mark.peer
def test_a_device_that_knows_its_registers_is_asked_for_them(tmp_path: Path, free_port: int) -> None:
    """Of a SunSpec device the plan is that of what it has."""
    db = registry(tmp_path, port=free_port, options={"template": "sunspec"})
    with serving(free_port, {1: device(common(), METER)}):
        shown = read(db, "--plan")

    assert shown.exit_code == 0, shown.output
    assert "power_kw" in shown.output


@pytest.mark.peer
def test_registers_that_cannot_be_read_are_told_beside_those_that_can(tmp_path: Path, free_port: int) -> None:
    """A value is there, and so is the reason why another is not."""
    options = {"registers": [REGISTERS[0], {"quantity": "voltage_v", "address": 40020, "type": "uint16"}]}
    db = registry(tmp_path, port=free_port, options=options)
    with serving(free_port, {1: Memory({0: 0, 1: 7})}):
        shown, as_json = read(db), read(db, "--json")

    assert shown.exit_code == 0, shown.output
    assert "power_kw" in shown.output
    assert "  not read: unit 1 holding 40020: exception 2 (illegal data address)" in shown.output
    [reject] = json.loads(as_json.output)["rejects"]
    assert reject["place"] == "unit 1 holding 40020"


def test_of_many_rows_that_cannot_be_read_some_are_told(tmp_path: Path) -> None:
    """The first ones with their lines, and how many there are besides."""
    rows = "".join(f"2026-03-01T12:00:{n:02}Z,oops\n" for n in range(12))
    (tmp_path / "meter.csv").write_text(f"time,power_kw\n{rows}2026-03-01T12:01:00Z,5\n")
    shown = read(registry(tmp_path, ConnectionType.FILEREADER, file="meter.csv")).output

    assert "  not read: meter.csv:2: column 'power_kw': 'oops' is not a number" in shown
    assert f"  ... and {12 - SHOWN_REJECTS} more that could not be read" in shown


def test_what_is_not_read_by_requests_has_no_plan(tmp_path: Path) -> None:
    """Of a topic or a file it is said that there is none."""
    db = registry(tmp_path, ConnectionType.MQTT, topic="a/b")
    with pytest.raises(ConfigError, match="VEN-CLM-023"):
        raise read(db, "--plan").exception or AssertionError


@pytest.mark.parametrize("command", [["read"], ["connections", "test"]])
def test_an_impossible_value_is_named(tmp_path: Path, command: list[str]) -> None:
    """The value is printed as the meter says it, and that it would not be used."""
    (tmp_path / "meter.csv").write_text("time,power_kw\n2026-03-01T12:00:00Z,2147483.647\n", encoding="utf-8")
    with ResourceDatabase(str(tmp_path / "resources.db")) as opened:
        opened.upsert_resource(make_resource(ConnectionType.FILEREADER, file="meter.csv"))
    done = CliRunner().invoke(app, [*command, "Hotel Ærø", "--db", str(tmp_path / "resources.db")])

    assert done.exit_code == 0, done.output
    assert "VEN-RDG-054" in done.output
