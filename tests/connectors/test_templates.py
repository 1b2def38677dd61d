"""Device templates: what they stand for, and that each gives the right values for recorded frames.

`templates/NAME.txt` holds, for each way to use a template, the frames of a device and the readings that
they make: "> " a request and "< " its answer, both behind the transaction id, and "= " a reading.
"""

from __future__ import annotations

import asyncio
import csv
import itertools
import json
import re
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.sites import make_resource, make_site
from venclient.connectors import open_reader, option_problems
from venclient.connectors.blocks import plan_blocks
from venclient.connectors.device_templates import (
    Template,
    all_templates,
    expand_template,
    load_template,
    template_names,
)
from venclient.connectors.modbus_frames import TcpFraming
from venclient.connectors.modbus_options import ModbusOptions
from venclient.connectors.options import check_options
from venclient.errors import ConfigError
from venclient.messages import with_code

GOLDEN = Path(__file__).parent / "templates"
LISTED = [template for template in all_templates() if not template.discovered]


@dataclass
class Golden:
    """One way to use a template, with a device's frames and what they mean."""

    template: str
    parameters: dict[str, Any] = field(default_factory=dict)
    frames: dict[bytes, bytes] = field(default_factory=dict)
    readings: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.template, *map(str, self.parameters.values())])


def read_golden(path: Path) -> Iterator[Golden]:
    """Yield the records of a file."""
    for part in path.read_text().strip().split("\n\n"):
        head, *lines = part.splitlines()
        pairs = [pair.split("=") for pair in head.strip("[]").split()]
        found = Golden(path.stem, {key: int(v) if v.isdecimal() else v for key, v in pairs})
        for line in lines:
            mark, _, rest = line.partition(" ")
            if mark == ">":
                request = bytes.fromhex(rest)
            elif mark == "<":
                found.frames[request] = bytes.fromhex(rest)
            else:
                quantity, value = rest.split()
                found.readings[quantity] = float(value)
        yield found


GOLDENS = [one for path in sorted(GOLDEN.glob("*.txt")) for one in read_golden(path)]


def uses(template: Template) -> list[dict[str, Any]]:
    """Return every choice that a template leaves."""
    choices = {key: one.choices for key, one in template.parameters.items() if one.choices}
    return [dict(zip(choices, one, strict=True)) for one in itertools.product(*choices.values())]


def options_of(name: str, **options: Any) -> ModbusOptions:
    """Return the options that a template stands for."""
    expansion, problems = expand_template({"template": name, **options})
    assert expansion is not None, problems
    checked, problems = check_options(expansion.options, ModbusOptions)
    assert checked is not None, problems
    return checked


@asynccontextmanager
async def playing(port: int, golden: Golden) -> AsyncIterator[list[bytes]]:
    """Answer each recorded request with its recorded answer, and all else with exception 2."""
    asked: list[bytes] = []
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readexactly(6)
                frame = head + await reader.readexactly(int.from_bytes(head[4:6], "big"))
                asked.append(frame[2:])
                refusal = struct.pack(">HHBBB", 0, 3, frame[6], frame[7] | 0x80, 2)
                writer.write(frame[:2] + golden.frames.get(frame[2:], refusal))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield asked
    finally:
        await asyncio.wait_for(over.wait(), 60)
        server.close()
        await server.wait_closed()


@pytest.mark.peer
@pytest.mark.parametrize("golden", GOLDENS, ids=str)
async def test_a_device_on_the_wire_gives_the_readings(
    golden: Golden, tmp_path: Path, free_port: int
) -> None:
    """Each template asks for just the recorded frames, and makes the right readings of the answers."""
    options = {"template": golden.template, "parameters": golden.parameters, "connect_delay_s": 0}
    site = make_site(tmp_path)
    async with playing(free_port, golden) as asked:
        reader = open_reader(make_resource(host="127.0.0.1", port=free_port, options=options), site)
        try:
            batch = await reader.read()
        finally:
            await reader.close()

    assert {r.quantity: r.value for r in batch.readings} == pytest.approx(golden.readings)
    assert not batch.rejects
    assert asked == list(golden.frames)


