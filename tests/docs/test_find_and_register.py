"""The commands of the how-tos about finding a VTN, registering and the doctor work as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.snippets import snippet
from tests.vtn_thread import vtn_in_thread
from venclient.client.discovery import SERVICE
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase

pytestmark = pytest.mark.peer


def typed(text: str, folder: Path, *, statuses: tuple[int, ...] = (0,)) -> str:
    """Return what a block prints, when it ends with one of the statuses."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env={**os.environ, "PATH": path, "SECRET": "made-up"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode in statuses, f"{text}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


def settle(folder: Path, url: str, further: str) -> None:
    """Write settings towards two VTNs, and a registry with two hotels whose meters are files."""
    (folder / "ven.toml").write_text(
        f'[ven]\nname = "hotel-7"\n[vtn]\nurl = "{url}"\nallow_http = true\nclient_id = "ven-1"\n'
        f'client_secret = "env:SECRET"\n[vtns.operator]\nurl = "{further}"\nallow_http = true\n'
        'ven_name = "hotel-7-grid"\n[registry]\ndatabase = "r.db"\n'
    )
    (folder / "meter.csv").write_text("time,power\n2026-01-01T00:00:00Z,3.5\n")
    options = {"values": [{"quantity": "power_kw", "column": "power"}]}
    connection = Connection(ConnectionType.FILEREADER, ActorType.READER, file="meter.csv", options=options)
    with ResourceDatabase(folder / "r.db") as registry:
        for name in ("Phønix", "Hjørring"):
            one = Resource(name, f"Hotel {name}", "DSR", None, "m", connection, {"P_max_kw": 5.0}, {})
            registry.upsert_resource(one)


def test_site_is_registered_and_tidied_as_the_how_to_says(root: Path, tmp_path: Path) -> None:
    """Difference, registration, nothing left; a resource that goes is deleted there when asked for."""
    with vtn_in_thread() as vtn:
        settle(tmp_path, vtn.url, vtn.url)
        before = typed(snippet(root, "run: vtn diff"), tmp_path, statuses=(1,))
        typed(snippet(root, "run: vtn register"), tmp_path)
        after = typed(snippet(root, "run: vtn diff"), tmp_path)
        with ResourceDatabase(tmp_path / "r.db") as registry:
            registry.delete_resource("Hjørring")
        typed(snippet(root, "run: vtn clean"), tmp_path)
        left = [one["resourceName"] for one in vtn.resources]

    assert "to create: 2" in before
    assert "unchanged: 2" in after
    assert left == ["Hotel Phønix"]


def test_doctor_is_asked_as_the_how_to_says(root: Path, tmp_path: Path) -> None:
    """All checks, those of one further VTN, and the answer for programs."""
    with vtn_in_thread() as vtn, vtn_in_thread(anonymous=True) as further:
        settle(tmp_path, vtn.url, further.url)
        output = typed(snippet(root, "run: doctor"), tmp_path)
        more = typed(snippet(root, "run: doctor of one vtn"), tmp_path)

    page = (root / "docs" / "how-to" / "when-something-is-wrong.md").read_text(encoding="utf-8")
    lines = [line for line in output.splitlines() if line.startswith(("ok ", "warn ", "fail "))]
    checks = {line[5:].removeprefix("operator ").partition(":")[0] for line in lines}
    assert "ok   operator token: not needed: vtn.client_id is not set" in output
    assert {check for check in checks if check not in page and "device" not in check} == set()
    assert more.splitlines()[-1] == "True"
    assert "\nok   token" not in more


def test_vtn_on_the_local_network_is_found_as_the_how_to_says(root: Path, tmp_path: Path) -> None:
    """The announced VTN is there with its lines; the command stays on loopback."""
    import socket

    from zeroconf import ServiceInfo, Zeroconf

    text = snippet(root, "run: discover").strip() + " --interface 127.0.0.1"
    network = Zeroconf(interfaces=["127.0.0.1"])
    info = ServiceInfo(
        SERVICE,
        f"vtn-page.{SERVICE}",
        port=8443,
        server="vtn-page.local.",
        addresses=[socket.inet_aton("127.0.0.1")],
        properties={"version": "3.1.0", "base_path": "openadr3/3.1.0"},
    )
    try:
        network.register_service(info)
        output = typed(text, tmp_path)
    finally:
        network.unregister_all_services()
        network.close()

    assert 'url = "https://vtn-page.local:8443/openadr3/3.1.0"' in output
