"""`ven vtn discover`, `ven vtn diff` and `ven vtn register`, as they are typed."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers import pick_port
from tests.vtn_thread import vtn_in_thread
from venclient.cli import main
from venclient.client.discovery import SERVICE, FoundVtn, read_announcement
from venclient.messages.cli_reports import EXTRA, HOW_TO_DELETE
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase
from venclient.simulation.vtn import Fault, LocalVtn

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


@pytest.fixture
def vtn() -> Iterator[LocalVtn]:
    """Run a local VTN that knows nothing of us."""
    with vtn_in_thread() as server:
        yield server


def write(vtn: LocalVtn, more: str = "") -> None:
    """Write settings that lead to a VTN."""
    Path("ven.toml").write_text(
        f'[ven]\nname = "hotel-7"\n[vtn]\nurl = "{vtn.url}"\nallow_http = true\nclient_id = "ven-1"\n'
        f'client_secret = "env:SECRET"\n[registry]\ndatabase = "r.db"\n{more}'
    )


def keep(count: int, **changes: Any) -> None:
    """Make the registry hold resources "Hotel 0" and so on."""
    connection = Connection(ConnectionType.MQTT, ActorType.READER, host="h", topic="t")
    with ResourceDatabase("r.db") as registry:
        registry.clear_all_resources()
        registry.bulk_upsert(
            Resource(
                f"r{n}",
                f"Hotel {n}",
                "DSR",
                None,
                f"m{n}",
                connection,
                **({"capacities": {"P_max_kw": 5.0}, "location": {}} | changes),
            )
            for n in range(count)
        )


def test_diff_and_register_bring_a_vtn_in_line(ven: Ven, vtn: LocalVtn) -> None:
    """Missing, registered, changed member by member, and in line again; status 1 while there is something."""
    write(vtn)
    keep(2)

    status, out, _ = ven("vtn", "diff")
    assert status == 1
    assert "VEN hotel-7: not registered" in out
    assert "to create: 2\n  + Hotel 0\n  + Hotel 1\n" in out
    assert ven("vtn", "register")[0] == 0
    assert ven("vtn", "diff")[:2] == (
        0,
        f"{vtn.url}\nVEN hotel-7: registered, id {vtn.vens[0]['id']}\nunchanged: 2\n",
    )
    keep(1, capacities={"P_max_kw": 7.5})
    status, out, _ = ven("vtn", "diff")
    assert status == 1
    assert (
        "  ~ Hotel 0\n      attributes.MAX_POWER_CONSUMPTION: the VTN has 5.0, the registry has 7.5\n"
        "extra at the VTN (not in the registry): 1\n  ? Hotel 1 (id "
    ) in out


def test_diff_tells_programs_all_of_it(ven: Ven, vtn: LocalVtn) -> None:
    """--json has what is created, updated with each member, adopted and extra."""
    write(vtn)
    keep(3)
    ven("vtn", "register")
    keep(1, capacities={"P_max_kw": 7.5})

    status, out, _ = ven("vtn", "diff", "--json")

    data = json.loads(out)
    assert (status, data["url"], data["ven"]["name"]) == (1, vtn.url, "hotel-7")
    assert [one["name"] for one in data["update"]] == ["Hotel 0"]
    assert data["update"][0]["drifts"] == [
        {"member": "attributes.MAX_POWER_CONSUMPTION", "held": [5.0], "wanted": [7.5]}
    ]
    assert (data["create"], data["adopt"]) == ([], [])
    assert [one["name"] for one in data["extra"]] == ["Hotel 1", "Hotel 2"]


def test_row_22_extra_resources_are_deleted_only_on_request(
    ven: Ven, vtn: LocalVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain register leaves them, a "no" as well; --yes deletes."""
    write(vtn)
    keep(3)
    ven("vtn", "register")
    keep(1)

    status, out, _ = ven("vtn", "register")
    assert (status, len(vtn.resources)) == (0, 3)
    assert EXTRA(count=2) in out
    assert HOW_TO_DELETE(option="") in out

    monkeypatch.setattr("typer.confirm", lambda text: False)
    assert ven("vtn", "register", "--delete-extra")[0] == 0
    assert len(vtn.resources) == 3

    status, out, _ = ven("vtn", "register", "--delete-extra", "--yes", "--json")
    assert (status, json.loads(out)["deleted"]) == (0, 2)
    assert [one["resourceName"] for one in vtn.resources] == ["Hotel 0"]


def test_json_deletes_nothing_without_yes(ven: Ven, vtn: LocalVtn) -> None:
    """A program cannot be asked."""
    write(vtn)
    keep(1)

    status, _, err = ven("vtn", "register", "--delete-extra", "--json")

    assert (status, "VEN-CLP-030" in err) == (2, True)


def test_records_that_cannot_be_read_keep_extra_resources_alive(ven: Ven, vtn: LocalVtn) -> None:
    """Else a damaged row would delete its resource at the VTN."""
    import sqlite3
    from contextlib import closing

    write(vtn)
    keep(2)
    ven("vtn", "register")
    with closing(sqlite3.connect("r.db")) as driver, driver:
        driver.execute("PRAGMA ignore_check_constraints = ON")
        driver.execute("UPDATE resources SET capacities = 'no json' WHERE resource_name = 'Hotel 1'")

    status, _, err = ven("vtn", "register", "--delete-extra", "--yes")

    assert status == 2
    assert "VEN-CLP-031" in err
    assert len(vtn.resources) == 2


