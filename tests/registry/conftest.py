"""Both kinds of database for the registry's tests: a SQLite file, and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.peers import missing, postgresql
from venclient.installation import install_hint
from venclient.registry.database import ResourceDatabase

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a PostgreSQL server for the session; give the URL of its database."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        missing(f"psycopg is not installed ({install_hint('postgresql')})")
    with postgresql(tmp_path_factory.mktemp("postgresql")) as url:
        yield url


@pytest.fixture
def new_postgres(postgres_server: str) -> Callable[[], str]:
    """Return a function that returns the URL of an empty schema, another one each time."""
    import psycopg

    def make() -> str:
        name = f"registry_{next(_numbers)}"
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{postgres_server}&options=-csearch_path%3D{name}"

    return make


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the name of an empty database: the path of a new file, or a URL."""
    if request.param == "sqlite":
        return str(tmp_path / "resources.db")
    url: str = request.getfixturevalue("new_postgres")()
    return url


@pytest.fixture
def db(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ResourceDatabase]:
    """Yield an empty registry in a database of each kind."""
    monkeypatch.setenv("VEN_REGISTRY_KEY_FILE", str(tmp_path / "resources.db.key"))
    with ResourceDatabase(database) as made:
        yield made