@pytest.mark.parametrize("golden", GOLDENS, ids=str)
def test_frames_decode_to_the_readings(golden: Golden) -> None:
    """The same without a network: each planned block is in the recording, and decodes to its values."""
    options = options_of(golden.template, parameters=golden.parameters)
    answers = {
        request: answer.data
        for request, frame in golden.frames.items()
        for answer in TcpFraming().feed(b"\0\1" + frame)
    }
    found: dict[str, float] = {}
    for block in plan_blocks(options.registers, options.limits):
        function = 3 if block.kind == "holding" else 4
        request = struct.pack(">HHBBHH", 0, 6, options.unit, function, block.address, block.count)
        found |= dict(block.decode(answers[request]))
    shown = {register.quantity for register in options.registers if not register.hidden}

    assert {q: v for q, v in found.items() if q in shown} == pytest.approx(
        {q: v for q, v in golden.readings.items() if q in shown}
    )


@pytest.mark.parametrize("template", LISTED, ids=lambda template: template.name)
def test_every_use_of_every_template_has_golden_frames(template: Template) -> None:
    """No template, and no choice that one leaves, is without a recording."""
    recorded = [one.parameters for one in GOLDENS if one.template == template.name]
    for use in uses(template):
        assert any(use.items() <= parameters.items() for parameters in recorded), use


@pytest.mark.parametrize("template", LISTED, ids=lambda template: template.name)
def test_every_template_is_sound(template: Template) -> None:
    """It says where it is from, has power in each use, and means by its parameters what it says."""
    assert len(template.source) > 20
    assert template.kinds
    if "usage" in template.parameters:
        assert sorted(template.parameters["usage"].choices) == sorted(template.kinds)
    for one in (*template.registers, *template.computed):
        for key, value in one.get("when", {}).items():
            values = value if isinstance(value, list) else [value]
            assert set(values) <= set(template.parameters[key].choices)
    for use in uses(template):
        options = options_of(template.name, parameters=use)
        quantities = [one.quantity for one in options.registers if not one.hidden]
        quantities += [one.quantity for one in options.computed if not one.hidden]
        assert "power_kw" in quantities
    for parameter in template.all_parameters.values():
        assert parameter.mistake(parameter.default) == ""
    if template.reversible:
        assert all(one["op"] != "product" for one in template.computed)


def test_there_are_many_of_all_kinds() -> None:
    """Meters, inverters, batteries and chargers of many makes are known."""
    kinds = [template.device for template in all_templates()]
    assert len(kinds) >= 35
    assert {"meter", "inverter", "battery", "charger", "heat pump"} <= set(kinds)
    assert len({template.manufacturer for template in all_templates()}) >= 25


# Facts: the same registers, as a list gathered independently has them.

FACTS = {
    "ecoflow-powerocean-modbus": "ecoflow-powerocean",
    "growatt-hybrid": "growatt-hybrid",
    "hager-flow": "hager-flow",
    "mypv-wifi-meter": "my-pv-wifi-meter",
    "saj-h1": "saj-h1",
    "sermatec-hybrid": "sermatec-hybrid",
    "sma-sbs-modbus": "sma-sunny-boy-storage",
    "WAGO87930": "wago-879",
}


