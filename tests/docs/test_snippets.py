"""The commands of README and the how-tos work as they stand, in a folder with the sample sites."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.docs.snippets import snippet, snippets
from tests.fakes.modbus import pymodbus_server
from tests.peers import missing, wait_for_port, wait_for_text
from venclient.settings import load_settings
from venclient.simulation.vtn import LocalVtn

SECRET = "made-up"
SCHOOLS = "Latitude,Longitude,Skolenavn,ADRESSE\n58.964696,5.707375,Eiganes skole,Duesvei 35\n"
CHARGERS = (
    "Betreiber;Straße;Hausnummer;Postleitzahl;Ort;Breitengrad;Längengrad;Anschlussleistung\n"
    "Stadtwerke;Kennedyplatz;1;50569;Köln;50,937417;6,97069;44\n"
    "Stadtwerke;Kennedyplatz;1;50569;Köln;50,937417;6,97069;44\n"
)


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    """Return a folder as a user has it: the doors, the settings and the sample sites."""
    for name in ("exampleassets", "examplemeterdata"):
        shutil.copytree(root / "config" / name, tmp_path / "config" / name)
    shutil.copy(root / "config" / "ven.toml", tmp_path / "config")
    for door in ("prepare_samples.py", "demo_db_usage.py", "resource_db.py", "flex_resources.py"):
        shutil.copy(root / door, tmp_path)
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a terminal in which the virtual environment is active."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "COLUMNS": "80", **more}


def shell(text: str, folder: Path, **more: str) -> str:
    """Return what a block prints on standard output; fail when a command fails."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


