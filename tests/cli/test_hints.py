"""Commands in hints: complete as they are shown, and of use where they are shown."""

from __future__ import annotations

import re
import shlex
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from venclient.cli import main
from venclient.cli.hints import completed
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase

Ven = Callable[..., tuple[int, str]]

SETTINGS = '[ven]\nname = "v"\n[vtn]\nurl = "http://127.0.0.1:9"\nallow_http = true\n'


@pytest.fixture
def ven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ven:
    """Return `ven` in an empty folder: its exit status, and all that it prints."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ven", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return ended.value.code if isinstance(ended.value.code, int) else 0, shown.out + shown.err

    return call


def commands(text: str) -> list[list[str]]:
    """Return the words of each command in a text that has no value to be filled in."""
    found = [shlex.split(one)[1:] for one in re.findall(r"`(ven [^`|>]*)`", text)]
    return [words for words in found if not any(word.isupper() or "..." in word for word in words)]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("run `ven db check` now", "run `ven db check --db 'a b.db'` now"),
        ("`ven db check --db x.db`", "`ven db check --db x.db`"),
        ("`ven status` or `ven doctor`", "`ven status --config v.toml` or `ven doctor --config v.toml`"),
        ("`ven connections scan HOST`", "`ven connections scan HOST`"),
        ("`resources.db`, ven.toml", "`resources.db`, ven.toml"),
    ],
)
def test_a_command_gets_the_options_that_it_takes(text: str, whole: str) -> None:
    """Options that it names or does not have are left alone."""
    assert completed(text, {"--db": "a b.db", "--config": "v.toml"}) == whole


def test_an_option_with_its_default_is_left_out() -> None:
    """What a command takes by itself needs no option."""
    options = {"--db": "config/resources.db", "--config": "ven.toml"}
    assert completed("`ven db check`, `ven run`", options) == "`ven db check`, `ven run`"


def resource(**connection: object) -> Resource:
    """Return a resource with the given connection."""
    made = Connection(ConnectionType.FILEREADER, ActorType.READER, **connection)  # type: ignore[arg-type]
    return Resource("r1", "Hotel", "DSR", None, "m", made, {"P_max_kw": 5.0}, {}, enabled=True)


def store(name: str = "site.db") -> None:
    """Write a registry with a meter file that is not there."""
    with ResourceDatabase(name) as registry:
        registry.upsert_resource(resource(file="meter.csv"))


def no_settings() -> None:
    """Leave the folder empty."""


def wrong_settings() -> None:
    Path("ven.toml").write_text('[ven]\nnam = "v"\n[vtn]\nurl = "http://127.0.0.1:9"\nallow_http = true\n')


def no_registry() -> None:
    Path("ven.toml").write_text(SETTINGS + '[registry]\ndatabase = "site.db"\n')


def damaged_row() -> None:
    no_registry()
    store()
    with sqlite3.connect("site.db") as db:
        db.execute("UPDATE resources SET capacities = '{'")


def nothing_enabled() -> None:
    no_registry()
    with ResourceDatabase("site.db") as registry:
        registry.upsert_resource(resource(file="meter.csv"))
        registry.set_enabled("r1", False)


def no_meter_file() -> None:
    no_registry()
    store()


STATES = [no_settings, wrong_settings, no_registry, damaged_row, nothing_enabled, no_meter_file]
#: Commands that start something that does not end.
ENDLESS = (["run"],)


@pytest.mark.peer
@pytest.mark.parametrize("state", STATES)
def test_commands_of_hints_run_where_they_are_shown(ven: Ven, state: Callable[[], None]) -> None:
    """Each command that the doctor names finds the settings and the registry, and does not end like it."""
    state()
    _, said = ven("doctor", "--timeout", "2")
    found = [words for words in commands(said) if words[:1] not in ENDLESS and words[0] != "doctor"]
    assert found or state in (no_settings, no_registry, no_meter_file)
    for words in found:
        status, output = ven(*words)
        assert status != 2, (words, output)  # no such option, file or registry
