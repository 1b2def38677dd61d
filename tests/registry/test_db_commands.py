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
from venclient.errors import Conflict, InvalidRecord, NotFound
from venclient.messages import cli_db as cld
from venclient.registry.database import ResourceDatabase

runner = CliRunner()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a database with one resource."""
    monkeypatch.delenv("VEN_REGISTRY_KEY_FILE", raising=False)
    path = tmp_path / "resources.db"
    with ResourceDatabase(path) as db:
        db.upsert_resource(make_resource())
    return path


def ven(*words: object) -> Result:
    """Run `ven db ...`."""
    return runner.invoke(app, ["db", *map(str, words)])


def test_backup_and_restore(path: Path, tmp_path: Path) -> None:
    """A backup prints its path, its rows and where the key is; restoring prints what was kept."""
    (tmp_path / "stick").mkdir()
    made = ven("backup", tmp_path / "stick", "--db", path, "--keep", 2)
    assert made.exit_code == 0, made.output
    assert "1 resource, 1 connection; checked" in made.output
    assert f"{path}.key" in made.output.replace("\n", "")
    assert "VEN-CLD-024" in made.output
    (backup,) = (tmp_path / "stick").iterdir()
    with ResourceDatabase(path) as db:
        db.clear_all_resources()

    done = ven("restore", backup, "--db", path)

    assert done.exit_code == 0, done.output
    assert "1 resource, 1 connection restored from" in done.output
    (kept,) = tmp_path.glob("resources.db.replaced-*")
    assert str(kept) in done.output
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
    assert "VEN-CLD-043" in sealed.output

    assert "unencrypted" not in ven("check", "--db", path).output
    assert b"geheim-4711" not in path.read_bytes()
    assert "geheim-4711" not in found.output + sealed.output


def test_check_tells_who_else_may_read_a_file(path: Path) -> None:
    """A file that was made before, or copied, keeps its mode; that is a note, not a problem."""
    assert "note:" not in ven("check", "--db", path).stdout
    path.chmod(0o644)

    result = ven("check", "--db", path)

    assert result.exit_code == 0
    assert "note: other users can read or write the file (mode 0644)" in result.stdout
    assert f"`chmod 600 {path}`" in result.stdout
    assert result.stdout.endswith(f"{cld.NO_PROBLEMS()}\n")
    assert json.loads(ven("check", "--db", path, "--json").stdout)["notes"]


def test_check_and_seal_on_either_kind(db: ResourceDatabase, database: str) -> None:
    """The contents and the number of recorded changes are shown; sealing again does not mention copies."""
    db.upsert_resource(make_resource())
    db.update_resource("r-1", ven="Ikast")
    db.close()

    checked = ven("check", "--db", database)
    sealed = ven("seal", "--db", database)

    assert cld.ROWS(resources=1, connections=1, unused=0, changes=2) in checked.stdout
    assert cld.NO_PROBLEMS() in checked.stdout
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
    report = json.loads(result.stdout)
    assert report["bytes"] == path.stat().st_size
    assert {"unused_bytes", "log_bytes", "damage", "readable"} <= report.keys()


def test_rescue_of_a_damaged_file(path: Path, tmp_path: Path) -> None:
    """What can be read is saved into a new file, and its number of rows is reported."""
    with ResourceDatabase(path) as db:
        db.bulk_upsert(make_resource(f"s-{n:03}", address="x" * 900) for n in range(200))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)

    checked = ven("check", "--db", path)
    saved = ven("rescue", tmp_path / "saved.db", "--db", path)

    assert checked.exit_code == 1
    assert "VEN-DBF-085" in checked.output
    assert saved.exit_code == 0, saved.output
    with ResourceDatabase(tmp_path / "saved.db") as db:
        assert db.count() > 100


def test_rescue_of_a_file_that_lost_its_end(path: Path, tmp_path: Path) -> None:
    """A file that was cut, which SQLite refuses as a whole, gives the rows before the cut."""
    with ResourceDatabase(path) as db:
        db.bulk_upsert(make_resource(f"s-{n:03}", address="x" * 900) for n in range(200))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])

    checked = ven("check", "--db", path)
    saved = ven("rescue", tmp_path / "saved.db", "--db", path)

    assert checked.exit_code == 1
    assert "VEN-DBF-085" in checked.output
    assert r"\n" not in checked.output
    assert saved.exit_code == 0, saved.output
    assert path.read_bytes() == content[: len(content) * 3 // 4]
    with ResourceDatabase(tmp_path / "saved.db") as db:
        assert 50 < db.count() < 203


def test_restoring_what_is_not_there_says_what_to_name(path: Path, tmp_path: Path) -> None:
    """The missing file is the backup, not the database."""
    result = ven("restore", tmp_path / "missing.db", "--db", path)

    assert isinstance(result.exception, NotFound)
    assert (result.exception.code, result.exception.subject) == ("VEN-DBF-081", str(tmp_path / "missing.db"))


def test_many_problems_are_shown_in_part(path: Path) -> None:
    """A check of a large broken file does not fill the screen; --json has every problem."""
    with ResourceDatabase(path) as db:
        db.bulk_upsert(make_resource(f"many-{number}") for number in range(30))
    with closing(sqlite3.connect(path)) as other:
        other.execute("DELETE FROM connections")
        other.commit()

    lines = ven("check", "--db", path).stdout.splitlines()

    assert sum(line.startswith("problem: ") for line in lines) == 20
    assert lines[-1] == cld.MORE_PROBLEMS(count=11)
    assert len(json.loads(ven("check", "--db", path, "--json").stdout)["problems"]) > 30


#: Damage to rows of every table, as another program could do it, and where `ven db check` says that it is.
DAMAGE = {
    "UPDATE resources SET capacities = '[1]', created_at = 'x' WHERE resource_id = 'r-1'": (
        "resources row 1, capacities",
        "resources row 1, created_at",
    ),
    "UPDATE resources SET resource_type = 'HEAT', enabled = 'maybe' WHERE resource_id = 'r-2'": (
        "resources row 2, resource_type",
        "resources row 2, enabled",
    ),
    "UPDATE resources SET connection_id = 77 WHERE resource_id = 'r-3'": ("resources row 3 refers",),
    "UPDATE connections SET type = 'PIGEON', port = 'http' WHERE id = 1": (
        "connections row 1, type",
        "connections row 1, port",
    ),
    "UPDATE connections SET options = '{' WHERE id = 2": ("connections row 2, options",),
    "INSERT INTO changes (at, actor, action, kind, subject, before) VALUES"
    " ('noon', 'me', 'say', 'rumour', 'r-1', '{\"x')": (
        "changes row 5, at",
        "changes row 5, action",
        "changes row 5, kind",
        "changes row 5, before",
    ),
    "INSERT INTO changes (at, actor, action, kind, subject, after) VALUES"
    " ('2026-01-01T00:00:00Z', 'me', 'update', 'resource', 'r-1', '5')": ("changes row 6, after",),
    "INSERT INTO import_sources (name, resource_ids, updated_at, imported_values) VALUES"
    " ('sites.csv', '{}', 'noon', '[')": (
        "import_sources row sites.csv, resource_ids",
        "import_sources row sites.csv, updated_at",
        "import_sources row sites.csv, imported_values",
    ),
    "INSERT INTO reporting_status (resource_id, state, last_report_at, updated_at) VALUES"
    " ('r-1', 'lost', 'x', x'00')": (
        "reporting_status row r-1, state",
        "reporting_status row r-1, last_report_at",
        "reporting_status row r-1, updated_at",
    ),
    "INSERT INTO reporting_status (resource_id, state, updated_at) VALUES"
    " ('gone', 'reported', '2026-01-01T00:00:00Z')": ("reporting_status row gone refers",),
}


@pytest.fixture
def damaged(path: Path) -> Path:
    """Return a database of four resources with several damaged rows in every table."""
    with ResourceDatabase(path) as db:
        db.bulk_upsert(make_resource(f"r-{number}") for number in (1, 2, 3))
        db.upsert_resource(make_resource("good"))
    with closing(sqlite3.connect(path)) as other:
        for sql in DAMAGE:
            other.execute(sql)
        other.commit()
    return path


def test_every_cell_of_every_table_is_checked(damaged: Path) -> None:
    """One run lists each damaged cell of each table once, with a code, and the exit status is 1."""
    result = ven("check", "--db", damaged, "--json")

    problems = json.loads(result.stdout)["problems"]
    wanted = [place for places in DAMAGE.values() for place in places]
    assert result.exit_code == 1
    assert sorted(place for place in wanted if not any(one.startswith(place) for one in problems)) == []
    assert len(problems) == len(wanted), problems


def test_copy_lists_every_cell_that_it_cannot_copy(damaged: Path, tmp_path: Path) -> None:
    """`ven db copy` prints a line with place and code for each, and leaves no rows in the target."""
    result = ven("copy", damaged, tmp_path / "copy.db")

    lines = [line for line in result.stderr.splitlines() if line.startswith("problem: ")]
    assert result.exit_code == 1
    assert isinstance(result.exception, InvalidRecord)
    assert result.exception.code == "VEN-CLD-054"
    places = {line.removeprefix("problem: ").partition(":")[0] for line in lines}
    assert places == {
        "connections row 1, port",
        "resources row 1, created_at",
        "resources row 2, enabled",
        "resources row 3, connection_id",
        "reporting_status row r-1, updated_at",
        "reporting_status row gone, resource_id",
    }
    assert all("[VEN-DBF-" in line for line in lines)
    with ResourceDatabase(tmp_path / "copy.db") as db:
        assert db.count() == 0


def test_damaged_rows_of_other_tables_stop_no_command(damaged: Path, tmp_path: Path) -> None:
    """History, status and import of a registry with such rows go on; what can be read is shown."""
    with ResourceDatabase(damaged) as db:
        history = db.history("r-1")
        assert history[-1].after is not None
        assert "unreadable" in history[-1].after
        status = db.reporting_status("r-1")
        assert status is not None
        assert (status.last_report_at, status.updated_at) == (None, None)
    sites = tmp_path / "sites.csv"
    sites.write_text("title,lat,lon\nA,56.1,9.1\n")
    done = runner.invoke(app, ["import", str(sites), "--source", "sites.csv", "--db", str(damaged)])
    assert done.exit_code == 0, done.output


def test_problems_of_one_table_do_not_hide_those_of_another(damaged: Path) -> None:
    """Many damaged connections leave room on the screen for the problems of the other tables."""
    with ResourceDatabase(damaged) as db:
        db.bulk_upsert(make_resource(f"many-{number}") for number in range(30))
    with closing(sqlite3.connect(damaged)) as other:
        other.execute("UPDATE connections SET port = 'http' WHERE id > 5")
        other.commit()

    out = ven("check", "--db", damaged).stdout

    assert out.count("problem: connections row") == 20
    for table in ("resources", "changes", "import_sources", "reporting_status"):
        assert f"problem: {table} row" in out


def test_rows_of_an_older_file_are_checked_in_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the first generation stays as it is, and its damaged rows are listed all the same."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    path = tmp_path / "old.db"
    make_old_file(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE resources SET capacities = '{', enabled = 'maybe' WHERE id = 1")
        other.execute("UPDATE connections SET port = 'http' WHERE id = 2")
        other.commit()
    before = path.read_bytes()

    result = ven("check", "--db", path, "--json")

    places = {problem.partition(":")[0] for problem in json.loads(result.stdout)["problems"]}
    assert result.exit_code == 1
    assert places == {
        "resources row 1, capacities",
        "resources row 1, enabled",
        "connections row 2, port",
    }
    assert path.read_bytes() == before
    assert list(temporary.iterdir()) == []


def test_missing_value_is_a_problem_among_others_and_not_damage(path: Path) -> None:
    """A NULL that its column does not allow, as after an edit of the schema, hides no other problem."""
    wrong, right = "resource_name TEXT", "resource_name TEXT NOT NULL"
    for old, new in ((right, wrong), (wrong, right)):
        with closing(sqlite3.connect(path)) as other:
            other.execute("UPDATE connections SET port = 'http'")
            if old == wrong:
                other.execute("UPDATE resources SET resource_name = NULL")
            other.execute("PRAGMA writable_schema = ON")
            changed = other.execute(
                "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = 'resources'", (old, new)
            )
            assert changed.rowcount == 1
            other.commit()

    found = json.loads(ven("check", "--db", path, "--json").stdout)

    assert found["damage"] == []
    assert any(one.startswith("resources row 1, resource_name") for one in found["problems"])
    assert any(one.startswith("connections row 1, port") for one in found["problems"])


def test_database_without_a_lesser_table_is_checked_all_the_same(path: Path) -> None:
    """A missing table is a problem among others."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE import_sources")
        other.execute("UPDATE connections SET port = 'http'")
        other.commit()

    problems = json.loads(ven("check", "--db", path, "--json").stdout)["problems"]

    assert any("import_sources" in one for one in problems)
    assert any(one.startswith("connections row 1, port") for one in problems)


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
