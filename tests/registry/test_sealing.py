"""Logins in the registry: sealed in the file, whole in the program, *** for everybody else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.registry.objects import make_connection, make_old_file, make_resource
from venclient.connectors import open_reader
from venclient.connectors.snapshot import one_shot_site
from venclient.errors import ConfigError, RegistryError
from venclient.registry import sealing
from venclient.registry.database import ResourceDatabase
from venclient.registry.sealing import rewrite

LITERAL = "geheim-Ø-4711"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the path of a database with no key but the one beside it, and nothing warned of before."""
    monkeypatch.delenv("VEN_REGISTRY_KEY_FILE", raising=False)
    monkeypatch.setattr(sealing, "_warned", set())
    return tmp_path / "resources.db"


def stored_logins(path: Path) -> list[tuple[str | None, str | None]]:
    """Give what the file has in its username and password columns."""
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute("SELECT username, password FROM connections ORDER BY id").fetchall()


def bytes_of(path: Path) -> bytes:
    """Give all bytes that are in the database's files."""
    files = [path, Path(f"{path}-wal"), Path(f"{path}-shm"), Path(f"{path}-journal")]
    return b"".join(file.read_bytes() for file in files if file.exists())


def put_in_the_clear(path: Path) -> None:
    """Store a login as a program of the first generation does, in a file with old text around it."""
    make_old_file(path)
    with closing(sqlite3.connect(path)) as old:
        old.execute("UPDATE connections SET username = 'site', password = ?", (LITERAL + "-before",))
        old.execute("UPDATE connections SET password = ? WHERE id = 1", (LITERAL,))
        old.execute("UPDATE connections SET password = 'env:OTHER' WHERE id = 2")
        old.commit()


def lose_key(path: Path) -> None:
    """Take away the key, and all memory of it."""
    Path(f"{path}.key").unlink()
    from venclient import secrets

    secrets._ciphers.clear()


def test_every_way_of_storing_seals(path: Path) -> None:
    """Whichever method stores a login, the file never holds it in the clear, open or closed."""
    login = {"username": "meter-user", "password": LITERAL}
    wired, command = make_connection(**login), make_connection(actortype="writer", **login)
    with ResourceDatabase(path) as db:
        db.insert_resource(make_resource("a", control_connection=command), db.insert_connection(wired))
        db.bulk_insert_resources([make_resource("b", connection=wired)])
        db.upsert_resource(make_resource("c", connection=make_connection()))
        db.upsert_resource(make_resource("c", connection=wired))
        db.bulk_upsert([make_resource("d", connection=wired)])
        assert LITERAL.encode() not in bytes_of(path)
        assert b"meter-user" not in bytes_of(path)
        found = db.get_all_resources()

    assert {(r.connection.username, r.connection.password) for r in found} == {("meter-user", LITERAL)}
    for username, password in stored_logins(path):
        assert username is not None
        assert password is not None
        assert username.startswith("sealed:")
        assert password.startswith("sealed:")
    assert LITERAL.encode() not in bytes_of(path)


def test_references_are_stored_as_they_are(path: Path) -> None:
    """A reference needs no key: it is stored and read as it was written, and no key file is made."""
    wired = make_connection(username="env:MQTT_USER", password="file:secrets/mqtt")
    with ResourceDatabase(path) as db:
        db.upsert_resource(make_resource(connection=wired))
        assert db.get_all_resources()[0].connection == wired

    assert stored_logins(path) == [("env:MQTT_USER", "file:secrets/mqtt")]
    assert not Path(f"{path}.key").exists()


def test_the_same_login_again_changes_nothing(path: Path) -> None:
    """Storing what is stored already is no change, also by another program with the same key."""
    with ResourceDatabase(path) as db:
        assert db.upsert_resource(make_resource()) == "created"
    before = stored_logins(path)
    with ResourceDatabase(path) as db:
        assert db.upsert_resource(make_resource()) == "unchanged"
        changed = make_resource(connection=make_connection(password="other"))
        assert db.upsert_resource(changed) == "updated"

    ((username, password),) = stored_logins(path)
    assert (username, password) != before[0]


def test_key_file_may_be_elsewhere(path: Path, tmp_path: Path) -> None:
    """`key_file` names the key; the file beside the database is not made then."""
    elsewhere = tmp_path / "keys" / "ven.key"
    elsewhere.parent.mkdir()

    with ResourceDatabase(path, key_file=elsewhere) as db:
        db.upsert_resource(make_resource())

    assert elsewhere.exists()
    assert not Path(f"{path}.key").exists()


