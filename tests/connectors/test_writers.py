"""Which connections command a device, what every writer promises, and what templates write on the wire."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.sites import make_resource, make_site
from tests.connectors.test_templates import Golden, playing
from tests.fakes.modbus import Memory, misbehaving_server, pymodbus_server
from venclient import connectors
from venclient.connectors import WRITERS, open_writer, option_problems, writer_for
from venclient.connectors.base import Site, Writer
from venclient.connectors.device_templates import all_templates, expand_writing
from venclient.connectors.modbus_options import ModbusWriterOptions
from venclient.connectors.options import check_options
from venclient.errors import ConfigError, ConnectorError, WriteRefused
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.model.setpoint import Receipt, Setpoint

GOLDEN = Path(__file__).parent / "templates" / "writing"
WRITABLE = [template for template in all_templates() if template.write]
LIMIT = {"quantity": "power_kw", "address": 10, "type": "int16", "scale": 0.1, "min": -50, "max": 50}


def commanded(port: int | None, **options: Any) -> Resource:
    """Build a resource with a control connection of these options."""
    connection = Connection(
        ConnectionType.MODBUSTCP, ActorType.WRITER, host="127.0.0.1", port=port, options=options
    )
    return replace(make_resource(host="192.0.2.1"), control_connection=connection)


def wanted(value: float, quantity: str = "power_kw") -> Setpoint:
    """Build a setpoint for the resource."""
    return Setpoint("id-of-Hotel Ærø", quantity, value)


# The table


@pytest.mark.parametrize("kind", list(ConnectionType))
def test_each_kind_of_connection_has_a_writer_or_a_sentence(kind: ConnectionType) -> None:
    """A caller gets the function that opens the writer, or an error with the connections that can command."""
    connection = Connection(kind, ActorType.WRITER, host="192.0.2.1", topic="t", file="f")
    if kind.value in WRITERS:
        assert writer_for(connection) is WRITERS[kind.value]
        return
    with pytest.raises(ConfigError, match=rf"'{kind.value}'.*modbustcp.*VEN-CON-003"):
        writer_for(connection)


def test_an_installed_package_can_bring_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third party's writer is chosen by name, as its reader is, and gets the other options."""
    point = EntryPoint("relay", "tests.connectors.test_writers:open_relay", connectors.WRITER_POINTS)
    monkeypatch.setattr(connectors, "entry_points", importlib.metadata.EntryPoints([point]).select)
    writer = open_writer(commanded(1, connector="relay", channel=3), make_site(tmp_path))

    assert vars(writer)["resource"].connection.options == {"channel": 3}
    control = commanded(1, connector="relay", channel=3).control_connection
    assert control is not None
    assert option_problems(replace(make_resource(), connection=control)) == []


@dataclass
class Relay:
    """A writer of another package."""

    resource: Resource

    async def write(self, setpoint: Setpoint) -> Receipt:
        """Not used here."""
        raise AssertionError(setpoint)

    async def close(self) -> None:
        """Nothing to let go of."""


def open_relay(resource: Resource, _site: Site) -> Writer:
    """Return the relay's writer."""
    return Relay(resource)


# The contract, for each writer of the table


@pytest.mark.peer
@pytest.mark.parametrize("name", sorted(WRITERS))
async def test_a_writer_tells_the_device_and_says_what_it_holds(
    name: str, tmp_path: Path, free_port: int
) -> None:
    """The value arrives in the device's own form, and the receipt has what it says then."""
    assert name == ConnectionType.MODBUSTCP.value  # another kind needs its own peer here
    async with misbehaving_server(free_port) as peer:
        unit = peer.units[3] = Memory({10: 0})
        writer = open_writer(commanded(free_port, registers=[LIMIT], unit=3), make_site(tmp_path))
        assert isinstance(writer, Writer)
        receipt = await writer.write(wanted(-12.5))
        held = unit.words[10]
        with pytest.raises(WriteRefused, match=r"-50 to 50.*VEN-MOD-130"):
            await writer.write(wanted(51))
        untouched = unit.words[10]
        await writer.close()
        await writer.close()

    assert (receipt.written, receipt.read_back, receipt.ok) == (-12.5, -12.5, True)
    assert held == untouched == 65536 - 125


@pytest.mark.parametrize("name", sorted(WRITERS))
async def test_a_writer_touches_nothing_until_it_writes(name: str, tmp_path: Path, free_port: int) -> None:
    """Opening needs no device; without one a write is a ConnectorError that says what to check."""
    assert name == ConnectionType.MODBUSTCP.value
    writer = open_writer(commanded(free_port, registers=[LIMIT]), make_site(tmp_path))
    with pytest.raises(ConnectorError) as caught:
        await writer.write(wanted(1))
    await writer.close()

    assert caught.value.hint
    assert "Hotel" in caught.value.subject or str(free_port) in str(caught.value)


