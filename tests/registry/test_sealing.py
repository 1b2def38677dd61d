"""Logins in the registry: sealed in the database, whole in the program, *** for everybody else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.registry.objects import make_connection, make_old_file, make_resource
from venclient.connectors import open_reader
from venclient.connectors.snapshot import one_shot_site
from venclient.errors import ConfigError, RegistryError
from venclient.messages import code_of
from venclient.registry import sealing
from venclient.registry.database import ResourceDatabase
from venclient.registry.opening import is_url, open_link
from venclient.registry.sealing import rewrite

LITERAL = "geheim-Ø-4711"


@pytest.fixture
def key(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the key will be, beside a file or as the variable says, with no warning issued before."""
    path = tmp_path / "resources.db.key"
    if is_url(database):
        monkeypatch.setenv("VEN_REGISTRY_KEY_FILE", str(path))
    else:
        monkeypatch.delenv("VEN_REGISTRY_KEY_FILE", raising=False)
    monkeypatch.setattr(sealing, "_warned", set())
    return path


def asked(database: str, sql: str) -> list[tuple[Any, ...]]:
    """Return what the database itself answers."""
    with closing(open_link(database, upgraded=False)) as link:
        return [tuple(row) for row in link.rows(sql)]


def stored_logins(database: str) -> list[tuple[str | None, str | None]]:
    """Return the columns of username and password."""
    return [
        (name, word)
        for name, word in asked(database, "SELECT username, password FROM connections ORDER BY id")
    ]


def bytes_of(database: str) -> bytes:
    """Return all bytes of the database's files, or all that the tables of a server hold."""
    if is_url(database):
        tables = ("connections", "resources", "changes")
        return "\n".join(
            str(row) for name in tables for row in asked(database, f"SELECT * FROM {name}")
        ).encode()
    files = [Path(f"{database}{end}") for end in ("", "-wal", "-shm", "-journal")]
    return b"".join(file.read_bytes() for file in files if file.exists())


def put_in_the_clear(database: str) -> None:
    """Store logins as a program that knows no sealing does, in a file with old text around them."""
    if is_url(database):
        with ResourceDatabase(database) as db:
            first = make_connection(
                type="modbustcp", host="192.0.2.1", topic=None, username=None, password=None
            )
            for name, link in (("a", first), ("b", make_connection(username=None, password=None))):
                db.upsert_resource(make_resource(name, connection=link))
            db.insert_resource(make_resource("c"), 1)
            with db.get_connection() as connection:
                overwrite_logins(connection.execute)
        return
    make_old_file(Path(database))
    with closing(sqlite3.connect(database)) as old:
        overwrite_logins(old.execute)
        old.commit()


def overwrite_logins(execute: Callable[[str], object]) -> None:
    """Put a literal login into all connections but one password, with another one before it."""
    execute(f"UPDATE connections SET username = 'site', password = '{LITERAL}-before' WHERE id < 3")
    execute(f"UPDATE connections SET password = '{LITERAL}' WHERE id = 1")
    execute("UPDATE connections SET password = 'env:OTHER' WHERE id = 2")


def lose_key(key: Path) -> None:
    """Take away the key, and all memory of it."""
    key.unlink()
    from venclient import secrets

    secrets._ciphers.clear()


def test_every_way_of_storing_seals(database: str, key: Path) -> None:
    """Whichever method stores a login, the file never holds it in the clear, open or closed."""
    login = {"username": "meter-user", "password": LITERAL}
    wired, command = make_connection(**login), make_connection(actortype="writer", **login)
    with ResourceDatabase(database) as db:
        db.insert_resource(make_resource("a", control_connection=command), db.insert_connection(wired))
        db.bulk_insert_resources([make_resource("b", connection=wired)])
        db.upsert_resource(make_resource("c", connection=make_connection()))
        db.upsert_resource(make_resource("c", connection=wired))
        db.bulk_upsert([make_resource("d", connection=wired)])
        assert LITERAL.encode() not in bytes_of(database)
        assert b"meter-user" not in bytes_of(database)
        found = db.get_all_resources()

    assert {(r.connection.username, r.connection.password) for r in found} == {("meter-user", LITERAL)}
    for username, password in stored_logins(database):
        assert username is not None
        assert password is not None
        assert username.startswith("sealed:")
        assert password.startswith("sealed:")
    assert LITERAL.encode() not in bytes_of(database)


def test_references_are_stored_as_they_are(database: str, key: Path) -> None:
    """A reference needs no key: it is stored and read as it was written, and no key file is made."""
    wired = make_connection(username="env:MQTT_USER", password="file:secrets/mqtt")
    with ResourceDatabase(database) as db:
        db.upsert_resource(make_resource(connection=wired))
        assert db.get_all_resources()[0].connection == wired

    assert stored_logins(database) == [("env:MQTT_USER", "file:secrets/mqtt")]
    assert not key.exists()


def test_the_same_login_again_changes_nothing(database: str, key: Path) -> None:
    """Storing what is stored already changes nothing, also by another program with the same key."""
    with ResourceDatabase(database) as db:
        assert db.upsert_resource(make_resource()) == "created"
    before = stored_logins(database)
    with ResourceDatabase(database) as db:
        assert db.upsert_resource(make_resource()) == "unchanged"
        changed = make_resource(connection=make_connection(password="other"))
        assert db.upsert_resource(changed) == "updated"

    ((username, password),) = stored_logins(database)
    assert (username, password) != before[0]


