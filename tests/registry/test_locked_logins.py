"""A database that was copied without its key: every use of a login says so, and no change loses it."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.registry.objects import make_connection, make_resource
from tests.registry.test_sealing import lose_key, stored_logins
from venclient import secrets
from venclient.cli import app
from venclient.errors import InvalidRecord
from venclient.messages import code_of
from venclient.model.resource import Connection, Resource
from venclient.registry import sealing
from venclient.registry.database import ResourceDatabase
from venclient.registry.export import csv_text, geojson_text, json_text


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return where the key is kept while it is lost."""
    return tmp_path / "kept.key"


@pytest.fixture
def locked(database: str, tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a database with a meter and a controlled one, whose key is lost."""
    key = tmp_path / "resources.db.key"
    monkeypatch.setenv("VEN_REGISTRY_KEY_FILE", str(key))
    monkeypatch.setattr(sealing, "_warned", set())
    control = make_connection(actortype="writer", password="to-control")
    with ResourceDatabase(database) as db:
        db.upsert_resource(make_resource())
        db.upsert_resource(make_resource("r-2", control_connection=control))
    kept.write_bytes(key.read_bytes())
    kept.chmod(0o600)
    lose_key(key)
    return database


def resource_of(database: str, name: str = "r-1") -> Resource:
    """Return a resource as it reads now."""
    with ResourceDatabase(database) as db:
        found = db.get_resource(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "use",
    [
        lambda one: json.dumps(asdict(one)),
        lambda one: json.dumps(vars(one.connection)),
        lambda one: str(asdict(copy.deepcopy(one))),
        lambda one: json.dumps(asdict(pickle.loads(pickle.dumps(one)))),
        lambda one: one.connection.username + ":" + one.connection.password,
        lambda one: " ".join(str(value) for value in vars(one.connection).values()),
    ],
)
def test_python_gets_a_text_that_says_so(locked: str, use: Callable[[Resource], str]) -> None:
    """However a program takes a resource apart, it finds no sealed text, and reads what is wrong."""
    got = use(resource_of(locked))

    assert "sealed:" not in got
    assert "which is missing" in got


@pytest.mark.parametrize("write", [csv_text, json_text, geojson_text])
def test_exports_hold_no_sealed_text(locked: str, write: Callable[[list[Resource]], Any]) -> None:
    """An export has three stars for a login, whether it can be opened or not."""
    got = "".join(write([resource_of(locked), resource_of(locked, "r-2")]))

    assert "sealed" not in got


@pytest.mark.parametrize(
    "words",
    [["list"], ["list", "--json"], ["list", "--csv"], ["show", "r-2"], ["show", "r-2", "--json"]]
    + [["export", "-", "--format", one] for one in ("csv", "json", "geojson")],
)
def test_commands_show_no_sealed_text_and_say_so(
    locked: str, words: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """`ven resources` works without the key, warns of it once, and shows no sealed text."""
    result = CliRunner().invoke(app, ["resources", *words, "--db", locked])

    assert result.exit_code == 0, (result.output, result.exception)
    assert "sealed:" not in result.output
    assert "VEN-REG-212" in [code_of(one.msg) for one in caplog.records]
    if words[0] == "show":
        assert "VEN-REG-209" in result.stderr


def test_reading_the_device_names_the_missing_key(locked: str) -> None:
    """`ven read` asks no device with a wrong password: it says which key is missing."""
    result = CliRunner().invoke(app, ["read", "r-1", "--db", locked])

    assert result.exit_code != 0
    assert "VEN-SEC-006" in str(result.exception)


def _renamed(database: str) -> Resource:
    resource = resource_of(database)
    resource.resourceName = "Hotel Svanen"
    return resource


CHANGES: dict[str, Callable[[ResourceDatabase, str], Any]] = {
    "update with the object": lambda db, path: db.update_resource(_renamed(path)),
    "update of a field": lambda db, path: db.update_resource("r-1", resourceName="Hotel Svanen"),
    "update of the connection": lambda db, path: db.update_resource("r-1", {"connection.host": "other"}),
    "upsert": lambda db, path: db.upsert_resource(_renamed(path)),
    "bulk upsert": lambda db, path: db.bulk_upsert([_renamed(path), resource_of(path, "r-2")]),
    "update_connection": lambda db, path: db.update_connection(1, port=1884),
    "set_enabled": lambda db, path: db.set_enabled("r-1", False),
    "set_where": lambda db, path: db.set_where(["r-1", "r-2"], {"connection.host": "other"}),
    "copied object": lambda db, path: db.update_resource(copy.deepcopy(_renamed(path))),
    "pickled object": lambda db, path: db.update_resource(pickle.loads(pickle.dumps(_renamed(path)))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_change_loses_a_sealed_login(locked: str, change: str) -> None:
    """Whatever else is changed, the sealed logins in the database stay as they are."""
    before = stored_logins(locked)

    with ResourceDatabase(locked) as db:
        CHANGES[change](db, locked)

    assert stored_logins(locked) == before
    assert len(before) == 3


def test_import_of_an_export_keeps_sealed_logins(locked: str, tmp_path: Path) -> None:
    """A CSV export that comes back while the key is missing changes no login."""
    before, file = stored_logins(locked), tmp_path / "sites.csv"
    with ResourceDatabase(locked) as db:
        file.write_text("".join(csv_text(db.query())).replace("Hotel Ørnen", "Hotel Svanen"))

    CliRunner().invoke(app, ["import", str(file), "--db", locked])

    assert stored_logins(locked) == before


@pytest.mark.parametrize("count", [1, 5])
def test_the_notice_is_not_stored_as_a_password(locked: str, count: int) -> None:
    """What a program wrote out while the key was missing is refused when it is to be stored as a login."""
    before = stored_logins(locked)
    written = json.loads(json.dumps(asdict(resource_of(locked).connection)))
    read_again = Connection(**written)
    new = [make_resource(f"new-{n}", connection=replace(read_again, id=None)) for n in range(count)]
    changed = replace(resource_of(locked), connection=read_again)

    with ResourceDatabase(locked) as db:
        for store in (
            lambda: db.update_resource(changed),
            lambda: db.upsert_resource(changed),
            lambda: db.bulk_insert_resources(new),
            lambda: db.bulk_upsert(new),
            lambda: db.insert_connection(read_again),
            lambda: db.update_connection(1, password=written["password"]),
        ):
            with pytest.raises(InvalidRecord) as caught:
                store()
            assert {code_of(one) for one in caught.value.problems} == {"VEN-REG-218"}

    assert stored_logins(locked) == before


def test_stored_resource_goes_into_another_database(locked: str, tmp_path: Path) -> None:
    """A resource that is read while its key is missing keeps its sealed login in another registry."""
    other = str(tmp_path / "other.db")
    with ResourceDatabase(other) as db:
        db.bulk_insert_resources([resource_of(locked)])

    assert stored_logins(other) == stored_logins(locked)[:1]


def test_key_that_is_put_back_opens_what_was_changed_meanwhile(
    locked: str, kept: Path, tmp_path: Path
) -> None:
    """Changes made without the key lose nothing: with it the logins are there again."""
    with ResourceDatabase(locked) as db:
        db.update_resource(_renamed(locked))
    locked_resource = resource_of(locked)
    kept.rename(tmp_path / "resources.db.key")

    found = resource_of(locked)
    assert (found.resourceName, found.connection.password) == ("Hotel Svanen", "hunter2")
    with ResourceDatabase(locked) as db:
        db.update_resource(replace(locked_resource, resourceName="Hotel Ravnen"))
    assert resource_of(locked).connection.password == "hunter2"
    assert not isinstance(resource_of(locked).connection.password, secrets.Locked)


def test_new_login_replaces_a_locked_one(locked: str, kept: Path, tmp_path: Path) -> None:
    """Where the key is lost for good, the login is stored again, with a reference or a new key."""
    with ResourceDatabase(locked) as db:
        db.update_resource("r-1", {"connection.username": "env:USER_NAME", "connection.password": "env:PW"})
        db.make_key()
        db.update_resource("r-2", {"connection.password": "again"})
        found = [one.connection.password for one in db.get_all_resources()]

    assert found == ["env:PW", "again"]


def test_resource_with_a_locked_login_is_warned_of(locked: str) -> None:
    """`validate` warns that the device cannot be reached; other changes do not repeat it."""
    with ResourceDatabase(locked) as db:
        warnings = db.validate(resource_of(locked)).warnings
        db.update_resource("r-1", ven="Ikast")
        assert db.last_warnings == []

    assert [code_of(one) for one in warnings].count("VEN-REG-209") == 2
