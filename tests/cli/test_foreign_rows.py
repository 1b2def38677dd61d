"""Commands on a registry whose rows another program filled with escapes and line ends: none is printed."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import unicodedata
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.registry.objects import make_connection, make_resource
from venclient.cli import app
from venclient.registry.database import ResourceDatabase

HOSTILE = "a\x1b[31m\x1b]0;x\x07\r\nERROR forged\u2028b\x85c\u202egnp\u200b\x9b2J[red]=x"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a registry with a good row and hostile ones."""
    path = tmp_path / "resources.db"
    with ResourceDatabase(str(path)) as registry:
        for id_ in ("r1", "r2", "r3"):
            one = make_connection(topic=f"site/{id_}")
            resource = make_resource(id_, resourceName=f"Hotel {id_}", connection=one)
            registry.insert_resource(resource, registry.insert_connection(one))
    with closing(sqlite3.connect(path)) as driver:
        driver.execute(
            "UPDATE resources SET resource_name = ?1, address = ?1, resource_sub_type = ?1, ven = ?1"
            " WHERE resource_id = 'r2'",
            (HOSTILE,),
        )
        driver.execute("UPDATE resources SET resource_id = ?1, capacities = ?1 WHERE id = 3", (HOSTILE,))
        driver.execute("UPDATE connections SET host = ?1, topic = ?1, username = ?1 WHERE id = 2", (HOSTILE,))
        driver.commit()
    return path


def harmless(text: str) -> bool:
    """Return whether a text has nothing that a terminal obeys, but for line ends."""
    unsafe = {"Cc", "Cf", "Zl", "Zp"}
    return not any(unicodedata.category(one) in unsafe for one in text.replace("\n", ""))


COMMANDS = [
    ["resources", "list"],
    ["resources", "show", "r2"],
    ["resources", "history", "r2"],
    ["resources", "stats"],
    ["db", "check"],
    ["resources", "list", "--json"],
    ["resources", "list", "--geojson"],
    ["resources", "list", "--csv"],
    ["read", "r2"],
    ["connections", "test", "r2"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_prints_escapes_or_forged_lines(file: Path, command: list[str]) -> None:
    """Whatever a row holds, the output has printable characters and no forged line."""
    done = CliRunner().invoke(app, [*command, "--db", str(file)])
    shown = done.output + (str(done.exception) if done.exception else "")
    assert "No such command" not in shown
    assert harmless(shown), repr(shown)
    assert not any(line.startswith("ERROR forged") for line in shown.splitlines())


def test_machine_readable_output_is_exact(file: Path) -> None:
    """JSON and CSV hold the very text of the row."""
    listed = CliRunner().invoke(app, ["resources", "list", "--json", "--db", str(file)]).stdout
    assert HOSTILE in {one["resourceName"] for one in json.loads(listed)}
    written = CliRunner().invoke(app, ["resources", "list", "--csv", "--db", str(file)]).stdout
    names = [row["name"] for row in csv.DictReader(io.StringIO(written))]
    assert HOSTILE in {json.loads(name) if name.startswith('"') else name for name in names}
