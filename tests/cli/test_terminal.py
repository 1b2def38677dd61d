"""The command line on narrow terminals, and on those that cannot show every letter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from venclient.cli import app
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase

#: Groups whose commands have longer first sentences.
LONG = {"db", "config"}


def _groups(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    commands = getattr(command, "commands", {})
    if commands:
        yield words
    for name, child in commands.items():
        yield from _groups(child, (*words, name))


@pytest.mark.parametrize("words", list(_groups(typer.main.get_command(app))))
def test_help_fits_80_columns_without_being_cut(words: tuple[str, ...]) -> None:
    """The list of commands of each group shows whole sentences."""
    runner = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    lines = runner.invoke(app, [*words, "--help"]).output.splitlines()
    assert max(map(len, lines)) <= 80
    if not LONG & set(words):
        assert not [line for line in lines if line.endswith("...") and not line.startswith("Usage")]


@pytest.mark.peer
@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "utf-8"])
def test_a_terminal_without_a_letter_gets_an_escape(tmp_path: Path, encoding: str) -> None:
    """Names with letters that the terminal's encoding lacks are listed, without a traceback."""
    with ResourceDatabase(str(tmp_path / "r.db")) as registry:
        link = Connection(ConnectionType.MQTT, ActorType.READER, host="h", port=1, topic="t")
        registry.upsert_resource(Resource("a", "Ærø Łódź 町", "DSR", None, "1", link, {}, {}))
    done = subprocess.run(
        [sys.executable, "-m", "venclient", "--registry", str(tmp_path / "r.db"), "resources", "list"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    name = "Ærø Łódź 町".encode(encoding, "backslashreplace")
    assert name in done.stdout


@pytest.mark.peer
def test_a_library_dumps_nothing_on_the_terminal() -> None:
    """What pymodbus logs when a client disconnects from the demo's site is not shown."""
    program = (
        "import atexit, logging, sys, venclient.cli as cli;"
        "atexit.register(lambda: logging.getLogger('pymodbus.logging').error('>>>>> send: 0x0'));"
        "sys.argv = ['ven', '--version']; cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
