"""The page about MODBUSTCP says every option, with the default that it has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.connectors.sites import make_resource, make_site
from venclient.connectors.modbus import open_modbus_reader
from venclient.connectors.modbus_options import Computed, ModbusOptions, ModbusWriterOptions, WritableRegister
from venclient.connectors.registers import TYPES, Register

SECTIONS: list[tuple[str, Any, Any]] = [
    ("Options of the connection", ModbusOptions, None),
    ("Options of a register", Register, None),
    ("Options of a computed quantity", Computed, None),
    ("Writing", WritableRegister, Register),
    ("Writing", ModbusWriterOptions, ModbusOptions),
]


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    """Return the page."""
    return (root / "docs/connectors/modbus.md").read_text(encoding="utf-8")


def names(form: Any) -> dict[str, msgspec.structs.FieldInfo]:
    """Return the options of a form."""
    return {} if form is None else {field.encode_name: field for field in msgspec.structs.fields(form)}


@pytest.mark.parametrize(("section", "form", "without"), SECTIONS)
def test_every_option_is_documented(page: str, section: str, form: Any, without: Any) -> None:
    """Each option has a row in the table of its section, and each row is an option."""
    text = page.partition(f"## {section}\n")[2].partition("\n## ")[0]
    table = text.partition("| option |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", table, re.MULTILINE))
    wanted = {name: field for name, field in names(form).items() if name not in names(without)}
    if form is ModbusWriterOptions:
        # Its registers are the table of the section, and all else is said by name there.
        assert all(f"`{name}`" in text for name in names(form))
        return
    assert rows.keys() == wanted.keys()
    for name, field in wanted.items():
        said = rows[name].strip("`")
        assert (said == "required") == field.required, name
        if isinstance(field.default, bool):
            assert said == str(field.default).lower(), name
        elif isinstance(field.default, int | float):
            assert float(said) == field.default, name


def test_every_type_is_documented(page: str) -> None:
    """The table of types has each of them."""
    text = page.partition("| type | registers |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", text.replace("`nan: true`", ""))) >= TYPES.keys()


def test_the_examples_are_right(page: str, tmp_path: Path) -> None:
    """Each example can be used as it stands."""
    examples = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        reader = open_modbus_reader(
            make_resource(host="192.0.2.1", options=json.loads(example)), make_site(tmp_path)
        )
        assert reader.plan
