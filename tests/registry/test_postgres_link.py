"""The link to PostgreSQL: what it does as SQLite's does, and what only a server can do to it."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.peers import pick_port
from venclient.errors import ConfigError, Conflict, InvalidRecord, RegistryError
from venclient.messages import code_of
from venclient.registry.database import ResourceDatabase
from venclient.registry.opening import open_link, shown

psycopg = pytest.importorskip("psycopg")

from venclient.registry.postgres_link import PostgresLink, parameters  # noqa: E402

peer = pytest.mark.peer


@pytest.fixture
def url(new_postgres: Callable[[], str]) -> str:
    """Return the URL of an empty schema."""
    return new_postgres()


@pytest.fixture
def link(url: str) -> Iterator[PostgresLink]:
    """Yield a link to a registry that also has a table of numbers."""
    made = open_link(url)
    assert isinstance(made, PostgresLink)
    made.driver().execute("CREATE TABLE t (x INTEGER NOT NULL UNIQUE, y TEXT)")
    yield made
    made.close()


def values(link: PostgresLink) -> list[object]:
    """Return what the table holds."""
    return [row[0] for row in link.rows("SELECT x FROM t ORDER BY x")]


def put(link: PostgresLink, value: object, error: Exception | None = None) -> None:
    """Store a value in a transaction, and then raise `error` if there is one."""
    with link.transaction() as driver:
        driver.execute("INSERT INTO t VALUES (%s, 'secret-text')", (value,))
        if error is not None:
            raise error


@peer
def test_inner_failure_undoes_the_inner_part_alone(link: PostgresLink) -> None:
    """What failed inside is undone; the transaction around it goes on and is kept."""
    with link.transaction():
        put(link, 1)
        with pytest.raises(RuntimeError):
            put(link, 2, RuntimeError())
        with pytest.raises(Conflict):
            put(link, 1)
        put(link, 3)

    assert values(link) == [1, 3]


@peer
def test_outer_failure_undoes_all(link: PostgresLink) -> None:
    """What an inner transaction kept goes with the outer one."""

    def both() -> None:
        with link.transaction():
            put(link, 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        both()

    assert values(link) == []


@peer
def test_transaction_inside_a_borrowed_connection_is_part_of_it(link: PostgresLink) -> None:
    """Also when nothing was done before: it goes when the borrower fails."""

    def both() -> None:
        with link.borrowed():
            put(link, 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        both()

    assert values(link) == []


@peer
def test_borrowed_inside_a_transaction_is_part_of_it(link: PostgresLink) -> None:
    """A borrowed connection does not commit a transaction that it is inside of."""

    def both() -> None:
        with link.transaction():
            with link.borrowed() as connection:
                connection.execute("INSERT INTO t VALUES (1)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        both()

    assert values(link) == []


@peer
def test_borrowed_commit_in_the_middle_is_allowed(link: PostgresLink) -> None:
    """Programs that commit by themselves inside may: that part stays, whatever fails later."""

    def both() -> None:
        with link.borrowed() as connection:
            connection.execute("INSERT INTO t VALUES (1)")
            connection.commit()
            connection.execute("INSERT INTO t VALUES (2)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        both()

    assert values(link) == [1]


@peer
def test_rows_by_name_and_position(link: PostgresLink) -> None:
    """A borrowed connection's rows answer to names in any case, positions, and as tuples."""
    put(link, 1)

    with link.borrowed() as connection:
        (row,) = connection.execute("SELECT x, y AS told FROM t").fetchall()

    assert (row["x"], row["TOLD"], row[0], row[-1]) == (1, "secret-text", 1, "secret-text")
    assert tuple(row) == (1, "secret-text")
    assert row.keys() == ["x", "told"]
    with pytest.raises(IndexError) as caught:
        row["z"]
    assert code_of(caught.value.args[0]) == "VEN-REG-200"
    assert link.rows("SELECT x FROM t") == [(1,)]


@peer
def test_threads_have_connections_of_their_own(link: PostgresLink) -> None:
    """Another thread does not see what this one has not committed."""
    seen: list[object] = []
    with link.transaction() as driver:
        driver.execute("INSERT INTO t VALUES (1)")
        thread = threading.Thread(target=lambda: seen.extend([values(link), link.driver()]))
        thread.start()
        thread.join()
        mine = driver

    assert seen[0] == []
    assert seen[1] is not mine


@peer
def test_refused_value_is_said_without_the_row(link: PostgresLink) -> None:
    """What PostgreSQL refuses is reported with its reason, and the row's other cells are in no traceback."""
    for value, kind in ((None, Conflict), ("oops", InvalidRecord)):
        with pytest.raises(kind) as caught:
            put(link, value)
        trace = "".join(traceback.format_exception(caught.value))
        assert "Failing row" not in trace

    assert values(link) == []


@peer
def test_many_rows_name_the_one_that_is_refused(link: PostgresLink) -> None:
    """Of rows that are sent together, the one that breaks a rule is found."""
    from venclient.registry.link import RowRefused

    def store() -> None:
        with link.transaction():
            link.insert_rows("INSERT INTO t VALUES (%s, %s)", [(1, "a"), (2, "b"), (1, "c"), (3, "d")])

    with pytest.raises(RowRefused) as caught:
        store()

    assert (caught.value.at, caught.value.taken) == (2, True)
    assert values(link) == []


