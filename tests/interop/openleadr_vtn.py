"""The OpenLEADR VTN in separate processes: its database, its broker, and itself."""

from __future__ import annotations

import base64
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx2
import psycopg
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tests.interop.vtn import BUSINESS, Vtn
from tests.peers import missing, postgresql
from tools import openleadr
from tools.peer_builds import cache

#: What the business side may do: all that OpenLEADR lets it.
BUSINESS_SCOPES = (
    *("read_all", "write_programs", "write_events", "write_users"),
    *("write_vens_bl", "write_subscriptions_bl", "write_reports_bl"),
)
VEN_SCOPES = (
    *("read_targets", "read_ven_objects", "write_reports_ven"),
    *("write_subscriptions_ven", "write_vens_ven"),
)
_numbers = itertools.count(1)


class Database:
    """A PostgreSQL server with a database in which the VTN has made its tables, to be copied for each VTN."""

    def __init__(self, url: str) -> None:
        query = parse_qs(urlsplit(url).query)
        self._socket = urlencode(
            {"host": query["host"][0], "port": query["port"][0], "user": "postgres"}, quote_via=quote
        )
        self._template: str | None = None

    def fresh(self, program: Path) -> str:
        """Return the URL of a new database that holds the VTN's tables and the business side's login."""
        if self._template is None:
            self._template = self._prepared(program)
        return self._created(f"vtn_{next(_numbers)}", template=self._template)

    def _prepared(self, program: Path) -> str:
        url = self._created("vtn_template")
        vtn = OpenLeadr(program, None, url)
        with vtn:
            pass
        hashed = Argon2id(
            salt=secrets.token_bytes(16), length=32, iterations=1, lanes=1, memory_cost=64
        ).derive_phc_encoded(BUSINESS[1].encode())
        with psycopg.connect(url, autocommit=True) as link:
            link.execute(
                'INSERT INTO "user" (id, reference, description, scopes, created, modified)'
                " VALUES ('business', 'business', NULL, %s::scope[], now(), now())",
                ("{" + ",".join(BUSINESS_SCOPES) + "}",),
            )
            link.execute(
                "INSERT INTO user_credentials (user_id, client_id, client_secret)"
                " VALUES ('business', %s, %s)",
                (BUSINESS[0], hashed),
            )
        return "vtn_template"

    def _created(self, name: str, *, template: str = "template1") -> str:
        with psycopg.connect(self._url_of("postgres"), autocommit=True) as link:
            link.execute(f"CREATE DATABASE {name} TEMPLATE {template}")  # names of our own making
        return self._url_of(name)

    def _url_of(self, name: str) -> str:
        return f"postgresql:///{name}?{self._socket}"


class OpenLeadr(Vtn):
    """The OpenLEADR VTN."""

    kind = "openleadr"
    endless = "P9999Y0M0DT0H0M0S"

    def __init__(self, program: Path, database: Database | None, url: str, broker: int | None = None) -> None:
        super().__init__()
        self._program = program
        self._database = database
        self._clients: dict[str, tuple[str, Sequence[str]]] = {}
        self.environment = {
            "DATABASE_URL": url,
            "PORT": str(self.port),
            "OAUTH_TYPE": "INTERNAL",
            "OAUTH_TOKEN_URL": f"{self.url}/auth/token",
            "OAUTH_BASE64_SECRET": _new_key(),
            "RUST_LOG": "info",
            "NO_COLOR": "1",
        }
        if broker is not None:
            login = {"MQTT_USERNAME": "vtn", "MQTT_PASSWORD": "vtn"}
            self.environment |= {"MQTT_URL": f"mqtt://127.0.0.1:{broker}", **login}

    def command(self) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        """Return its program alone: all is in the environment."""
        return [self._program], self.environment

    def let_in(self, client_id: str, secret: str, scopes: Sequence[str] = VEN_SCOPES) -> None:
        """Let a client in, with the scopes of a VEN unless given."""
        self._clients[client_id] = secret, scopes
        with httpx2.Client(base_url=self.url, trust_env=False, timeout=120) as http:
            form = {
                "grant_type": "client_credentials",
                "client_id": BUSINESS[0],
                "client_secret": BUSINESS[1],
            }
            token = http.post("/auth/token", data=form).raise_for_status().json()["access_token"]
            http.headers["Authorization"] = f"Bearer {token}"
            body = {"reference": client_id, "description": client_id, "scope": list(scopes)}
            user = http.post("/users", json=body).raise_for_status().json()
            login = {"client_id": client_id, "client_secret": secret}
            http.post(f"/users/{user['id']}", json=login).raise_for_status()

    def forget_tokens(self) -> None:
        """Start it again with another key."""
        self.stop()
        self.environment["OAUTH_BASE64_SECRET"] = _new_key()
        self.start()

    def empty(self) -> None:
        """Start it again on a fresh database."""
        assert self._database is not None
        self.stop()
        self.environment["DATABASE_URL"] = self._database.fresh(self._program)
        self.start()
        for client_id, (secret, scopes) in self._clients.items():
            self.let_in(client_id, secret, scopes)

    def sibling(self) -> OpenLeadr:
        """Return another VTN on the same database."""
        return OpenLeadr(self._program, self._database, self.environment["DATABASE_URL"])

    def trust(self, issuer: Vtn, token_url: str) -> None:
        """Take the key of a sibling, and its address."""
        assert isinstance(issuer, OpenLeadr)
        self.stop()
        self.environment["OAUTH_BASE64_SECRET"] = issuer.environment["OAUTH_BASE64_SECRET"]
        self.environment["OAUTH_TOKEN_URL"] = token_url
        self.start()


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def find_openleadr() -> Path:
    """Return the VTN's program, or skip."""
    if not openleadr.VTN.path.is_file():
        missing(f"the OpenLEADR VTN {openleadr.VTN.version} is not installed (make interop)")
    return openleadr.VTN.path


@contextmanager
def database(folder: Path) -> Iterator[Database]:
    """Run a PostgreSQL server that is new enough for the VTN, with its data in a folder that goes with it."""
    programs = openleadr.postgresql_programs()
    if programs is None:
        missing("PostgreSQL 16 is not installed (make interop)")
    with tempfile.TemporaryDirectory(prefix="ven-pg16-") as place:
        if os.geteuid() == 0 and programs.is_relative_to(cache()):
            # The user "postgres" may not enter root's cache.
            whole = cache() / programs.relative_to(cache()).parts[0]
            copied = Path(place) / "programs"
            shutil.copytree(whole, copied)
            Path(place).chmod(0o755)
            programs = copied / programs.relative_to(whole)
        with postgresql(folder, programs) as url:
            yield Database(url)