def test_key_file_may_be_elsewhere(database: str, key: Path, tmp_path: Path) -> None:
    """`key_file` names the key; the file beside the database is not made then."""
    elsewhere = tmp_path / "keys" / "ven.key"
    elsewhere.parent.mkdir()

    with ResourceDatabase(database, key_file=elsewhere) as db:
        db.upsert_resource(make_resource())

    assert elsewhere.exists()
    assert not key.exists()


def test_repr_shows_no_login() -> None:
    """A connection shows three stars for what is secret, and the reference where that is what it has."""
    text = repr(make_connection(username="u-name", password=LITERAL))

    assert "u-name" not in text
    assert LITERAL not in text
    assert text.count("***") == 2
    assert "password='env:PW'" in repr(make_connection(password="env:PW"))


def test_file_with_literals_opens_with_one_warning(
    database: str, key: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A login in the clear is read as ever; the warning names the connection and `ven db seal`, once."""
    put_in_the_clear(database)

    for _ in range(2):
        with ResourceDatabase(database) as db:
            assert db.get_connections()[0].password == LITERAL

    warnings = [record.getMessage() for record in caplog.records if code_of(record.msg) == "VEN-REG-211"]
    assert len(warnings) == 1
    assert "connections row 1 (modbustcp 192.0.2.1)" in warnings[0].replace("MODBUSTCP", "modbustcp")
    assert "`ven db seal`" in warnings[0]
    assert LITERAL not in caplog.text


def test_sealing_leaves_no_literal_in_any_byte(database: str, key: Path) -> None:
    """After sealing and rewriting, neither the file nor its log has the literal, or one from before it."""
    put_in_the_clear(database)
    assert LITERAL.encode() in bytes_of(database)

    with ResourceDatabase(database) as db:
        count = db.seal_secrets()
    assert rewrite(database)

    assert count == 3  # two usernames, and the password that is not a reference
    assert LITERAL.encode() not in bytes_of(database)
    with ResourceDatabase(database) as db:
        assert [c.password for c in db.get_connections()] == [LITERAL, "env:OTHER"]
        assert db.login_problems() == []
        assert db.count() == 3


def test_rewriting_says_when_it_could_not(tmp_path: Path) -> None:
    """While another has the file open its log stays, and that is reported."""
    path = tmp_path / "resources.db"
    with ResourceDatabase(path):
        assert not rewrite(path)
    assert rewrite(path)


def test_lost_key_does_not_keep_the_database_shut(
    database: str, key: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the key all else can be read; the warning names connection, key file and what to do."""
    with ResourceDatabase(database) as db:
        db.upsert_resource(make_resource())
    lose_key(key)

    with ResourceDatabase(database) as db:
        connection = db.get_all_resources()[0].connection
        problems = db.login_problems()

    assert connection.host == "broker.example"
    assert connection.password is not None
    for shown in (str(connection.password), f"{connection.password}", repr(connection.password)):
        assert "which is missing" in shown
        assert "sealed:" not in shown
    assert "connections row 1 (MQTT broker.example site/power)" in caplog.text
    assert "resources.db.key" in caplog.text
    assert len(problems) == 1
    assert code_of(problems[0]) == "VEN-SEC-006"


def test_meter_behind_a_lost_key_is_named(database: str, key: Path, tmp_path: Path) -> None:
    """Opening the meter says which one it is, and what to do about its login."""
    with ResourceDatabase(database) as db:
        db.upsert_resource(make_resource())
    lose_key(key)
    with ResourceDatabase(database) as db:
        resource = db.get_all_resources()[0]

    with pytest.raises(ConfigError, match=r"Hotel Ørnen .*broker.example.*VEN-"):
        open_reader(resource, one_shot_site(tmp_path))


def test_resource_can_be_changed_without_its_key(database: str, key: Path) -> None:
    """What cannot be opened is passed on as it is: changing the name keeps the login sealed as it was."""
    with ResourceDatabase(database) as db:
        db.upsert_resource(make_resource())
    before = stored_logins(database)
    lose_key(key)

    with ResourceDatabase(database) as db:
        resource = db.get_all_resources()[0]
        resource.resourceName = "Hotel Svanen"
        assert db.upsert_resource(resource) == "updated"

    assert stored_logins(database) == before


def test_second_key_is_not_made_by_accident(database: str, key: Path) -> None:
    """Where a key is lost a new literal is refused, until a new key is asked for."""
    with ResourceDatabase(database) as db:
        db.upsert_resource(make_resource("a"))
    lose_key(key)

    with ResourceDatabase(database) as db:
        with pytest.raises(RegistryError, match="VEN-REG-216"):
            db.upsert_resource(make_resource("b"))
        assert db.count() == 1
        db.make_key()
        db.upsert_resource(make_resource("b"))
        assert [r.connection.password == "hunter2" for r in db.get_all_resources()] == [False, True]
        with pytest.raises(RegistryError, match="VEN-REG-213"):
            db.make_key()