@peer
def test_server_that_cut_the_connection_is_asked_again(link: PostgresLink, url: str) -> None:
    """A restart between two calls troubles neither a query nor a transaction."""
    put(link, 1)

    def cut() -> None:
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (link.driver().info.backend_pid,))

    cut()
    assert values(link) == [1]
    cut()
    put(link, 2)

    assert values(link) == [1, 2]


@peer
def test_connection_cut_in_the_middle_loses_the_whole_transaction(link: PostgresLink, url: str) -> None:
    """What was done before the cut is undone and said so; the next call works."""

    def store() -> None:
        with link.transaction() as driver:
            driver.execute("INSERT INTO t VALUES (1)")
            with psycopg.connect(url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (driver.info.backend_pid,))
            driver.execute("INSERT INTO t VALUES (2)")

    with pytest.raises(RegistryError, match="VEN-REG-198") as caught:
        store()

    assert caught.value.transient
    assert values(link) == []


@peer
def test_locked_for_too_long_is_said(link: PostgresLink, url: str) -> None:
    """A write that waits in vain for another program says so, and that it may be tried again."""
    link.driver().execute("SET lock_timeout = 20")
    with psycopg.connect(url) as other:
        other.execute("INSERT INTO resources SELECT * FROM resources")

        with pytest.raises(RegistryError, match="VEN-DBF-040") as caught:
            put(link, 1)

    assert caught.value.transient


@peer
def test_readers_do_not_wait_for_the_writer(link: PostgresLink, url: str) -> None:
    """While one writes, another program reads what was there before."""
    with link.transaction() as driver, closing(PostgresLink(url)) as other:
        driver.execute("INSERT INTO t VALUES (1)")
        assert values(other) == []
        assert other.rows("SELECT count(*) FROM resources") == [(0,)]


@peer
def test_password_by_reference(postgres_server: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password in the URL may be a reference; a wrong one is refused without being shown."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS anna")
        connection.execute("CREATE ROLE anna SUPERUSER LOGIN PASSWORD 'hush/hush@1'")
        port = connection.info.port
    schema = url[url.index("&options=") + 1 :]
    over_tcp = f"postgresql://anna:env:VEN_TEST_PG@127.0.0.1:{port}/postgres?{schema}"

    monkeypatch.setenv("VEN_TEST_PG", "hush/hush@1")
    with ResourceDatabase(over_tcp) as db:
        assert db.count() == 0
        assert "VEN_TEST_PG" not in repr(db)
    monkeypatch.setenv("VEN_TEST_PG", "wrong-one")
    with pytest.raises(RegistryError, match="VEN-DBF-002") as caught:
        ResourceDatabase(over_tcp)
    monkeypatch.delenv("VEN_TEST_PG")
    with pytest.raises(ConfigError, match=r"env:VEN_TEST_PG: .*VEN-SEC-009"):
        ResourceDatabase(over_tcp)

    trace = "".join(traceback.format_exception(caught.value))
    assert "wrong-one" not in trace
    assert "anna:***@" in str(caught.value)


@peer
def test_user_who_may_not_write_is_told(link: PostgresLink, postgres_server: str, url: str) -> None:
    """A user without rights on the tables gets a sentence about rights."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN")

    with pytest.raises(RegistryError, match="VEN-REG-196"):
        ResourceDatabase(url.replace("postgres@", "guest@"))


def test_no_server_is_said() -> None:
    """A port without a listener is named with what to check."""
    port, password = pick_port(), "hu" + "sh"

    with pytest.raises(RegistryError, match=rf"127\.0\.0\.1:{port}/x: .*VEN-DBF-001") as caught:
        ResourceDatabase(f"postgresql://me:{password}@127.0.0.1:{port}/x")

    assert caught.value.transient
    assert password not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hush@[::1/x",
        "postgresql://me:hush@host/x?nonsense=1",
        "postgresql://me:hu/sh@host:port/x",
        "postgresql://me:%zzhush@host/x",
    ],
)
def test_bad_url_is_refused_without_its_password(url: str) -> None:
    """What libpq cannot read is refused in words that keep the password to themselves."""
    with pytest.raises(ConfigError, match=r"me:\*\*\*@.*VEN-REG-193") as caught:
        parameters(url)

    trace = "".join(traceback.format_exception(caught.value))
    assert "hush" not in trace
    assert "hu/sh" not in trace


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://me@host/x", "postgresql://me@host/x"),
        ("postgresql://me:a@b:c@host/x", "postgresql://me:***@host/x"),
        (
            "postgresql://host/x?user=me&password=abc&sslmode=require",
            "postgresql://host/x?user=me&password=***",
        ),
        ("some/file.db", "some/file.db"),
    ],
)
def test_shown_url_has_no_password(url: str, told: str) -> None:
    """Whatever form the password takes in a URL, what people see has three stars."""
    assert shown(url).startswith(told)
