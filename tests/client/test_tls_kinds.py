"""Each kind of TLS failure has its own message, for a VTN, an MQTT broker and InfluxDB."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.client.fake_vtn import SwiftClock
from tests.connectors.sites import make_resource, make_site
from venclient.client import VenClient, VtnAccount
from venclient.connectors.mqtt import open_mqtt_reader
from venclient.errors import ConnectorError, StoreError, VenError, VtnUnreachable
from venclient.model.resource import ConnectionType
from venclient.readings.influx import InfluxServer
from venclient.readings.influx_account import InfluxAccount

pytestmark = pytest.mark.peer

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class Pair(NamedTuple):
    """A certificate with its key, in memory and as files."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    file: Path
    key_file: Path


def issued(
    folder: Path, name: str, by: Pair | None = None, *, begins: datetime = NOW - DAY, days: int = 2
) -> Pair:
    """Make a certificate for a host; self-signed without `by`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    host = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + days * DAY)
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .sign(by.key if by else key, hashes.SHA256())
    )
    file, key_file = folder / f"{made.serial_number}.pem", folder / f"{made.serial_number}.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return Pair(made, key, file, key_file)


class Around(NamedTuple):
    """What a case needs: the certificate of the server, what we trust and show, and what it trusts."""

    server: Pair
    trusted: Path | None = None
    shown: Pair | None = None
    clients: Path | None = None


def expired(folder: Path) -> Around:
    authority = issued(folder, "ca")
    return Around(issued(folder, "127.0.0.1", authority, begins=NOW - 9 * DAY), authority.file)


def not_yet(folder: Path) -> Around:
    authority = issued(folder, "ca")
    return Around(issued(folder, "127.0.0.1", authority, begins=NOW + DAY), authority.file)


def self_signed(folder: Path) -> Around:
    return Around(issued(folder, "127.0.0.1"))


def other_host(folder: Path) -> Around:
    authority = issued(folder, "ca")
    return Around(issued(folder, "vtn.example", authority), authority.file)


def unknown_authority(folder: Path) -> Around:
    return Around(issued(folder, "127.0.0.1", issued(folder, "ca")))


def required(folder: Path) -> Around:
    authority = issued(folder, "ca")
    server = issued(folder, "127.0.0.1", authority)
    return Around(server, authority.file, clients=authority.file)


def refused(folder: Path) -> Around:
    shown = issued(folder, "client", issued(folder, "other ca"))
    return required(folder)._replace(shown=shown)


def refused_expired(folder: Path) -> Around:
    authority = issued(folder, "ca")
    shown = issued(folder, "client", authority, begins=NOW - 9 * DAY)
    server = issued(folder, "127.0.0.1", authority)
    return Around(server, authority.file, shown, authority.file)


@contextmanager
def server(case: Around, newest: ssl.TLSVersion) -> Iterator[int]:
    """Greet every client by TLS, and read what it says after that."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(case.server.file, case.server.key_file)
    tls.maximum_version = newest
    if case.clients is not None:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(case.clients)

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, suppress(OSError), tls.wrap_socket(connection, server_side=True) as wrapped:
                wrapped.recv(65_536)

    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


async def by_vtn(case: Around, port: int, folder: Path) -> VenError:
    shown = case.shown
    account = VtnAccount(
        url=f"https://127.0.0.1:{port}/openadr3/3.1.0",
        ca_file=case.trusted,
        cert_file=shown.file if shown else None,
        key_file=shown.key_file if shown else None,
        retries=0,
    )
    async with VenClient(account, SwiftClock()) as client:
        with pytest.raises(VtnUnreachable) as caught:
            await client.programs()
    return caught.value


async def by_broker(case: Around, port: int, folder: Path) -> VenError:
    options = {"tls": True, "values": [{"quantity": "power_kw"}]}
    if case.trusted:
        options["ca_file"] = str(case.trusted)
    if case.shown:
        options |= {"cert_file": str(case.shown.file), "key_file": str(case.shown.key_file)}
    resource = make_resource(ConnectionType.MQTT, host="127.0.0.1", port=port, topic="a", options=options)
    reader = open_mqtt_reader(resource, make_site(folder))
    try:
        with pytest.raises(ConnectorError) as caught:
            async with asyncio.timeout(120):
                await reader.read()
    finally:
        await reader.close()
    return caught.value


async def by_influx(case: Around, port: int, folder: Path) -> VenError:
    account = InfluxAccount(f"https://127.0.0.1:{port}", org="o", token="t", ca_file=case.trusted)
    async with InfluxServer(account) as client:
        with pytest.raises(StoreError) as caught:
            await client._send("GET", "/ping", {})
    return caught.value


PEERS = [by_vtn, by_broker, by_influx]
KINDS = [
    (expired, "VEN-TLS-280", "timedatectl"),
    (not_yet, "VEN-TLS-281", "timedatectl"),
    (self_signed, "VEN-TLS-282", "ca_file"),
    (other_host, "VEN-TLS-283", ""),
    (unknown_authority, "VEN-TLS-284", "ca_file"),
]


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize(("kind", "code", "hint"), KINDS)
async def test_a_certificate_that_is_not_accepted_is_named_by_its_kind(
    kind: Callable[[Path], Around],
    code: str,
    hint: str,
    peer: Callable[[Around, int, Path], Awaitable[VenError]],
    tmp_path: Path,
) -> None:
    """Expired, not yet valid, self-signed, for another host, or from an unknown authority."""
    case = kind(tmp_path)
    with server(case, ssl.TLSVersion.TLSv1_3) as port:
        error = await peer(case, port, tmp_path)
    assert error.code == code
    assert hint in error.hint


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("peer", [by_vtn, by_broker])
@pytest.mark.parametrize("kind", [required, refused, refused_expired])
async def test_a_client_certificate_is_named_where_it_is_the_cause(
    kind: Callable[[Path], Around], peer: object, newest: ssl.TLSVersion, tmp_path: Path
) -> None:
    """One that is missing, unknown or expired: whatever the server says, the hint names the setting."""
    case = kind(tmp_path)
    with server(case, newest) as port:
        error = await (by_vtn if peer is by_vtn else by_broker)(case, port, tmp_path)
    assert "cert_file" in error.hint
    if kind is not required:
        assert error.code in ("VEN-TLS-287", "VEN-TLS-288")