def python(text: str, folder: Path) -> str:
    """Return what a Python block prints."""
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def service(text: str, folder: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Run a block that goes on until Ctrl-C; it is interrupted on the way out, and has to end well."""
    with (folder / "service.log").open("w") as log:
        process = subprocess.Popen(
            ["bash", "-euc", _last_in_place(text)],
            cwd=folder,
            env=environment(**more),
            stdout=log,
            stderr=log,
            text=True,
        )
    try:
        yield process
        assert process.poll() is None, (folder / "service.log").read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 130), (folder / "service.log").read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _last_in_place(text: str) -> str:
    """Let the block's last command take the shell's place, to receive signals."""
    *before, last = text.strip().splitlines()
    return "\n".join([*before, f"exec {last}"])


def test_every_block_is_tried_or_says_why_not(root: Path) -> None:
    """An untried block is a drawing without a language, a make target, or a part of a file."""
    untried = [
        (one.page, one.text)
        for one in snippets(root)
        if one.language
        and not one.mark.startswith(("run: ", "file: ", "output: ", "settings: ", "part of a file"))
    ]

    assert untried == []


def test_the_make_targets_of_the_readme_exist(root: Path) -> None:
    """`make demo` and `make test` are what README begins with."""
    commands = [one.text.strip() for one in snippets(root) if one.text.startswith("make ")]
    targets = [line.split(":")[0] for line in (root / "Makefile").read_text().splitlines() if ":  ##" in line]

    assert commands == ["make demo", "make test"]
    assert {one.removeprefix("make ") for one in commands} <= {target.split(" ")[0] for target in targets}


@pytest.mark.peer
def test_the_samples_are_built_toured_and_asked_from_python(root: Path, folder: Path) -> None:
    """README, 'From Python': the scripts and then the snippet, as typed."""
    toured = shell(snippet(root, "run: samples"), folder)
    asked = python(snippet(root, "run: python"), folder)

    assert "500 resources" in toured
    assert asked == "16 of 500 resources are in Herning\n"


@pytest.mark.peer
async def test_a_site_of_ones_own_runs_against_a_vtn(root: Path, folder: Path) -> None:
    """README, 'Your own site': the gateway registers its resources, and says which meters are missing."""
    listed = shell(snippet(root, "run: site"), folder)
    assert "rejected 0" in listed

    run, status = snippet(root, "run: service").strip().splitlines()
    async with LocalVtn(clients=[{"id": "gateway-1", "secret": SECRET, "role": "ven"}]) as vtn:
        variables = {
            "VTN_CLIENT_SECRET": SECRET,
            "VEN_VTN_URL": vtn.url,
            "VEN_VTN_ALLOW_HTTP": "true",
        }
        with service(run, folder, **variables):
            shown = await until(lambda: connected(status, folder, variables))

    assert "VEN      Herning, 2 of 2 resources registered" in shown
    assert "meterdata/" in shown


def connected(status: str, folder: Path, told: dict[str, str]) -> str | None:
    """Return what the status command prints once the gateway has registered its two resources."""
    done = subprocess.run(
        ["bash", "-c", status],
        cwd=folder,
        env=environment(**told),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if "2 of 2 resources" in done.stdout else None


async def until(found: Any, *, within_s: float = 60.0) -> str:
    """Return the result of `found` once it has one; the event loop goes on meanwhile."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if text := await asyncio.to_thread(found):
            return str(text)
    pytest.fail(f"not within {within_s} s")


@pytest.mark.peer
def test_imports_go_as_their_how_to_says(root: Path, folder: Path) -> None:
    """Sample sites, a foreign header by --map, and a mapping beside the file with equal rows numbered."""
    shutil.copy(folder / "config" / "exampleassets" / "hotels-in-denmark.csv", folder)
    (folder / "schools-stavanger.csv").write_text(SCHOOLS, encoding="utf-8")
    (folder / "chargers.csv").write_text(CHARGERS, encoding="utf-8")
    (folder / "chargers.toml").write_text(snippet(root, "file: chargers.toml"), encoding="utf-8")

    assert "created 59" in shell(snippet(root, "run: hotels"), folder)
    assert "created 1," in shell(snippet(root, "run: schools"), folder)
    assert "created 2," in shell(snippet(root, "run: chargers"), folder)
    (folder / "warehouses.csv").write_text(snippet(root, "file: warehouses.csv"), encoding="utf-8")
    assert snippet(root, "output: warehouses") in shell(snippet(root, "run: warehouses"), folder)
    listed = json.loads(shell("ven resources list --type EV --json", folder))

    assert {one["connection"]["host"] for one in listed} == {"broker.local"}
    assert {one["capacities"]["P_max_kw"] for one in listed} == {44.0}


@pytest.mark.peer
async def test_a_site_is_given_a_meter_and_read(root: Path, folder: Path, free_port: int) -> None:
    """The how-to's Modbus meter, at another address, is stored for the site and read."""
    shell(snippet(root, "run: site"), folder)
    text = snippet(root, "run: connect")
    assert 'host="192.0.2.10"' in text
    assert "port=502" in text
    python(text.replace("192.0.2.10", "127.0.0.1").replace("port=502", f"port={free_port}"), folder)

    async with pymodbus_server(free_port, {1: {10: [7, 41_248, 2345]}}):
        output = await asyncio.to_thread(shell, snippet(root, "run: read"), folder)

    assert "power_kw" in output
    assert "23.45" in output
    assert "500" in output


@pytest.mark.peer
def test_the_local_vtn_is_served_seeded_and_asked(root: Path, folder: Path, free_port: int) -> None:
    """The how-to's seed is taken, and its curl commands get the event."""
    if shutil.which("curl") is None:
        missing("curl is not installed")
    (folder / "seed.toml").write_text(snippet(root, "file: seed.toml"), encoding="utf-8")

    with service(snippet(root, "run: seeded").replace("8081", str(free_port)), folder):
        wait_for_port(free_port)
        text = snippet(root, "run: curl").replace("8081", str(free_port))
        (event,) = json.loads(shell(text, folder, VEN_1_SECRET=SECRET))
        (folder / "seed.toml").write_text('[[programs]]\nprogramName = "more"\n', encoding="utf-8")
        port = str(free_port)
        output = shell(snippet(root, "run: desk"), folder, VEN_SIMULATE_VTN_PORT=port).splitlines()

    assert output[0].startswith("program more ")
    assert [line.split(":")[0].split(" ", 2)[2] for line in output[1:3]] == ["usage every 10 s"] * 2
    assert (output[3], output[-1]) == ("no reports yet", "withdrew event usage every 10 s")
    assert (event["eventName"], len(event["intervals"])) == ("usage every 10 s", 6)
    assert SECRET not in (folder / "service.log").read_text()


@pytest.mark.peer
def test_the_local_vtn_is_served_without_a_seed(root: Path, folder: Path, free_port: int) -> None:
    """Without a seed it makes up two clients and prints them."""
    with service(snippet(root, "run: vtn").replace("8081", str(free_port)), folder):
        wait_for_port(free_port)
        # It listens a moment before it prints.
        output = wait_for_text(folder / "service.log", "ven-1")

    assert "bl-1" in output


def test_the_settings_for_the_local_vtn_are_right(root: Path, tmp_path: Path) -> None:
    """The lines for ven.toml load, together with a name."""
    file = tmp_path / "ven.toml"
    file.write_text(f'[ven]\nname = "x"\n{snippet(root, "settings: gateway")}', encoding="utf-8")

    assert load_settings(file, environment={})["vtn.allow_http"] is True


@pytest.mark.peer
async def test_the_vtn_in_a_test_does_what_the_how_to_shows(root: Path) -> None:
    """A report that was stored but not answered is there once, also after the VTN was down."""

    async def send_a_report(url: str, event_id: str) -> None:
        report = {"eventID": event_id, "clientName": "v", "reportName": "r", "resources": []}
        login = {"grant_type": "client_credentials", "client_id": "ven-1", "client_secret": "s"}
        async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
            token = (await client.post("/auth/token", data=login)).json()["access_token"]
            with pytest.raises(httpx2.HTTPError):
                await client.post("/reports", json=report, headers={"Authorization": f"Bearer {token}"})

    code = compile(
        snippet(root, "run: in a test"), "local-vtn.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    names: dict[str, Any] = {"send_a_report": send_a_report}
    await eval(code, names)

    assert len(names["vtn"].reports) == 1


def test_parts_of_files_can_be_read(root: Path) -> None:
    """What is shown as a part of a file is right TOML or JSON."""
    parts = [one for one in snippets(root) if one.mark == "part of a file"]
    readers: dict[str, Any] = {"toml": tomllib.loads, "json": json.loads}

    assert all(readers[one.language](one.text) for one in parts)