@pytest.mark.parametrize(("device", "name"), FACTS.items())
def test_registers_are_those_of_the_gathered_facts(device: str, name: str, shared: Path) -> None:
    """Address, kind, type, word order and size of scale agree with the list of register facts."""
    facts = {}
    with (shared / "data" / "modbus-registers.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["device"] == device and row["address"].isdecimal():
                facts[int(row["address"])] = row
    used = 0
    for use in uses(load_template(name)):
        for register in options_of(name, parameters=use).registers:
            fact = facts.get(register.address)
            if fact is None:
                continue
            used += 1
            assert (register.type, register.kind) == (fact["base"], fact["register_type"])
            assert len(register.byte_places()) == 2 * int(fact["words"])
            if int(fact["words"]) > 1:
                assert register.word_order == fact["word_order"]
            in_unit = float(fact["scale"]) / (
                1000 if register.quantity.endswith("_kw") and fact["unit"] == "W" else 1
            )
            assert abs(register.scale) == pytest.approx(abs(in_unit))
    assert used >= 3


# What a connection says


def test_what_the_connection_says_comes_first() -> None:
    """Options beside the template replace the template's; its own registers are added or replace."""
    own = [
        {"quantity": "power_kw", "address": 7, "type": "int16"},
        {"quantity": "door_open", "address": 8, "type": "bool"},
    ]
    options = options_of(
        "eastron-sdm630", parameters={"unit": 3}, interval_s=2, max_registers=40, registers=own
    )

    found = {register.quantity: register for register in options.registers}
    assert (options.unit, options.interval_s, options.max_registers) == (3, 2, 40)
    assert found["power_kw"].address == 7
    assert found["door_open"].address == 8
    assert found["energy_kwh"].address == 72


def test_a_quantity_can_be_computed_from_those_of_a_template() -> None:
    """Computed quantities of the connection build on the template's registers."""
    own = [{"quantity": "net_kwh", "op": "difference", "of": ["energy_kwh", "energy_export_kwh"]}]
    assert options_of("abb-b23", computed=own).computed[0].quantity == "net_kwh"


def test_a_meter_mounted_the_other_way_round() -> None:
    """Reversed, powers change their sign, and import and export change sides; voltages stay."""
    plain = {r.quantity: r for r in options_of("eastron-sdm630").registers}
    other = {r.quantity: r for r in options_of("eastron-sdm630", parameters={"reversed": True}).registers}

    assert other["power_kw"].scale == -plain["power_kw"].scale
    assert other["power_l2_kw"].scale == -plain["power_l2_kw"].scale
    assert other["energy_kwh"].address == plain["energy_export_kwh"].address
    assert other["energy_export_kwh"].address == plain["energy_kwh"].address
    assert other["voltage_l1_v"] == plain["voltage_l1_v"]


def test_energies_that_are_sums_change_sides_as_well() -> None:
    """Reversed, what a meter counts by tariffs as imported is exported."""
    plain = {one.quantity: one.of for one in options_of("siemens-pac2200").computed}
    turned = options_of("siemens-pac2200", parameters={"reversed": True}).computed
    other = {one.quantity: one.of for one in turned}

    assert other["energy_kwh"] == plain["energy_export_kwh"]
    assert other["energy_export_kwh"] == plain["energy_kwh"]


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ({"template": "eastron-smd630"}, "unknown template 'eastron-smd630'; did you mean eastron-sdm630"),
        ({"template": "huawei"}, "did you mean huawei-sun2000?"),
        ({"template": "../secret"}, "unknown template '../secret'; `ven templates list` shows all"),
        ({"template": 7}, "options.template: expected the name of a template, got 7"),
        ({"template": "keba-p30", "parameters": 3}, "options.parameters: expected an object, got 3"),
        (
            {"template": "keba-p30", "parameters": {"unti": 3}},
            "did you mean unit? [VEN-MOD-057]",
        ),
        (
            {"template": "keba-p30", "parameters": {"unit": 256}},
            "options.parameters.unit: expected 0 to 255 (given: 256)",
        ),
        ({"template": "keba-p30", "parameters": {"unit": True}}, "expected 0 to 255 (given: True)"),
        (
            {"template": "victron-gx", "parameters": {"usage": "wind"}},
            "options.parameters.usage: expected one of grid, pv, battery, load (given: 'wind')",
        ),
        (
            {"template": "abb-b23", "parameters": {"reversed": 1}},
            "options.parameters.reversed: expected true or false (given: 1)",
        ),
        ({"template": "abb-b23", "registers": {"a": 1}}, "options.registers: expected a list of objects"),
        ({"template": "abb-b23", "intervall_s": 3}, "options.intervall_s: unknown option; did you mean"),
        ({"template": "sunspec", "intervall_s": 3}, "options.intervall_s: unknown option; did you mean"),
        ({"template": "sunspec", "parameters": {"model": 999}}, "options.parameters.model: expected one of"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], mistake: str, tmp_path: Path) -> None:
    """Each mistake says where it is, and what would be right, also before anything is opened."""
    resource = make_resource(host="192.0.2.1", options=options)
    with pytest.raises(ConfigError, match=re.escape(mistake)):
        open_reader(resource, make_site(tmp_path))
    assert any(mistake in with_code(problem) for problem in option_problems(resource))


