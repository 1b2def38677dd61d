"""The OpenLEADR VTN in processes of its own: its database, its broker, and itself."""

from __future__ import annotations

import base64
import itertools
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx2
import psycopg
import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tests.peers import missing, pick_port, postgresql
from tools import openleadr

BUSINESS = ("business", "business-secret")
#: What the business side may do: all that OpenLEADR lets it.
BUSINESS_SCOPES = (
    *("read_all", "write_programs", "write_events", "write_users"),
    *("write_vens_bl", "write_subscriptions_bl", "write_reports_bl"),
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
        """Give the URL of a new database that holds the VTN's tables and the business side's login."""
        if self._template is None:
            self._template = self._prepared(program)
        return self._created(f"vtn_{next(_numbers)}", template=self._template)

    def _prepared(self, program: Path) -> str:
        url = self._created("vtn_template")
        vtn = OpenLeadr(program, url, {})
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


class OpenLeadr:
    """One VTN on a port of its own; stopped and started again it still knows all but, perhaps, its tokens."""

    def __init__(self, program: Path, database: str, environment: Mapping[str, str]) -> None:
        self.port = pick_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = Path(tempfile.mkstemp(prefix="ven-vtn-", suffix=".log")[1])
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self.environment = {
            "DATABASE_URL": database,
            "PORT": str(self.port),
            "OAUTH_TYPE": "INTERNAL",
            "OAUTH_TOKEN_URL": f"{self.url}/auth/token",
            "OAUTH_BASE64_SECRET": base64.b64encode(secrets.token_bytes(32)).decode(),
            "RUST_LOG": "info",
            "NO_COLOR": "1",
            **environment,
        }

    def __enter__(self) -> OpenLeadr:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.log.unlink(missing_ok=True)

    def start(self) -> None:
        """Start it and return once it answers; fail the test, with what it said, when it does not."""
        known = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        with self.log.open("ab") as log:
            # In a folder where no .env lies: it would read one.
            self._process = subprocess.Popen(
                [self._program], stdout=log, stderr=log, env={**known, **self.environment}, cwd="/"
            )
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if httpx2.get(f"{self.url}/health", trust_env=False, timeout=2).status_code == 200:
                    return
            except httpx2.HTTPError:
                time.sleep(0.02)  # another process is starting: there is no clock of ours to turn
        self.stop()
        pytest.fail(f"the OpenLEADR VTN does not serve:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        """End it at once, as a power cut does."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(60)

    def forget_tokens(self) -> None:
        """Start it anew with another key: tokens given so far count no longer."""
        self.stop()
        self.environment["OAUTH_BASE64_SECRET"] = base64.b64encode(secrets.token_bytes(32)).decode()
        self.start()


def find_vtn() -> Path:
    """Give the VTN's program, or skip."""
    if not openleadr.vtn_program().is_file():
        missing(f"the OpenLEADR VTN {openleadr.VERSION} is not installed (make interop)")
    return openleadr.vtn_program()


@contextmanager
def database(folder: Path) -> Iterator[Database]:
    """Run a PostgreSQL server that is new enough for the VTN, with its data in a folder that goes with it."""
    programs = openleadr.postgresql_programs()
    if programs is None:
        missing("PostgreSQL 16 is not installed (make interop)")
    with tempfile.TemporaryDirectory(prefix="ven-pg16-") as place:
        if os.geteuid() == 0 and programs.is_relative_to(openleadr.cache()):
            # The user "postgres" may not enter root's cache.
            whole = openleadr.cache() / programs.relative_to(openleadr.cache()).parts[0]
            copied = Path(place) / "programs"
            shutil.copytree(whole, copied)
            Path(place).chmod(0o755)
            programs = copied / programs.relative_to(whole)
        with postgresql(folder, programs) as url:
            yield Database(url)
