"""`ven connections test` and `scan`, as they are typed, against devices that are not set up right."""

from __future__ import annotations

import asyncio
import json
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.connectors.sites import make_resource
from tests.connectors.test_sunspec import METER, common, device
from tests.fakes.modbus import Behaviour, Memory, misbehaving_server, refusing, silent
from venclient.cli import app
from venclient.errors import ConfigError, ConnectFailed, VenError
from venclient.model.resource import ConnectionType
from venclient.registry.database import ResourceDatabase


@contextmanager
def serving(port: int, units: dict[int, Behaviour], other: Behaviour = silent) -> Iterator[None]:
    """Serve units on a thread of their own, since the command has its own loop; all others do `other`."""
    started, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with misbehaving_server(port) as peer:
            peer.units |= dict.fromkeys(range(256), other) | units
            started.set()
            await asyncio.get_running_loop().run_in_executor(None, over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(60)
    try:
        yield
    finally:
        over.set()
        thread.join(5)


def ven(*words: str) -> Result:
    """Run `ven connections ...` in this process."""
    return CliRunner().invoke(app, ["connections", *words])


def connection(folder: Path, port: int, options: str) -> str:
    """Write a connection to a file and give its path."""
    path = folder / "heat-pump.toml"
    path.write_text(f'type = "modbustcp"\nhost = "127.0.0.1"\nport = {port}\n[options]\n{options}')
    return str(path)


POWER = """
timeout_s = 0.1
[[options.registers]]
quantity = "power_kw"
address = 0
type = "float32"
scale = 0.001
[[options.registers]]
quantity = "soc_percent"
address = 4
type = "uint16"
nan = true
"""


@pytest.mark.peer
def test_words_numbers_and_values_are_shown(tmp_path: Path, free_port: int) -> None:
    """Each register is shown from its raw words to its value with a unit, and the round trip."""
    with serving(free_port, {1: Memory({0: 0x4366, 1: 0x8000, 2: 0, 3: 0, 4: 0xFFFF})}):
        result = ven("test", "--file", connection(tmp_path, free_port, POWER))

    assert result.exit_code == 0, result.output
    assert "plan: 1 request: holding 0..4" in result.output
    assert "holding 0..4: answered in" in result.output
    assert "power_kw     4366 8000  ->  230.5  ->  0.2305 kW" in result.output
    assert "soc_percent  FFFF  ->  65535  ->  no value" in result.output


@pytest.mark.peer
def test_an_impossible_value_of_a_register_is_named(tmp_path: Path, free_port: int) -> None:
    """A state of charge of 6553 % is shown, and that it would not be used."""
    with serving(free_port, {1: Memory({0: 0x4366, 1: 0x8000, 2: 0, 3: 0, 4: 6553})}):
        result = ven("test", "--file", connection(tmp_path, free_port, POWER))

    assert result.exit_code == 0, result.output
    assert result.output.count("VEN-RDG-054") == 1


@pytest.mark.peer
def test_a_wrong_word_order_is_guessed(tmp_path: Path, free_port: int) -> None:
    """When the value is absurd and the other order's is not, the change is named."""
    with serving(free_port, {1: Memory({0: 0x8000, 1: 0x4366, 2: 0, 3: 0, 4: 50})}):
        result = ven("test", "--file", connection(tmp_path, free_port, POWER))

    assert 'word_order "little" would give 0.2305' in result.output


@pytest.mark.peer
def test_a_mark_for_no_value_is_not_taken_for_a_wrong_word_order(tmp_path: Path, free_port: int) -> None:
    """A device that says that it has no value is believed: there is nothing to change."""
    mark = POWER.replace("uint16", "int16")
    with serving(free_port, {1: Memory({0: 0x4366, 1: 0x8000, 2: 0, 3: 0, 4: 0x8000})}):
        result = ven("test", "--file", connection(tmp_path, free_port, mark))

    assert "soc_percent  8000  ->  -32768  ->  no value" in result.output
    assert "would give" not in result.output


@pytest.mark.peer
def test_another_kind_and_a_manuals_number_are_found(tmp_path: Path, free_port: int) -> None:
    """A register that does not exist is looked for where it usually is instead."""
    register = '[[options.registers]]\nquantity = "power_kw"\naddress = 40011\ntype = "int16"\n'
    with serving(free_port, {1: Memory({10: 7, 11: 8})}):
        result = ven("test", "--file", connection(tmp_path, free_port, register))

    assert result.exit_code == 1
    assert "exception 2 (illegal data address)" in result.output
    assert 'address 10 with kind "holding" answers' in result.output


@pytest.mark.peer
def test_a_hole_between_registers_is_shown_as_another_plan(tmp_path: Path, free_port: int) -> None:
    """What the device allows is shown beside what was planned."""
    with serving(free_port, {1: Memory({0: 0x4366, 1: 0x8000, 4: 50})}):
        result = ven("test", "--json", "--file", connection(tmp_path, free_port, POWER))

    found = json.loads(result.output)
    assert found["planned"] == ["holding 0..4"]
    assert [one["place"] for one in found["asked"]] == ["holding 0..1", "holding 4"]
    assert found["ok"]


@pytest.mark.peer
def test_another_unit_is_found(tmp_path: Path, free_port: int) -> None:
    """When the unit is silent, those that devices usually have are tried."""
    with serving(free_port, {247: refusing(2)}):
        result = ven("test", "--file", connection(tmp_path, free_port, f"unit = 9\n{POWER}"))

    assert result.exit_code == 1
    assert "no answer within 0.1 s" in result.output
    assert "set unit to 247" in result.output


@pytest.mark.peer
def test_computed_values_are_shown(tmp_path: Path, free_port: int) -> None:
    """A quantity made of others is shown as the gateway would read it."""
    computed = '[[options.computed]]\nquantity = "double_kw"\nop = "sum"\nof = ["power_kw", "power_kw"]\n'
    with serving(free_port, {1: Memory({0: 0x4366, 1: 0x8000, 2: 0, 3: 0, 4: 50})}):
        result = ven("test", "--file", connection(tmp_path, free_port, POWER + computed))

    assert "double_kw  0.461 kW" in result.output


@pytest.mark.peer
def test_a_resource_is_tried_by_its_name(tmp_path: Path, free_port: int) -> None:
    """The connection of a stored resource is tried as it is stored."""
    from venclient.registry.database import ResourceDatabase

    options = {"registers": [{"quantity": "power_kw", "address": 3, "type": "int16"}]}
    db = tmp_path / "resources.db"
    with ResourceDatabase(str(db)) as registry:
        registry.upsert_resource(make_resource(host="127.0.0.1", port=free_port, options=options))
    with serving(free_port, {1: Memory({3: 0xFFFF})}):
        result = ven("test", "hotel ærø", "--db", str(db))

    assert "power_kw  FFFF  ->  -1  ->  -1 kW" in result.output


def test_nobody_at_the_port_is_said(tmp_path: Path, free_port: int) -> None:
    """A refused connection is an error with what to check."""
    result = ven("test", "--file", connection(tmp_path, free_port, POWER))

    assert isinstance(result.exception, ConnectFailed)
    assert "VEN-MOD-112" in str(result.exception)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("type = [", "VEN-CLM-005"),
        ('type = "modem"', "unknown connection type"),
        ('colour = "red"', "unknown: colour"),
        ('port = "502"', "Expected `int`"),
        ('host = "127.0.0.1"\n[options]\nunit = 999', "options.unit"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, mistake: str) -> None:
    """Each mistake in a connection's file is named."""
    path = tmp_path / "conn.toml"
    path.write_text(text)
    result = ven("test", "--file", str(path))

    assert isinstance(result.exception, ConfigError)
    assert mistake in str(result.exception)


def test_what_was_found_in_a_meter_file_is_shown(tmp_path: Path) -> None:
    """Delimiter, header, decimal mark and columns stand above the values."""
    (tmp_path / "meter.csv").write_text("Hotel Nord\ntime;power_kw\n2026-06-01T12:00:00Z;1,5\n")
    path = tmp_path / "file.toml"
    path.write_text('type = "filereader"\nfile = "meter.csv"\n')
    result = ven("test", "--file", str(path))

    assert result.exit_code == 0, result.output
    assert (
        "delimiter ;, header in line 2, decimal mark ,; time from time, power_kw from power_kw"
        in result.output
    )
    assert "1.5 kW" in result.output


@pytest.mark.parametrize(
    ("content", "options", "code"),
    [
        ("time;power_kw\n01.06.2026 12:00;1,5\n", "", "VEN-CON-046"),
        ("/KMP5\n\n1-0:1.7.0(1.5*kW)\n!\n", 'format = "dsmr-p1"\nfollow = false\n', "VEN-FIL-081"),
        ("/KMP5\n\n0-0:1.0.0(260601120000S)\n1-0:1.7.0(1x5*kW)\n!\n", 'format = "dsmr-p1"\n', "VEN-FIL-241"),
        ("nothing that a meter writes\n", "", "VEN-CLM-020"),
    ],
)
def test_what_was_not_read_of_a_file_is_shown(tmp_path: Path, content: str, options: str, code: str) -> None:
    """Without a value the status is 1, and each reason says what to change."""
    (tmp_path / "meter.csv").write_text(content)
    path = tmp_path / "file.toml"
    path.write_text(f'type = "filereader"\nfile = "meter.csv"\n[options]\n{options}')
    result = ven("test", "--file", str(path))

    assert result.exit_code == 1
    assert code in result.output or code == "VEN-CLM-020"
    assert ("not read" in result.output) == (code != "VEN-CLM-020")
    assert ven("test", "--file", str(path), "--json").exit_code == 1


def test_rows_that_were_not_read_stand_beside_the_values(tmp_path: Path) -> None:
    """A file with values is in order, though some of its rows are not."""
    rows = ["2026-06-01T12:00:00Z;1,5", "2026-06-01T12:01:00Z;much", "2026-06-01T12:02:00Z;2,5"]
    (tmp_path / "meter.csv").write_text("time;power_kw\n" + "".join(f"{row}\n" for row in rows))
    path = tmp_path / "file.toml"
    path.write_text('type = "filereader"\nfile = "meter.csv"\n')
    result = ven("test", "--file", str(path))

    assert result.exit_code == 0, result.output
    assert "2.5 kW" in result.output
    assert "meter.csv:3" in result.output


@pytest.mark.parametrize("words", [["test"], ["test", "x", "--file", "y"]])
def test_one_thing_is_tried_at_a_time(words: list[str]) -> None:
    """A resource or a file, not both and not neither."""
    assert isinstance(ven(*words).exception, ConfigError)


def test_other_connections_are_read_once(tmp_path: Path) -> None:
    """A file's connection is tried too, and shows its last values."""
    (tmp_path / "meter.csv").write_text("time,power_kw\n2026-01-01T00:00:00Z,1.5\n")
    path = tmp_path / "conn.toml"
    path.write_text('type = "filereader"\nfile = "meter.csv"\n')
    result = ven("test", "--file", str(path))

    assert result.exit_code == 0, result.output
    assert "power_kw  1.5 kW" in result.output


@pytest.mark.peer
def test_a_scan_finds_units_and_their_kinds(free_port: int) -> None:
    """Units that answer are listed with what they have; a refusal is an answer, silence is none."""
    units: dict[int, Behaviour] = {2: Memory({0: 1}), 4: refusing(1), 5: refusing(11)}
    with serving(free_port, units):
        words = ("scan", "127.0.0.1", "--port", str(free_port), "--units", "1-3,4,5", "--timeout", "0.06")
        shown, data = ven(*words), json.loads(ven(*words, "--json").output)

    assert shown.exit_code == 0
    assert "unit   2" in shown.output
    assert [unit["unit"] for unit in data] == [2, 4]
    assert data[0]["kinds"] == {"holding": "answers", "input": "answers"}
    assert data[1]["kinds"]["holding"] == "exception 1 (illegal function)"


@pytest.mark.peer
def test_a_scan_that_finds_nothing_says_so(free_port: int) -> None:
    """A host without units has status 1; one that is not there is an error."""
    words = ("scan", "127.0.0.1", "--port", str(free_port), "--units", "1-2", "--timeout", "0.06")
    with serving(free_port, {}):
        result = ven(*words)
    assert result.exit_code == 1
    assert "none of the units 1-2 answers" in result.output
    assert isinstance(ven(*words).exception, VenError)


@pytest.mark.parametrize("units", ["0-256", "a", "5-1", ""])
def test_units_are_checked(units: str) -> None:
    """Unit ids are 0 to 255."""
    assert isinstance(ven("scan", "127.0.0.1", "--units", units).exception, ConfigError)


def connection_in(output: str) -> str:
    """Return the first connection that a scan printed, as the TOML text of a file."""
    lines = output[output.index('type = "MODBUSTCP"') :].splitlines()
    return "\n".join(lines[: next(n for n, line in enumerate(lines) if line.startswith("to store"))])


@pytest.mark.peer
@pytest.mark.parametrize("unit", [device(common(), METER), Memory({0: 5})])
def test_what_a_scan_concludes_can_be_used_as_it_is(unit: Behaviour, tmp_path: Path, free_port: int) -> None:
    """The connection that it prints is tried with the command that it names; the options are valid."""
    with serving(free_port, {3: unit}):
        shown = ven("scan", "127.0.0.1", "--port", str(free_port), "--units", "1-4", "--timeout", "0.2")
        file = tmp_path / "unit-3.toml"
        file.write_text(connection_in(shown.output))
        tried = ven("test", "--file", str(file))

    assert "`ven connections test --file unit-3.toml`" in shown.output
    assert tried.exit_code == 0, tried.output
    command = next(line for line in shown.output.splitlines() if "ven resources set" in line).partition("`")[
        2
    ]
    words = shlex.split(command.rstrip("`"))
    assert {"connection.host=127.0.0.1", f"connection.port={free_port}"} <= set(words)
    with ResourceDatabase(str(tmp_path / "r.db")) as registry:
        registry.upsert_resource(make_resource(name="NAME", kind=ConnectionType.FILEREADER, file="x.csv"))
    stored = CliRunner().invoke(app, [*words[1:], "--db", str(tmp_path / "r.db")])
    assert stored.exit_code == 0, stored.output
    with serving(free_port, {3: unit}):
        assert ven("test", "NAME", "--db", str(tmp_path / "r.db")).exit_code == 0


@pytest.mark.peer
def test_a_device_that_ignores_the_unit_id_is_one_device(free_port: int) -> None:
    """Where all ids answer alike, one connection is proposed."""
    with serving(free_port, {}, other=Memory({0: 1})):
        shown = ven("scan", "127.0.0.1", "--port", str(free_port), "--units", "1-6", "--timeout", "0.5")
    assert "6 unit ids answer alike" in shown.output
    assert shown.output.count('type = "MODBUSTCP"') == 1


@pytest.mark.peer
def test_a_gateway_without_a_device_is_no_device(free_port: int) -> None:
    """Refusals of the gateway itself are reported as that, with what to try next."""
    with serving(free_port, {}, other=refusing(4)):
        shown = ven("scan", "127.0.0.1", "--port", str(free_port), "--units", "1-2", "--timeout", "0.5")
    assert "VEN-CLM-283" in shown.output
    assert f"`ven connections scan 127.0.0.1 --port {free_port} --units 0-255`" in shown.output


@pytest.mark.peer
@pytest.mark.parametrize("other", [silent, refusing(4), refusing(10), refusing(11)])
def test_a_wrong_unit_id_is_what_is_looked_at_first(other: Behaviour, tmp_path: Path, free_port: int) -> None:
    """Whatever a gateway answers for a unit that it does not have: the right one is found."""
    with serving(free_port, {3: Memory({0: 1, 1: 1, 2: 0, 3: 0, 4: 5})}, other=other):
        result = ven("test", "--file", connection(tmp_path, free_port, f"unit = 9\n{POWER}"))
    assert result.exit_code == 1
    assert "set unit to 3" in result.output
    assert f"ven connections scan 127.0.0.1 --port {free_port}" in result.output
