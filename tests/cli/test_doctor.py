"""`ven doctor`, as it is typed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.vtn_thread import vtn_in_thread
from venclient.cli import main
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase

pytestmark = pytest.mark.peer

Ven = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ven:
    """Return `ven` in a separate folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "made-up")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ven", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code if isinstance(ended.value.code, int) else 0, captured.out, captured.err

    return call


def write(url: str) -> None:
    """Write settings that lead to a VTN, and a registry with a meter that is a file."""
    Path("ven.toml").write_text(
        f'[ven]\nname = "v"\n[vtn]\nurl = "{url}"\nallow_http = true\nclient_id = "ven-1"\n'
        'client_secret = "env:SECRET"\n[registry]\ndatabase = "r.db"\n'
    )
    Path("meter.csv").write_text("time,power\n2026-01-01T00:00:00Z,3.5\n")
    options = {"values": [{"quantity": "power_kw", "column": "power"}]}
    connection = Connection(ConnectionType.FILEREADER, ActorType.READER, file="meter.csv", options=options)
    with ResourceDatabase("r.db") as registry:
        registry.upsert_resource(Resource("r1", "Hotel", "DSR", None, "m", connection, {"P_max_kw": 5.0}, {}))


def test_doctor_has_a_line_for_each_check(ven: Ven) -> None:
    """State, what, and below it what to do; nothing failed, therefore the status is 0."""
    with vtn_in_thread() as vtn:
        write(vtn.url)
        status, out, err = ven("doctor")

    lines = out.splitlines()
    assert (status, err) == (0, ""), out
    assert lines[0] == "ok   settings: ven.toml is valid, 1 VTN"
    assert "ok   token: received as ven-1" in lines
    assert "      start it: ven run --config ven.toml" in lines
    assert any(line.startswith("ok   device Hotel: ") and "power_kw 3.5" in line for line in lines)
    assert " checks: 0 failed, " in lines[-1]


def test_doctor_tells_programs_and_fails_with_status_1(ven: Ven) -> None:
    """--json has each check; with a VTN that is away the status is 1, and no traceback is printed."""
    with vtn_in_thread() as vtn:
        write(vtn.url)
    status, out, err = ven("doctor", "--json")

    data = json.loads(out)
    assert (status, data["ok"], err) == (1, False, "")
    assert [one["check"] for one in data["checks"] if one["state"] == "fail"] == ["TLS"]
    assert all(re.fullmatch(r"VEN-[A-Z]{3}-\d{3}", one["code"]) for one in data["checks"])
    assert "made-up" not in out


def test_doctor_without_settings_says_how_to_get_some(ven: Ven) -> None:
    """A missing file is the first thing that people meet."""
    status, out, _ = ven("doctor")

    assert status == 1
    assert out.startswith("fail settings: ven.toml: no such file")