def test_refusals_are_named_and_make_the_status_1(ven: Ven, vtn: LocalVtn) -> None:
    """One that is refused stops no other."""
    write(vtn)
    keep(3)
    vtn.faults.append(Fault(method="POST", path="^/resources", status=400))

    status, out, _ = ven("vtn", "register", "--at-once", "1")

    assert status == 1
    assert "created 2" in out
    assert "rejected: Hotel 0: " in out


def test_three_hundred_resources_are_registered(ven: Ven, vtn: LocalVtn) -> None:
    """Over HTTP, eight at a time, each once; interrupted by the VTN, the next run continues."""
    write(vtn)
    keep(300)
    vtn.faults.append(Fault(method="POST", path="^/resources", status=501, skip=100, times=1))

    status, out, _ = ven("vtn", "register", "--json")
    assert (status, json.loads(out)["created"], len(json.loads(out)["refused"])) == (1, 299, 1)
    status, out, _ = ven("vtn", "register", "--json")
    assert (status, json.loads(out)["created"]) == (0, 1)
    assert len({one["resourceName"] for one in vtn.resources}) == 300


def test_further_vtn_is_named_by_its_table(ven: Ven, vtn: LocalVtn) -> None:
    """--vtn takes the account and the VEN's name of [vtns.NAME]."""
    with vtn_in_thread(anonymous=True) as other:
        write(vtn, f'[vtns.grid]\nurl = "{other.url}"\nallow_http = true\nven_name = "hotel-7-grid"\n')
        keep(1)
        assert ven("vtn", "register", "--vtn", "grid")[0] == 0
        names = [one["venName"] for one in other.vens]
        keep(2)
        assert "ven vtn register --vtn grid`" in ven("vtn", "diff", "--vtn", "grid")[1]
    status, _, err = ven("vtn", "diff", "--vtn", "gird")

    assert (names, vtn.vens) == (["hotel-7-grid"], [])
    assert (status, "grid" in err) == (2, True)


def test_vtn_that_is_away_is_a_sentence(ven: Ven, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 1, and the request that failed."""
    with vtn_in_thread() as gone:
        write(gone)
    keep(1)
    monkeypatch.setattr("venclient.client.exchange._BACKOFF_BASE_S", 0.001)

    status, out, err = ven("vtn", "diff")

    assert (status, out) == (1, "")
    assert err.startswith("GET http://127.0.0.1:")


def test_vtn_that_is_away_is_said_once(
    ven: Ven, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the command is not logged on standard error as well."""
    monkeypatch.setattr("venclient.client.exchange._BACKOFF_BASE_S", 0.001)
    Path("ven.toml").write_text(
        f'[ven]\nname = "hotel-7"\n[vtn]\nurl = "http://127.0.0.1:{pick_port()}/x"\nallow_http = true\n'
        '[registry]\ndatabase = "r.db"\n'
    )
    keep(1)

    status, _, err = ven("vtn", "diff")

    assert status == 1
    assert err.count("VEN-VTN-023") == 1
    assert not [one for one in caplog.records if one.name == "venclient.client.exchange"]


def hear(monkeypatch: pytest.MonkeyPatch, *found: FoundVtn) -> list[dict[str, Any]]:
    """Let the local network announce these VTNs; give how it was listened to."""
    asked: list[dict[str, Any]] = []

    async def discover(clock: object, **options: Any) -> list[FoundVtn]:
        asked.append(options)
        return list(found)

    monkeypatch.setattr("venclient.client.discovery.discover", discover)
    return asked


def test_row_03_discover_prints_what_to_write_in_the_settings(
    ven: Ven, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The VTN with its host, whether it wants a login, and lines that load; no file is written."""
    txt: dict[bytes, bytes | None] = {
        b"version": b"3.1.0",
        b"base_path": b"openadr3/3.1.0",
        b"requires_auth": b"True",
        b"program_names": b"tariff",
    }
    found = read_announcement(f"Site.{SERVICE}", "vtn-7.local.", 8443, ["192.0.2.7"], txt)
    asked = hear(monkeypatch, found)

    status, out, _ = ven("vtn", "discover", "--timeout", "3", "--interface", "192.0.2.9")
    data = json.loads(ven("vtn", "discover", "--json")[1])

    assert (status, asked[0]) == (0, {"within_s": 3, "interfaces": ["192.0.2.9"]})
    assert out.startswith(
        "Site: OpenADR 3.1.0, login required\n  host      vtn-7.local (192.0.2.7), port 8443\n"
        "  programs  tariff\n"
    )
    lines = "\n".join(line for line in out.splitlines() if line.startswith("    "))
    url = "https://vtn-7.local:8443/openadr3/3.1.0"
    assert tomllib.loads(lines) == {"vtn": {"url": url, "programs": ["tariff"]}}
    assert (data[0]["url"], tomllib.loads(data[0]["settings"])["vtn"]["url"]) == (url, url)
    assert list(Path.cwd().iterdir()) == []


def test_discover_that_finds_nothing_says_so(ven: Ven, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 1; it says that only VTNs on the local network can be found."""
    hear(monkeypatch)

    status, out, _ = ven("vtn", "discover")

    assert (status, "VEN-CLP-029" in out) == (1, True)
    assert ven("vtn", "discover", "--json")[:2] == (1, "[]\n")