def test_a_writer_names_all_mistakes_at_once(tmp_path: Path) -> None:
    """Wrong options are reported where the connection is checked, and again where it is opened."""
    given = commanded(70_000, registers=[{**LIMIT, "min": 9, "max": 1}], unti=3)
    with pytest.raises(ConfigError) as caught:
        open_writer(given, make_site(tmp_path))
    assert given.control_connection is not None
    said = option_problems(replace(given, connection=given.control_connection))

    assert len(caught.value.problems) >= 2
    assert any("unti" in one for one in said)


# Templates


@dataclass
class Command:
    """One write of a template, with the frames that it takes."""

    frames: Golden
    quantity: str
    value: float
    order: list[bytes] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.frames}-{self.quantity}"


def read_commands(path: Path) -> Iterator[Command]:
    """Yield the records of a file: "[parameters] quantity=value", then requests and answers."""
    for part in path.read_text().strip().split("\n\n"):
        head, *lines = part.splitlines()
        match = re.fullmatch(r"\[(.*)\] (\w+)=(.+)", head)
        assert match is not None, head
        pairs = [pair.split("=") for pair in match[1].split()]
        found = Command(Golden(path.stem, dict(map(tuple, pairs))), match[2], float(match[3]))
        for line in lines:
            mark, _, rest = line.partition(" ")
            if mark == ">":
                found.order.append(bytes.fromhex(rest))
            else:
                found.frames.frames[found.order[-1]] = bytes.fromhex(rest)
        yield found


COMMANDS = [one for path in sorted(GOLDEN.glob("*.txt")) for one in read_commands(path)]


@pytest.mark.peer
@pytest.mark.parametrize("command", COMMANDS, ids=str)
async def test_a_template_writes_just_the_recorded_frames(
    command: Command, tmp_path: Path, free_port: int
) -> None:
    """A value in the quantity's unit becomes the frames of the device's document, and nothing else."""
    given = {"template": command.frames.template, "parameters": command.frames.parameters}
    async with playing(free_port, command.frames) as asked:
        writer = open_writer(commanded(free_port, **given, connect_delay_s=0), make_site(tmp_path))
        try:
            receipt = await writer.write(wanted(command.value, command.quantity))
        finally:
            await writer.close()

    assert receipt.ok
    assert receipt.written == pytest.approx(command.value)
    assert asked == command.order


@pytest.mark.parametrize("template", WRITABLE, ids=lambda template: template.name)
def test_every_register_to_write_is_recorded_and_has_a_source(template: Any) -> None:
    """Nothing is written to a device whose document is not named, or whose frames were not checked."""
    recorded = {one.quantity for one in COMMANDS if one.frames.template == template.name}

    assert {one["quantity"] for one in template.write} == recorded
    assert template.manufacturer.split()[0] in template.write_source


def test_batteries_inverters_and_chargers_can_be_commanded() -> None:
    """Templates with something to write are of all these kinds."""
    kinds = {kind for template in WRITABLE for kind in template.kinds}
    assert {"battery", "charger", "grid"} <= kinds
    assert len(WRITABLE) >= 7


@pytest.mark.parametrize("template", WRITABLE, ids=lambda template: template.name)
def test_what_a_template_writes_is_what_a_writer_takes(template: Any) -> None:
    """Each use gives right options of a connection that commands, or nothing to write."""
    usages = template.parameters["usage"].choices if "usage" in template.parameters else [None]
    written = 0
    for usage in usages:
        parameters = {} if usage is None else {"usage": usage}
        expansion, problems = expand_writing({"template": template.name, "parameters": parameters})
        assert expansion is not None, problems
        if expansion.options["registers"]:
            assert check_options(expansion.options, ModbusWriterOptions)[1] == []
            written += 1
    assert written


def test_the_connection_limits_what_a_template_may_write(tmp_path: Path) -> None:
    """A register of the connection's own replaces the template's: a narrower range, for example."""
    own = {"quantity": "power_kw", "address": 2700, "type": "int16", "scale": 0.001, "min": -3, "max": 0}
    expansion, _ = expand_writing({"template": "victron-gx", "registers": [own]})
    assert expansion is not None

    assert [one["max"] for one in expansion.options["registers"] if one["quantity"] == "power_kw"] == [0]


@pytest.mark.parametrize("options", [{"template": "eastron-sdm630"}, {"template": "huawei-sun2000"}])
def test_a_template_without_anything_to_write_says_which_have(options: Any, tmp_path: Path) -> None:
    """A meter cannot be commanded, nor can the sun: the sentence names the templates that can be."""
    with pytest.raises(ConfigError, match=r"keba-p30.*VEN-MOD-064"):
        open_writer(commanded(502, **options), make_site(tmp_path))


@pytest.mark.peer
async def test_a_template_gives_the_port_as_well(tmp_path: Path, free_port: int) -> None:
    """The default port of the template's device holds for commanding, too; here it is set."""
    async with pymodbus_server(free_port, {255: {261: [160]}}):
        writer = open_writer(commanded(free_port, template="amperfied-wallbox"), make_site(tmp_path))
        receipt = await writer.write(wanted(6, "current_limit_a"))
        await writer.close()
    assert receipt.read_back == 6
