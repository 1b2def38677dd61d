"""The pages of connectors show every option there is, and none that is not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from venclient.connectors.file_options import FileOptions, FileTime, FileValue
from venclient.connectors.mqtt_beacon import Birth, KeepAlive
from venclient.connectors.mqtt_options import MqttOptions
from venclient.connectors.options import check_options
from venclient.connectors.payload import TimeOptions, ValueOptions

FORMS: dict[str, tuple[type[msgspec.Struct], dict[str, type[msgspec.Struct]]]] = {
    "mqtt": (
        MqttOptions,
        {"values[]": ValueOptions, "time": TimeOptions, "keep_alive": KeepAlive, "birth": Birth},
    ),
    "file": (FileOptions, {"values[]": FileValue, "time": FileTime}),
}


def fields(form: type[msgspec.Struct]) -> set[str]:
    """Return the names of a form's options."""
    return {field.encode_name for field in msgspec.structs.fields(form)}


def shown(page: str) -> set[str]:
    """Return the options in the first column of a page's table of options.

    A name without a prefix, behind one that has it in the same cell, has the same.
    """
    table = page[page.index("| option | meaning |") :].partition("\n\n")[0]
    found = set()
    for line in table.splitlines()[2:]:
        prefix = ""
        for name in re.findall(r"`([^`]+)`", line.split("|")[1]):
            if "." in name:
                prefix = name.rpartition(".")[0] + "."
            found.add(name if "." in name else prefix + name)
    return found


@pytest.mark.parametrize("name", sorted(FORMS))
def test_the_page_shows_every_option(root: Path, name: str) -> None:
    """The table of options has exactly the options that a connection may have."""
    form, nested = FORMS[name]
    plain = fields(form) - {part.removesuffix("[]") for part in nested}
    expected = plain | {f"{part}.{field}" for part, inner in nested.items() for field in fields(inner)}

    assert shown((root / "docs/connectors" / f"{name}.md").read_text(encoding="utf-8")) == expected


@pytest.mark.parametrize("name", sorted(FORMS))
def test_examples_of_the_page_are_right(root: Path, name: str) -> None:
    """Each JSON example is a set of options that a connection takes as it is."""
    page = (root / "docs/connectors" / f"{name}.md").read_text(encoding="utf-8")
    examples = re.findall(r"```json\n(.*?)```", page, re.DOTALL)

    assert len(examples) >= 2
    for example in examples:
        assert check_options(json.loads(example), FORMS[name][0])[1] == []
