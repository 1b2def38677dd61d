"""The client against real sockets: TLS as strict as the standard wants, and connections that break."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.client.fake_vtn import SwiftClock
from tests.peers import missing
from venclient.client import VenClient, VtnAccount
from venclient.errors import ConfigError, VtnUnreachable
from venclient.openadr.objects import Report

pytestmark = pytest.mark.peer

PROGRAMS = b'[{"id": "P1", "programName": "day-ahead"}]'


class Certificate(NamedTuple):
    """PEM files of a certificate that signs itself, for 127.0.0.1."""

    file: Path
    key: Path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Make a certificate with openssl, or skip."""
    if shutil.which("openssl") is None:
        missing("openssl is not installed")
    made = Certificate(*(tmp_path_factory.mktemp("tls") / name for name in ("cert.pem", "key.pem")))
    asked = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    asked += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*asked, "-out", str(made.file), "-keyout", str(made.key)],
        check=True,
        capture_output=True,
        timeout=240,
    )
    return made


def server_tls(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.file, certificate.key)
    return context


@asynccontextmanager
async def server(body: bytes | None, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve one HTTP answer for every request, or read the request and hang up when `body` is None."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(h.split(b":")[1])
                    for h in head.lower().split(b"\r\n")
                    if h.startswith(b"content-length")
                ),
                0,
            )
            await reader.readexactly(length)
            if body is not None:
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                    % (len(body), body)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/openadr3/3.1.0"
    finally:
        listening.close()
        await listening.wait_closed()


@contextmanager
def strict_server(tls: ssl.SSLContext | None) -> Iterator[str]:
    """Serve as `server` does, on plain sockets in a thread: a client then learns why its handshake failed."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                try:
                    wrapped = tls.wrap_socket(connection, server_side=True) if tls else connection
                    with wrapped:
                        wrapped.recv(65_536)
                        wrapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(PROGRAMS))
                        wrapped.sendall(b"Connection: close\r\n\r\n" + PROGRAMS)
                except OSError:
                    continue

    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listening.getsockname()[1]}/openadr3/3.1.0"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


async def programs(account: VtnAccount) -> list[str]:
    async with VenClient(account, SwiftClock()) as client:
        return [program.program_name for program in (await client.programs()).items]


async def test_row_04_an_unknown_certificate_is_refused_and_said(certificate: Certificate) -> None:
    """A self-signed VTN is refused without further tries; the error says what to set."""
    async with server(PROGRAMS, server_tls(certificate)) as url:
        client = VenClient(VtnAccount(url=url), SwiftClock())
        async with client:
            with pytest.raises(VtnUnreachable, match="VEN-TLS-282") as caught:
                await client.programs()

            assert client.status.requests == 1
            assert "vtn.ca_file" in str(client.status.last_error)

    assert not caught.value.ambiguous


async def test_row_05_its_own_authority_or_the_switch_accepts_it(certificate: Certificate) -> None:
    """The same VTN is accepted with its authority's file, and with verification off."""
    async with server(PROGRAMS, server_tls(certificate)) as url:
        assert await programs(VtnAccount(url=url, ca_file=certificate.file)) == ["day-ahead"]
        assert await programs(VtnAccount(url=url, verify=False)) == ["day-ahead"]


async def test_row_06_a_vtn_with_tls_1_1_only_is_refused(certificate: Certificate) -> None:
    """Nothing older than TLS 1.2 is spoken, even where verification is off."""
    tls = server_tls(certificate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the point is to offer what is deprecated
        tls.set_ciphers("ALL:@SECLEVEL=0")
        tls.minimum_version = ssl.TLSVersion.TLSv1
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with strict_server(tls) as url, pytest.raises(VtnUnreachable, match="VEN-VTN-025"):
        await programs(VtnAccount(url=url, verify=False, retries=0))


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_row_05_a_vtn_that_asks_for_a_client_certificate_gets_ours(
    certificate: Certificate, newest: ssl.TLSVersion
) -> None:
    """With our certificate and key it answers; without, the error says what to set."""
    tls = server_tls(certificate)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(certificate.file)
    tls.maximum_version = newest
    with strict_server(tls) as url:
        known = VtnAccount(
            url=url, ca_file=certificate.file, cert_file=certificate.file, key_file=certificate.key
        )
        assert await programs(known) == ["day-ahead"]
        with pytest.raises(VtnUnreachable, match=r"vtn\.cert_file"):
            await programs(VtnAccount(url=url, ca_file=certificate.file, retries=0))


async def test_row_06_what_is_too_old_is_said(certificate: Certificate) -> None:
    """A VTN without TLS at its address is distinguished from one that is away."""
    with strict_server(None) as url, pytest.raises(VtnUnreachable, match="VEN-VTN-025") as caught:
        await programs(VtnAccount(url=url, retries=0))

    assert "vtn.url" in caught.value.hint


def test_an_encrypted_key_is_refused_without_asking_anybody(certificate: Certificate, tmp_path: Path) -> None:
    """OpenSSL would ask for the password at the terminal of the service."""
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "ec", "-in", certificate.key, "-out", locked, "-aes256", "-passout", "pass:secret"],
        check=True,
        capture_output=True,
        timeout=240,
    )
    account = VtnAccount(url="https://127.0.0.1", cert_file=certificate.file, key_file=locked)
    with pytest.raises(ConfigError, match="VEN-VTN-011"):
        account.tls_context()


async def test_plain_http_works_where_it_is_allowed() -> None:
    """With the switch, a VTN without TLS is spoken to."""
    async with server(PROGRAMS) as url:
        assert await programs(VtnAccount(url=url, allow_http=True)) == ["day-ahead"]


async def test_row_60_a_connection_that_breaks_after_the_request_leaves_doubt() -> None:
    """When the VTN hangs up on a report without an answer, the error is ambiguous."""
    async with server(None) as url, VenClient(VtnAccount(url=url, allow_http=True), SwiftClock()) as client:
        with pytest.raises(VtnUnreachable) as caught:
            await client.create_report(Report(event_id="E", client_name="c", resources=[]))

        assert client.status.requests == 1

    assert caught.value.ambiguous


async def test_a_port_where_nobody_listens_leaves_none(free_port: int) -> None:
    """A refused connection is repeated and then reported, without doubt."""
    account = VtnAccount(url=f"http://127.0.0.1:{free_port}", allow_http=True)
    async with VenClient(account, SwiftClock()) as client:
        with pytest.raises(VtnUnreachable) as caught:
            await client.create_report(Report(event_id="E", client_name="c", resources=[]))

        assert client.status.requests == 4

    assert not caught.value.ambiguous
