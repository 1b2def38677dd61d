"""Why a PostgreSQL server cannot be used, found by SQLSTATE and answers whatever language it speaks."""

from __future__ import annotations

import datetime
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.peers import missing, pick_port, postgresql
from tests.waiting import wait_until
from venclient.errors import RegistryError
from venclient.registry.opening import open_link

psycopg = pytest.importorskip("psycopg")

from venclient.registry import postgres_failures  # noqa: E402

pytestmark = pytest.mark.peer

_GERMAN = Path("/usr/share/locale/de/LC_MESSAGES")
_EPOCH = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Server(NamedTuple):
    """A server, and the certificate of the authority that issued its own."""

    admin: str
    port: int
    authority: Path

    def url(self, login: str, host: str = "127.0.0.1", database: str = "postgres", query: str = "") -> str:
        """Return the URL for a login over TCP."""
        return f"postgresql://{login}@{host}:{self.port}/{database}{query}"


@pytest.fixture(scope="module", params=["", "de"], ids=["english", "german"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that speaks a language, with a login that may connect and one that may not any more."""
    folder = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANGUAGE", request.param)
        with postgresql(folder) as url:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE ROLE bert LOGIN PASSWORD 'geheim'")
                connection.execute("CREATE ROLE full_up LOGIN PASSWORD 'geheim' CONNECTION LIMIT 0")
                port = connection.info.port
            yield Server(url, port, folder / "authority.pem")


@pytest.fixture
def with_tls(server: Server) -> Iterator[Server]:
    """Turn TLS on, with a certificate for "localhost" only."""
    folder = Path(re.sub(r".*host=([^&]*).*", r"\1", server.admin).replace("%2F", "/"))
    write_certificates(folder, server.authority)
    with psycopg.connect(server.admin, autocommit=True) as connection:
        for name, value in (
            ("ssl_cert_file", f"'{folder / 'server.pem'}'"),
            ("ssl_key_file", f"'{folder / 'server.key'}'"),
            ("ssl", "on"),
        ):
            connection.execute(f"ALTER SYSTEM SET {name} = {value}")
        connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: connection.execute("SHOW ssl").fetchone() == ("on",), "TLS is on")
        yield server
        connection.execute("ALTER SYSTEM RESET ALL")
        connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: connection.execute("SHOW ssl").fetchone() == ("off",), "TLS is off")


def write_certificates(folder: Path, authority: Path) -> None:
    """Write the certificate of an authority, and one of a server "localhost" that it issued, with its key."""
    roots = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    basics = x509.BasicConstraints(ca=True, path_length=None)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    root = _certificate(issuer, issuer, roots.public_key()).add_extension(basics, critical=True)
    own = _certificate(subject, issuer, key.public_key()).add_extension(names, critical=False)
    authority.write_bytes(root.sign(roots, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(
        own.sign(roots, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    private = folder / "server.key"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    private.chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(private, "postgres")


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_EPOCH - datetime.timedelta(days=3650))
        .not_valid_after(_EPOCH + datetime.timedelta(days=36500))
    )


def refusal(url: str) -> RegistryError:
    """Return the error of opening a database, which shows no password."""
    with pytest.raises(RegistryError) as caught:
        open_link(url, upgraded=False).driver()
    assert "geheim" not in str(caught.value)
    return caught.value


def test_the_server_speaks_its_language(server: Server, request: pytest.FixtureRequest) -> None:
    """The other tests are about words that differ: a German server says so in German."""
    if request.node.callspec.params["server"] == "de" and not list(_GERMAN.glob("postgres-*.mo")):
        missing("PostgreSQL has no German messages")
    with psycopg.connect(server.admin) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute("SELECT 1 FROM nowhere")
    german = request.node.callspec.params["server"] == "de"
    assert ("existiert nicht" in str(caught.value)) is german


@pytest.mark.parametrize(
    ("login", "database"),
    [("bert:wrong", "postgres"), ("unknown:geheim", "postgres"), ("bert:geheim", "none")],
)
def test_refused_login_or_database_is_not_waited_for(server: Server, login: str, database: str) -> None:
    """The server answers, and says no: waiting would not help."""
    error = refusal(server.url(login, database=database))

    assert (error.code, error.transient) == ("VEN-DBF-002", False)


def test_missing_password_is_not_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails on this side has no SQLSTATE, and the server answers."""
    monkeypatch.delenv("PGPASSWORD", raising=False)
    error = refusal(server.url("bert"))

    assert (error.code, error.transient) == ("VEN-DBF-002", False)


def test_login_without_a_free_connection_is_waited_for(server: Server) -> None:
    """The limit of a user is found after the password: it has the SQLSTATE 53300 as well."""
    error = refusal(server.url("full_up:geheim"))

    assert (error.code, error.transient) == ("VEN-REG-201", True)


def test_full_server_is_waited_for(server: Server) -> None:
    """Others hold all connections that there are."""
    held: list[Any] = []
    try:
        with suppress(psycopg.OperationalError):
            while len(held) < 500:
                held += [psycopg.connect(server.url("bert:geheim"))]
        error = refusal(server.url("bert:geheim"))
    finally:
        for one in held:
            one.close()

    assert (error.code, error.transient) == ("VEN-REG-201", True)


def test_server_that_is_away_is_waited_for(server: Server) -> None:
    """Nothing listens: with or without TLS that passes."""
    url = f"postgresql://bert:geheim@127.0.0.1:{pick_port()}/postgres"
    for query in ("", "?sslmode=verify-full"):
        error = refusal(url + query)
        assert (error.code, error.transient) == ("VEN-DBF-001", True)


def test_an_unknown_host_is_reported_without_the_number_of_the_error() -> None:
    """What psycopg adds for programs is left out."""
    error = psycopg.OperationalError("failed to resolve host 'x': [Errno -2] Name or service not known")
    assert postgres_failures.reason_of(error) == "failed to resolve host 'x': Name or service not known"


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_server_without_tls(server: Server, mode: str) -> None:
    """A server that offers no TLS is named as such where it is required."""
    error = refusal(server.url("bert:geheim", query=f"?sslmode={mode}&sslrootcert={__file__}"))

    assert (error.code, error.transient) == ("VEN-REG-202", False)
    assert "ssl = on" in str(error)


def test_certificate_of_an_unknown_authority(with_tls: Server, tmp_path: Path) -> None:
    """A certificate that no known authority issued is refused with what to set."""
    other = tmp_path / "other.pem"
    write_certificates(tmp_path, other)

    for query in (f"?sslmode=verify-full&sslrootcert={other}", f"?sslmode=verify-ca&sslrootcert={other}"):
        error = refusal(with_tls.url("bert:geheim", "localhost", query=query))
        assert (error.code, error.transient) == ("VEN-REG-203", False)
        assert "sslrootcert" in str(error)
    missing_file = f"?sslmode=verify-full&sslrootcert={tmp_path / 'none.pem'}"
    assert refusal(with_tls.url("bert:geheim", "localhost", query=missing_file)).code == "VEN-REG-203"


def test_certificate_of_another_host(with_tls: Server) -> None:
    """A certificate for another name differs from an untrusted one."""
    query = f"?sslmode=verify-full&sslrootcert={with_tls.authority}"

    error = refusal(with_tls.url("bert:geheim", "127.0.0.1", query=query))

    assert (error.code, error.transient) == ("VEN-REG-204", False)


def test_verified_connection_works(with_tls: Server) -> None:
    """With the right certificate and name the connection is encrypted; a wrong password is still one."""
    query = f"?sslmode=verify-full&sslrootcert={with_tls.authority}"
    link = open_link(with_tls.url("bert:geheim", "localhost", query=query), upgraded=False)
    assert link.rows("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(True,)]
    link.close()

    assert refusal(with_tls.url("bert:wrong", "localhost", query=query)).code == "VEN-DBF-002"


def test_login_never_goes_to_a_server_without_tls(server: Server) -> None:
    """Looking for the reason of a TLS failure sends neither user nor password in the clear."""
    probe = postgres_failures._probe(server.url("bert:geheim", query="?sslmode=require"), sslmode="disable")

    assert "geheim" not in probe
    assert "bert" not in probe


@pytest.mark.parametrize(
    ("state", "passes"),
    [
        *((state, True) for state in (None, "57P01", "57P03", "53300", "08006", "XX000")),
        *((state, False) for state in ("28P01", "28000", "3D000", "42501")),
    ],
)
def test_sqlstates_that_pass(state: str | None, passes: bool) -> None:
    """What waiting helps against is known by the class of the SQLSTATE."""
    assert postgres_failures.may_pass(state) is passes


def test_without_libpq_in_sight_the_login_counts_as_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where libpq cannot be asked for SQLSTATEs a server that answers has refused, as it has most often."""
    monkeypatch.setattr(postgres_failures, "_set_verbosity", lambda: None)

    assert refusal(server.url("bert:wrong")).code == "VEN-DBF-002"
