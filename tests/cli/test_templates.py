"""`ven templates`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.cli.test_connections import serving
from tests.connectors.test_sunspec import METER, common, device
from tests.fakes.modbus import Behaviour, Memory
from venclient.cli import app
from venclient.cli import templates as templates_commands
from venclient.connectors.device_templates import template_names
from venclient.errors import ConfigError


def ven(*words: str) -> Result:
    """Run `ven templates ...` in this process."""
    return CliRunner().invoke(templates_commands.app, list(words))


def test_all_are_listed() -> None:
    """Each is there by name, also for programs."""
    shown, data = ven("list"), json.loads(ven("list", "--json").output)

    assert [line.split()[0] for line in shown.output.splitlines()] == list(template_names())
    assert [one["name"] for one in data] == list(template_names())
    assert data[0]["parameters"]["unit"]["max"] == 255


def test_words_choose() -> None:
    """Only templates with all words are listed; none is status 1."""
    found, none = ven("list", "SMA", "battery"), ven("list", "toaster")

    assert {line.split()[0] for line in found.output.splitlines()} == {"sma-hybrid", "sma-sunny-boy-storage"}
    assert none.exit_code == 1
    assert "no template matches toaster" in none.output


@pytest.mark.parametrize("name", template_names())
def test_each_can_be_shown(name: str) -> None:
    """What it is, its source, parameters and registers, and how to name it."""
    result = ven("show", name)

    assert result.exit_code == 0, result.output
    for part in ("source: ", "parameters:", "unit: unit id", "registers", f'{{"template": "{name}"'):
        assert part in result.output


def test_what_may_be_written_is_shown_with_its_source() -> None:
    """Range, register and document of each command, of the given parameters; nothing where there is none."""
    shown = ven("show", "victron-gx").output
    data = json.loads(ven("show", "victron-gx", "--set", "usage=battery", "--json").output)
    meter = ven("show", "eastron-sdm630").output

    assert "power_kw: -32 to 32; holding 2700 int16 scale=0.001" in shown
    assert "source: Victron Energy, register list" in shown
    assert data["write"][0]["quantity"] == "max_charge_percent"
    assert "may be written" not in meter


def test_parameters_choose_what_is_shown() -> None:
    """Registers are those of the given parameters, and numbers are taken as such."""
    shown = ven("show", "huawei-sun2000", "--set", "usage=battery", "--set", "storage=2", "--set", "unit=16")
    data = json.loads(
        ven("show", "huawei-sun2000", "--set", "usage=battery", "--set", "unit=16", "--json").output
    )

    assert "power_kw: holding 37743 int32" in shown.output
    assert '{"usage": "battery", "storage": 2, "unit": 16}' in shown.output
    assert data["options"]["unit"] == 16
    assert data["options"]["registers"][0]["address"] == 37001


def test_computed_quantities_are_shown() -> None:
    """What is made of others says of which."""
    output = ven("show", "sungrow-sh", "--set", "usage=battery").output
    assert "battery_power_w (used for computing only): input 13021 int16" in output
    assert "power_kw: product of battery_power_w, battery_direction x 0.001" in output


@pytest.mark.parametrize(
    ("words", "mistake"),
    [
        (["show", "eastron-sdm631"], "did you mean eastron-sdm630"),
        (["show", "abb-b23", "--set", "unit"], "VEN-CLM-037"),
        (["show", "abb-b23", "--set", "unit=x"], "expected 0 to 255 (given: 'x')"),
        (["show", "abb-b23", "--set", "reversed=maybe"], "expected true or false"),
    ],
)
def test_mistakes_are_told(words: list[str], mistake: str) -> None:
    """Unknown names and wrong values are named, with what would be right."""
    result = ven(*words)
    assert isinstance(result.exception, ConfigError)
    assert mistake in str(result.exception)


@pytest.mark.peer
def test_a_scan_names_the_templates_that_fit(free_port: int) -> None:
    """Recognised units are listed with their template and what identified them."""
    units: dict[int, Behaviour] = {1: device(common(), METER), 2: Memory({11: 1650})}
    words = ["connections", "scan", "127.0.0.1", "--port", str(free_port), "--units", "1-2"]
    with serving(free_port, units):
        shown, as_json = CliRunner().invoke(app, words), CliRunner().invoke(app, [*words, "--json"])

    assert "template sunspec: Fronius Primo GEN24 4.0: models 1, 203 from 40000" in shown.output
    assert [unit["templates"] for unit in json.loads(as_json.output)] == [
        {"sunspec": "Fronius Primo GEN24 4.0: models 1, 203 from 40000"},
        {"carlo-gavazzi-em24-e1": "holding 11 is 1650"},
    ]


@pytest.mark.peer
@pytest.mark.parametrize("template", ["sunspec", "victron-gx"])
def test_a_connection_with_a_template_is_tried(template: str, tmp_path: Path, free_port: int) -> None:
    """`ven connections test` shows the values of a device with a template, like any other."""
    path = tmp_path / "conn.toml"
    path.write_text(
        f'type = "modbustcp"\nhost = "127.0.0.1"\nport = {free_port}\n'
        f'[options]\ntemplate = "{template}"\nparameters = {{ unit = 1 }}\n'
    )
    memory = device(METER)
    memory.words |= {820: 500, 821: 600, 822: 400}
    with serving(free_port, {1: memory}):
        result = CliRunner().invoke(app, ["connections", "test", "--file", str(path)])

    assert result.exit_code == 0, result.output
    assert "power_kw" in result.output
    assert "1.5 kW" in result.output
