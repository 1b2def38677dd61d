"""`ven doctor` against real VTNs, devices and files, and with everything broken."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes.modbus import pymodbus_server
from tests.peers import pick_port
from venclient.checkup import Finding
from venclient.clock import Clock, SystemClock
from venclient.doctor import examine
from venclient.errors import StoreError
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase
from venclient.settings import load_settings
from venclient.simulation.vtn import LocalVtn
from venclient.status import StatusServer
from venclient.vtn_examination import aside, checked

pytestmark = pytest.mark.peer

SECRET = "hunter2-hunter2"
SCOPES = ["read_targets", "read_ven_objects", "write_reports", "write_vens"]


class Ahead(SystemClock):
    """A clock that is a minute ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=60)


class Folder:
    """A folder with ven.toml and a registry."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, url: str, more: str = "", **members: str) -> None:
        keys = {"client_id": '"ven-1"', "client_secret": '"env:SECRET"', "allow_http": "true"} | members
        lines = "\n".join(f"{key} = {value}" for key, value in keys.items())
        text = f'[ven]\nname = "v"\n[vtn]\nurl = "{url}"\n{lines}\n[registry]\ndatabase = "r.db"\n{more}'
        (self.path / "ven.toml").write_text(text)

    def keep(self, port: int, **members: Any) -> None:
        options = {"unit": 1, "registers": [{"quantity": "power_kw", "address": 10, "type": "int16"}]}
        connection = Connection(
            ConnectionType.MODBUSTCP, ActorType.READER, "127.0.0.1", port=port, options=options
        )
        one = Resource("r1", "Hotel", "DSR", None, "m", connection, {"P_max_kw": 5.0}, {}, **members)
        with ResourceDatabase(self.path / "r.db") as registry:
            registry.upsert_resource(one)

    async def look(self, clock: Clock | None = None, vtn: str | None = None) -> dict[str, list[Finding]]:
        """Return what the doctor finds, by check (with the VTN's name before it)."""
        found: dict[str, list[Finding]] = {}
        for one in await examine(self.path / "ven.toml", vtn=vtn, within_s=120, clock=clock):
            assert SECRET not in repr(one)
            found.setdefault(f"{one.vtn} {one.check}".strip(), []).append(one)
        return found


def states(found: dict[str, list[Finding]]) -> dict[str, str]:
    """Return the worst state of each check."""
    order = ("ok", "warn", "fail")
    return {check: max((one.state for one in some), key=order.index) for check, some in found.items()}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Return an empty folder, with the secret in the environment."""
    monkeypatch.setenv("SECRET", SECRET)
    return Folder(tmp_path)


async def test_meter_files_outside_the_roots_are_listed(folder: Folder, tmp_path: Path) -> None:
    """Files in the registry's folder and in files.roots are well; others are named."""
    others = tmp_path.parent / f"{tmp_path.name}-meters"
    for place in (tmp_path, others, others / "roots"):
        place.mkdir(exist_ok=True)
        (place / "a.csv").write_text("time,power_kw\n2026-01-01T00:00:00Z,1\n")
    files = ["a.csv", str(others / "a.csv"), str(others / "roots" / "a.csv")]
    with ResourceDatabase(tmp_path / "r.db") as registry:
        for number, file in enumerate(files):
            connection = Connection(ConnectionType.FILEREADER, ActorType.READER, file=file)
            one = Resource(f"r{number}", f"Hotel {number}", "DSR", None, "m", connection, {}, {})
            registry.upsert_resource(one)
    folder.write("http://127.0.0.1:1", f'[files]\nroots = ["{others / "roots"}"]\n')

    (found,) = (await folder.look())["meter files"]
    assert (found.code, found.state) == ("VEN-DOC-104", "warn")
    assert str(others / "a.csv") in found.what
    assert "roots/a.csv" not in found.what


@asynccontextmanager
async def local_vtn(scopes: list[str] | None = None) -> AsyncIterator[LocalVtn]:
    """Run a VTN with a program."""
    account: dict[str, Any] = {"id": "ven-1", "secret": SECRET}
    async with LocalVtn(clients=[account | ({"scopes": scopes} if scopes else {})]) as vtn:
        vtn.add_program({"programName": "tariff"})
        yield vtn


async def test_each_thing_has_its_line_and_nothing_is_written(folder: Folder, free_port: int) -> None:
    """With no gateway running; the VTN is only read from, and the device read once."""
    async with local_vtn() as vtn, pymodbus_server(free_port, {1: {10: [7]}}):
        folder.write(vtn.url)
        folder.keep(free_port, reporting={"payload_types": ["USAGE"], "interval": "PT15M"})
        found = await folder.look()
        asked = {(one.method, one.path) for one in vtn.exchanges if one.method != "GET"}

    results = states(found)
    machine = {"settings", "clock", "disk", "registry", "readings", "gateway"}
    way = {"DNS", "TLS", "token", "scopes", "version", "programs", "registration", "notifiers"}
    assert results.keys() == machine | way | {"telemetry", "clock skew", "device Hotel"}
    assert {check for check, state in results.items() if state == "fail"} == set()
    assert {check for check, state in results.items() if state == "warn"} - {"clock"} == {
        "gateway",
        "registration",
        "telemetry",
    }
    assert found["device Hotel"][0].what.endswith("power_kw 7")
    assert found["registration"][0].code == "VEN-DOC-075"
    assert "ask the VTN's operator for an event" in found["telemetry"][0].advice
    assert asked == {("POST", "/auth/token")}
    assert vtn.vens == []


async def test_everything_broken_is_sentences_and_nothing_is_raised(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name server, a damaged registry and readings file, no gateway: each is reported, with what to do."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    folder.write("https://vtn.invalid/openadr3/3.1.1")
    (folder.path / "r.db").write_bytes(b"no database at all" * 500)
    (folder.path / "var").mkdir()
    (folder.path / "var" / "readings.db").write_bytes(b"nor this" * 1000)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    found = await folder.look()

    broken = {check for check, state in states(found).items() if state == "fail"}
    assert broken == {"registry", "readings", "DNS"}
    assert all(one.advice for check in broken for one in found[check])
    assert found["DNS"][0].code == "VEN-DOC-036"
    assert found["VTN"][0].code == "VEN-DOC-031"
    assert not any("unexpected" in one.what for some in found.values() for one in some)


async def test_wrong_settings_are_told_with_what_can_be_looked_at_all_the_same(folder: Folder) -> None:
    """Each mistake has its line."""
    (folder.path / "ven.toml").write_text('[vtn]\nurl = "vtn"\npoll_s = "often"\n')

    found = await folder.look()

    assert len(found["settings"]) == 3
    assert set(states(found)) == {"settings", "clock"}


async def test_missing_secret_is_a_finding(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The VTN is not asked without it."""
    monkeypatch.delenv("SECRET")
    folder.write("http://127.0.0.1:9/x")

    assert states(await folder.look())["account"] == "fail"


async def test_refused_secret_ends_the_conversation(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is what fails; what rests on it is not asked."""
    monkeypatch.setenv("SECRET", "wrong")
    async with local_vtn() as vtn:
        folder.write(vtn.url)
        found = await folder.look()

    assert found["token"][0].state == "fail"
    assert "vtn.client_secret" in found["token"][0].advice
    assert "programs" not in found


async def test_missing_scope_is_told_in_words(folder: Folder) -> None:
    """The account may read programs only: it says what it lacks, and whom to ask."""
    async with local_vtn(["read_targets"]) as vtn:
        folder.write(vtn.url)
        found = await folder.look()

    (scopes,) = found["scopes"]
    assert scopes.state == "fail"
    assert scopes.code == "VEN-DOC-059"
    assert "read programs and events; missing: read its own VEN" in scopes.what
    assert "read_ven_objects write_reports write_vens" in scopes.advice


async def test_row_70_clock_a_minute_ahead_is_told(folder: Folder) -> None:
    """The VTN's Date header is compared."""
    async with local_vtn() as vtn:
        folder.write(vtn.url)
        found = await folder.look(Ahead())

    (skew,) = found["clock skew"]
    assert skew.state == "fail"
    assert "ahead of the VTN's" in skew.what


async def test_row_68_vtn_without_notifiers_is_polled_and_that_is_said(folder: Folder) -> None:
    """403 at /notifiers is not a failure."""
    async with local_vtn() as vtn:
        folder.write(vtn.url)
        found = await folder.look()
        assert any(one.path == "/notifiers" and one.status == 403 for one in vtn.exchanges)

    (notifiers,) = found["notifiers"]
    assert (notifiers.state, notifiers.code) == ("ok", "VEN-DOC-082")


async def test_each_vtn_is_looked_at_and_one_alone_when_asked_for(folder: Folder) -> None:
    """A VTN that is away hides nothing of the other."""
    async with local_vtn() as vtn:
        further = f'[vtns.grid]\nurl = "http://127.0.0.1:{pick_port()}/openadr3/3.1.1"\nallow_http = true\n'
        folder.write(vtn.url, further)
        found = await folder.look()
        alone = await folder.look(vtn="grid")

    results = states(found)
    assert (results["token"], results["programs"]) == ("ok", "ok")
    assert (results["grid TLS"], "grid token" in results) == ("fail", False)
    assert found["grid TLS"][0].code == "VEN-DOC-038"
    assert (states(alone)["grid TLS"], "token" in alone) == ("fail", False)


async def test_vtn_that_is_not_in_the_settings_is_named(folder: Folder) -> None:
    """As a mistake of settings, with the names that there are."""
    folder.write("http://127.0.0.1:9/x")

    assert (await folder.look(vtn="nobody"))["settings"][0].code == "VEN-GWY-077"


async def test_devices_of_a_running_gateway_are_not_disturbed(folder: Folder, free_port: int) -> None:
    """The gateway's account of them is reported; the device itself sees no second connection."""
    folder.write("http://127.0.0.1:9/x")
    folder.keep(free_port)
    now = datetime.now(UTC).isoformat()
    row = {"resource": "r1", "name": "Hotel", "endpoint": "modbustcp x", "state": "ok", "last_ok": now}
    link = {"vtn": {"url": "u", "state": "connected"}, "reports": {"refused": 0}}
    snapshot = {"version": "1", "started": now, "now": now, "connections": [row], **link}
    server = StatusServer(load_settings(folder.path / "ven.toml").path("status.socket"), lambda: snapshot)
    await server.start()
    try:
        found = await folder.look()
    finally:
        await server.stop()

    assert found["gateway"][0].state == "ok"
    assert found["device Hotel"][0].what == "modbustcp x: read 0 s ago by the gateway"


async def test_gateway_of_another_version_is_survived(folder: Folder, free_port: int) -> None:
    """What its status lacks is a finding, not a traceback; devices are read without it."""
    folder.write("http://127.0.0.1:9/x")
    folder.keep(free_port)
    server = StatusServer(load_settings(folder.path / "ven.toml").path("status.socket"), dict)
    await server.start()
    try:
        found = await folder.look()
    finally:
        await server.stop()

    assert "unexpected KeyError" in found["gateway"][0].what
    assert "no server listens on this port" in found["device Hotel"][0].what


async def test_dark_device_has_the_hint_of_its_connection(folder: Folder, free_port: int) -> None:
    """Nothing listens there."""
    folder.write("http://127.0.0.1:9/x")
    folder.keep(free_port)

    (found,) = (await folder.look())["device Hotel"]

    assert found.state == "fail"
    assert "check host and port" in found.advice


async def test_devices_that_hang_do_not_hold_everything_up(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that could not be read in the time for all of them are counted."""

    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("venclient.doctor.take_snapshot", hang)
    folder.write("http://127.0.0.1:9/x")
    folder.keep(9)

    found = await examine(folder.path / "ven.toml", within_s=120, devices_within_s=0.05)

    assert [one.code for one in found if one.check == "devices"] == ["VEN-DOC-094"]


def certificate(folder: Path, days: int) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Own CA")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return files


@pytest.mark.parametrize(
    ("days", "members", "state", "said"),
    [
        (90, {}, "fail", "certificate rejected"),
        (90, {"ca_file": '"cert.pem"'}, "ok", "certificate issued by Own CA, valid until"),
        (5, {"ca_file": '"cert.pem"'}, "warn", "5 days left"),
        (90, {"verify": "false"}, "warn", "not verified"),
        (-3, {"ca_file": '"cert.pem"'}, "fail", "expired"),
    ],
)
async def test_tls_is_told_with_certificate_and_authority(
    folder: Folder, days: int, members: dict[str, str], state: str, said: str
) -> None:
    """Trusted or not, its issuer and its end are there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder.path, days))

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        folder.write(f"https://127.0.0.1:{port}/openadr3/3.1.1", **members)
        (found,) = (await folder.look())["TLS"]

    assert found.state == state
    assert said in found.what
    assert "Own CA" in found.what


async def test_port_without_tls_is_told(folder: Folder) -> None:
    """Speaking TLS to plain HTTP fails in OpenSSL's words; a sentence is what people get."""
    async with local_vtn() as vtn:
        folder.write(vtn.url.replace("http:", "https:"))
        (found,) = (await folder.look())["TLS"]

    assert (found.state, found.code) == ("fail", "VEN-DOC-041")


async def test_proxy_on_the_way_is_said(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The VTN's own name need not have an address then; its login is not shown."""
    monkeypatch.setenv("https_proxy", f"http://user:{SECRET}@127.0.0.1:{pick_port()}")
    folder.write("https://vtn.invalid/openadr3/3.1.1")

    found = await folder.look()

    assert found["DNS"][0].code == "VEN-DOC-035"
    assert found["TLS"][0].code == "VEN-DOC-037"
    assert "127.0.0.1:" in found["TLS"][0].what


async def test_check_that_fails_or_takes_too_long_is_a_finding() -> None:
    """Also one that fails in an unexpected way."""

    async def wait() -> None:
        await asyncio.Event().wait()

    async def break_down() -> None:
        raise KeyError("x")

    async def refuse() -> None:
        raise StoreError("is full", subject="disk", hint="make room")

    assert (await checked("a", wait(), within_s=0.01))[0].what == "no answer within 0.01 s"
    assert "unexpected KeyError" in (await checked("a", break_down(), within_s=120))[0].what
    assert await checked("a", refuse(), within_s=120) == [Finding("a", "fail", "disk: is full", "make room")]


async def test_blocking_work_gives_its_result_or_its_error() -> None:
    """In a thread that the loop does not wait for at its end."""
    assert await aside(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 // 0)


async def test_a_registry_that_is_not_there_is_named_with_the_command_that_makes_one(folder: Folder) -> None:
    """What the doctor says fits the settings: it has no --db itself."""
    folder.write("http://127.0.0.1:9/x")

    found = await examine(folder.path / "ven.toml", within_s=1)

    (registry,) = [one for one in found if one.check == "registry"]
    assert (registry.state, registry.code) == ("fail", "VEN-DOC-098")
    assert str(folder.path / "r.db") in registry.advice


async def test_a_registry_where_the_import_stores_is_found(folder: Folder) -> None:
    """A list that was imported without --db lies in config/: the setting for that is named."""
    folder.write("http://127.0.0.1:9/x")
    with ResourceDatabase(str(folder.path / "config" / "resources.db")):
        pass

    found = await examine(folder.path / "ven.toml", within_s=1)

    (registry,) = [one for one in found if one.check == "registry"]
    assert registry.code == "VEN-DOC-103"
    assert 'registry.database = "config/resources.db"' in registry.advice


async def test_a_folder_that_cannot_be_written_is_found_before_the_gateway_does(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readings and reports need a folder in which this user may write."""
    folder.write("http://127.0.0.1:9/x")
    monkeypatch.setattr("venclient.doctor.os.access", lambda place, mode: False)

    found = await examine(folder.path / "ven.toml", within_s=1)

    failed = [one.code for one in found if one.check == "disk" and one.state == "fail"]
    assert failed[0] == "VEN-DOC-099"
    assert failed.count("VEN-DOC-099") == 1


async def test_a_missing_settings_file_is_one_line_with_one_code(tmp_path: Path) -> None:
    """The message of the settings is shown with its own hint, and no other."""
    found = await examine(tmp_path / "ven.toml")

    (wrong,) = [one for one in found if one.check == "settings"]
    assert wrong.code == "VEN-CFG-003"
    assert "VEN-" not in wrong.what
    assert "ven config template" in wrong.advice
    assert wrong.advice not in wrong.what