def test_repr_shows_no_login() -> None:
    """A connection shows three stars for what is secret, and the reference where that is what it has."""
    text = repr(make_connection(username="u-name", password=LITERAL))

    assert "u-name" not in text
    assert LITERAL not in text
    assert text.count("***") == 2
    assert "password='env:PW'" in repr(make_connection(password="env:PW"))


def test_file_with_literals_opens_with_one_warning(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A login in the clear is read as ever; the warning names the connection and `ven db seal`, once."""
    put_in_the_clear(path)

    for _ in range(2):
        with ResourceDatabase(path) as db:
            assert db.get_connections()[0].password == LITERAL

    warnings = [record.getMessage() for record in caplog.records if "in the clear" in record.getMessage()]
    assert len(warnings) == 1
    assert "connections row 1 (modbustcp 192.0.2.1)" in warnings[0]
    assert "`ven db seal`" in warnings[0]
    assert LITERAL not in caplog.text


def test_sealing_leaves_no_literal_in_any_byte(path: Path) -> None:
    """After sealing and rewriting, neither the file nor its log has the literal, or one from before it."""
    put_in_the_clear(path)
    assert LITERAL.encode() in bytes_of(path)

    with ResourceDatabase(path) as db:
        count = db.seal_secrets()
    assert rewrite(path)

    assert count == 3  # two usernames, and the password that is no reference
    assert LITERAL.encode() not in bytes_of(path)
    with ResourceDatabase(path) as db:
        assert [c.password for c in db.get_connections()] == [LITERAL, "env:OTHER"]
        assert db.login_problems() == []
        assert db.count() == 3


def test_rewriting_says_when_it_could_not(path: Path) -> None:
    """While another has the file open its log stays, and that is told."""
    with ResourceDatabase(path):
        assert not rewrite(path)
    assert rewrite(path)


def test_lost_key_does_not_keep_the_database_shut(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without the key all else can be read; the warning names connection, key file and what to do."""
    with ResourceDatabase(path) as db:
        db.upsert_resource(make_resource())
    lose_key(path)

    with ResourceDatabase(path) as db:
        connection = db.get_all_resources()[0].connection
        problems = db.login_problems()

    assert connection.host == "broker.example"
    assert str(connection.password).startswith("sealed:")
    assert "connections row 1 (MQTT broker.example site/power)" in caplog.text
    assert "resources.db.key" in caplog.text
    assert len(problems) == 1
    assert "put its key file back, or store the login again" in problems[0]


def test_meter_behind_a_lost_key_is_named(path: Path, tmp_path: Path) -> None:
    """Opening the meter says which one it is, and what to do about its login."""
    with ResourceDatabase(path) as db:
        db.upsert_resource(make_resource())
    lose_key(path)
    with ResourceDatabase(path) as db:
        resource = db.get_all_resources()[0]

    with pytest.raises(ConfigError, match=r"Hotel Ørnen .*broker.example.*not here.*put its key file back"):
        open_reader(resource, one_shot_site(tmp_path))


def test_resource_can_be_changed_without_its_key(path: Path) -> None:
    """What cannot be opened is passed on as it is: changing the name keeps the login sealed as it was."""
    with ResourceDatabase(path) as db:
        db.upsert_resource(make_resource())
    before = stored_logins(path)
    lose_key(path)

    with ResourceDatabase(path) as db:
        resource = db.get_all_resources()[0]
        resource.resourceName = "Hotel Svanen"
        assert db.upsert_resource(resource) == "updated"

    assert stored_logins(path) == before


def test_second_key_is_not_made_by_accident(path: Path) -> None:
    """Where a key is lost a new literal is refused, until a new key is asked for."""
    with ResourceDatabase(path) as db:
        db.upsert_resource(make_resource("a"))
    lose_key(path)

    with ResourceDatabase(path) as db:
        with pytest.raises(RegistryError, match=r"key file .* is not there.*ven db seal --new-key"):
            db.upsert_resource(make_resource("b"))
        assert db.count() == 1
        db.make_key()
        db.upsert_resource(make_resource("b"))
        assert [r.connection.password == "hunter2" for r in db.get_all_resources()] == [False, True]
        with pytest.raises(RegistryError, match="there is a key file"):
            db.make_key()
