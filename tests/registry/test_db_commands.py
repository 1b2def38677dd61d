"""`ven db`: what is printed, and the exit status."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.registry.objects import make_old_file, make_resource
from venclient.cli import app
from venclient.errors import Conflict
from venclient.registry.database import ResourceDatabase

runner = CliRunner()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a database with one resource."""
    monkeypatch.delenv("VEN_REGISTRY_KEY_FILE", raising=False)
    path = tmp_path / "resources.db"
    with ResourceDatabase(path) as db:
        db.upsert_resource(make_resource())
    return path


def ven(*words: object) -> Result:
    """Run `ven db ...`."""
    return runner.invoke(app, ["db", *map(str, words)])


def test_backup_and_restore(path: Path, tmp_path: Path) -> None:
    """A backup tells its place, its rows and where the key is; restoring tells what was kept."""
    (tmp_path / "stick").mkdir()
    made = ven("backup", tmp_path / "stick", "--db", path, "--keep", 2)
    assert made.exit_code == 0, made.output
    assert "1 resources, 1 connections; checked" in made.output
    assert f"the key {path}.key is not in it" in made.output.replace("\n", "")
    (backup,) = (tmp_path / "stick").iterdir()
    with ResourceDatabase(path) as db:
        db.clear_all_resources()

    done = ven("restore", backup, "--db", path)

    assert done.exit_code == 0, done.output
    assert "1 resources, 1 connections from" in done.output
    assert "what was there before is in" in done.output
    with ResourceDatabase(path) as db:
        assert db.get_all_resources()[0].connection.password == "hunter2"


def test_restore_refuses_an_open_database(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal is an error of ours, which `ven` prints in a line."""
    monkeypatch.setattr("venclient.registry.copies.BUSY_TIMEOUT_MS", 50)
    assert ven("backup", tmp_path / "copy.db", "--db", path).exit_code == 0
    with ResourceDatabase(path):
        result = ven("restore", tmp_path / "copy.db", "--db", path)

    assert result.exit_code == 1
    assert isinstance(result.exception, Conflict)


def test_seal_after_an_old_program(tmp_path: Path) -> None:
    """`ven db check` names a login in the clear; `ven db seal` seals it; then all is well."""
    path = tmp_path / "old.db"
    make_old_file(path)
    with closing(sqlite3.connect(path)) as old:
        old.execute("UPDATE connections SET username = 'site', password = 'geheim-4711' WHERE id = 1")
        old.commit()
    assert ven("migrate", "--db", path).exit_code == 0

    found = ven("check", "--db", path)
    assert found.exit_code == 1
    assert "connections row 1 (modbustcp 192.0.2.1): username or password is stored" in found.output
    sealed = ven("seal", "--db", path)
    assert sealed.exit_code == 0, sealed.output
    assert "2 usernames and passwords sealed" in sealed.output
    assert "still hold them in the clear" in sealed.output

    assert "unencrypted" not in ven("check", "--db", path).output
    assert b"geheim-4711" not in path.read_bytes()
    assert "geheim-4711" not in found.output + sealed.output


def test_check_tells_who_else_may_read_a_file(path: Path) -> None:
    """A file that was made before, or copied, keeps its mode; that is told, and is no problem."""
    assert "note:" not in ven("check", "--db", path).stdout
    path.chmod(0o644)

    result = ven("check", "--db", path)

    assert result.exit_code == 0
    assert "note: other users can read or write the file (mode 0644)" in result.stdout
    assert f"`chmod 600 {path}`" in result.stdout
    assert result.stdout.endswith("all is well\n")
    assert json.loads(ven("check", "--db", path, "--json").stdout)["notes"]


def test_check_and_seal_on_either_kind(db: ResourceDatabase, database: str) -> None:
    """What there is and how much was recorded is told; sealing what is sealed says nothing of copies."""
    db.upsert_resource(make_resource())
    db.update_resource("r-1", ven="Ikast")
    db.close()

    checked = ven("check", "--db", database)
    sealed = ven("seal", "--db", database)

    assert "1 resources, 1 connections (0 not used by any resource), 2 recorded changes" in checked.stdout
    assert "all is well" in checked.stdout
    assert sealed.stdout.endswith(": 0 usernames and passwords sealed\n")


def test_new_key_for_either_kind(
    db: ResourceDatabase, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost key is replaced when asked for, wherever the logins are."""
    db.upsert_resource(make_resource())
    db.close()
    key = tmp_path / "resources.db.key"
    key.unlink()
    from venclient import secrets

    secrets._ciphers.clear()

    made = ven("seal", "--new-key", "--db", database)

    assert made.exit_code == 0, made.output
    assert key.exists()
    assert "store the login again" in ven("check", "--db", database).output


def test_check_tells_sizes(path: Path) -> None:
    """The check gives sizes of file, unused pages and log, also as JSON."""
    result = ven("check", "--db", path, "--json")

    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["bytes"] == path.stat().st_size
    assert {"unused_bytes", "log_bytes", "damage", "readable"} <= told.keys()


def test_rescue_of_a_damaged_file(path: Path, tmp_path: Path) -> None:
    """What can be read is saved into a new file, with its number of rows told."""
    with ResourceDatabase(path) as db:
        db.bulk_upsert(make_resource(f"s-{n:03}", address="x" * 900) for n in range(200))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)

    checked = ven("check", "--db", path)
    saved = ven("rescue", tmp_path / "saved.db", "--db", path)

    assert checked.exit_code == 1
    assert "can still be read: `ven db rescue` saves those" in checked.output
    assert saved.exit_code == 0, saved.output
    with ResourceDatabase(tmp_path / "saved.db") as db:
        assert db.count() > 100


def test_restoring_what_is_not_there_says_what_to_name(path: Path, tmp_path: Path) -> None:
    """The missing file is the backup, not the database."""
    result = ven("restore", tmp_path / "missing.db", "--db", path)

    assert str(result.exception).endswith("no such file; name a backup, as `ven db backup` makes them")


def test_many_problems_are_shown_in_part(path: Path) -> None:
    """A check of a large broken file does not fill the screen; --json has every problem."""
    with ResourceDatabase(path) as db:
        db.bulk_upsert(make_resource(f"many-{number}") for number in range(30))
    with closing(sqlite3.connect(path)) as other:
        other.execute("DELETE FROM connections")
        other.commit()

    lines = ven("check", "--db", path).stdout.splitlines()

    assert sum(line.startswith("problem: ") for line in lines) == 20
    assert lines[-1].endswith(" more problems; --json tells them all")
    assert len(json.loads(ven("check", "--db", path, "--json").stdout)["problems"]) > 30


def test_problems_of_all_tables_are_listed_at_once(path: Path) -> None:
    """A missing connection does not hide a row that makes no sense in another table."""
    with ResourceDatabase(path) as db:
        db.bulk_upsert(make_resource(f"more-{number}") for number in range(2))
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE resources SET connection_id = 99 WHERE resource_id = 'more-0'")
        other.execute("UPDATE resources SET capacities = 'none' WHERE resource_id = 'more-1'")
        other.execute("UPDATE connections SET type = 'PIGEON' WHERE id = 1")
        other.commit()

    problems = json.loads(ven("check", "--db", path, "--json").stdout)["problems"]

    listed = " / ".join(problems)
    assert "refers to a row of connections" in listed
    assert "capacities" in listed
    assert "connections row 1" in listed
    assert len({problem.split(" (")[0] for problem in problems}) == len(problems)