def test_a_right_connection_has_no_problems() -> None:
    """What opens is not complained about."""
    for options in ({"template": "keba-p30", "interval_s": 5}, {"template": "sunspec", "max_gap": 2}):
        assert option_problems(make_resource(host="192.0.2.1", options=options)) == []


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """A missing host and two wrong parameters are three sentences."""
    options = {"template": "abb-b23", "parameters": {"unit": -1, "usage": "pv"}}
    with pytest.raises(ConfigError) as caught:
        open_reader(make_resource(options=options), make_site(tmp_path))
    assert len(caught.value.problems) == 3


@settings(max_examples=50, deadline=None)
@given(
    name=st.sampled_from(template_names()),
    parameters=st.dictionaries(
        st.sampled_from(["unit", "usage", "storage", "model", "reversed", "x"]),
        st.one_of(st.integers(-5, 300), st.booleans(), st.text(max_size=8), st.none(), st.floats()),
        max_size=3,
    ),
)
def test_any_parameters_give_options_or_sentences(name: str, parameters: dict[str, Any]) -> None:
    """Whatever is said, there are right options or reasons, never both and never a crash."""
    expansion, problems = expand_template({"template": name, "parameters": parameters})
    assert (expansion is None) == bool(problems)
    if expansion is not None and not expansion.template.discovered:
        assert check_options(expansion.options, ModbusOptions)[1] == []


def test_parameters_move_addresses() -> None:
    """The third charging point of a controller is read two thousand registers behind the first."""
    first, third = (
        options_of("phoenix-charx", parameters={"connector": n}).registers[0].address for n in (1, 3)
    )
    assert third - first == 2000


# The page


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    """Return the page about templates."""
    return (root / "docs/connectors/templates.md").read_text(encoding="utf-8")


def test_the_page_says_every_key_of_a_template(page: str) -> None:
    """Whoever writes a template finds each key in the table, and no other."""
    table = page.partition("| key | meaning |")[2].partition("\n\n")[0]
    firsts = re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE)
    keys = {field.encode_name for field in msgspec.structs.fields(Template)}
    assert set(re.findall(r"`(\w+)`", " ".join(firsts))) == keys


def test_the_page_says_every_parameter_of_sunspec(page: str) -> None:
    """Each has its row, with the default that it has."""
    table = page.partition("## SunSpec")[2].partition("| parameter |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", table, re.MULTILINE))
    parameters = load_template("sunspec").all_parameters
    assert rows.keys() == parameters.keys()
    for key, parameter in parameters.items():
        assert rows[key].strip("`") == json.dumps(parameter.default).strip('"')


def test_the_examples_are_right(page: str) -> None:
    """Each example can be used as it stands."""
    examples = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        assert option_problems(make_resource(host="192.0.2.1", options=json.loads(example))) == []


def test_every_template_is_in_the_reference(root: Path) -> None:
    """The generated page has a section for each."""
    text = (root / "docs/reference/templates.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == list(template_names())
