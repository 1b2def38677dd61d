"""Every command that only looks, on a site whose files cannot be written, with changes in unmerged logs.

Tried on a read-only mount, and (everywhere) in folders without write permission.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.read_only import SETTINGS, by_mode, by_mount, entries, make_site, obeying_modes
from tests.waiting import wait_until
from venclient.errors import StoreError
from venclient.status import StatusServer, ask

pytestmark = pytest.mark.peer

#: Runs commands of `ven` one after the other, and prints status and output of each as JSON.
DRIVER = """
import contextlib, io, json, sys
from venclient import read_only
from venclient.cli import main

done = {}
for line in json.loads(sys.argv[1]):
    read_only._reported.clear()
    out, err, status = io.StringIO(), io.StringIO(), 0
    sys.argv = ["ven", *line.split()]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            status = ended.code or 0
    done[line] = [status, out.getvalue(), err.getvalue()]
print(json.dumps(done))
"""

#: What a command must print, on standard output, of a site whose newest rows are in the logs only.
SHOWN = {
    "resources list": "in-the-log",
    "resources show in-the-log": "in-the-log",
    "resources stats": "2 resources",
    "resources history merged": "insert",
    "resources export - --format csv": "in-the-log",
    "resources set --all resourceName=New --dry-run": "2 of 2 resources",
    "import sites.csv --dry-run": "created 1, updated 0, unchanged 1",
    "db check": "2 resources",
    "db backup WORK/backup.db": "2 resources",
    "db rescue WORK/rescued.db": "2 resources",
    "db copy config/resources.db WORK/copy.db": "resources",
    "db migrate": "current",
    "connections test in-the-log": "4.5",
    "read in-the-log": "4.5",
    "readings show merged": "7.250",
    "readings export": "7.25",
    "readings export --output WORK/readings.csv": "1 readings",
    "readings aside": "no readings are quarantined",
    "readings check": "1 series",
    "reports list": "1 sent",
    "reports show KEY": "KEY",
    "reports coverage": "intervals due",
    "reports export": "vtn,day",
    "config show": "Herning",
}
#: Files that these commands report as read-only.
REPORTED = {
    "readings": ["readings.db"],
    "reports": ["state.db"],
    "config": [],
}
#: Commands that have to write: exit status and code.
REFUSED = {
    "resources set --all resourceName=New": (1, "VEN-DBF-013"),
    "import sites.csv": (2, "VEN-DBF-013"),
    "db backup": (1, "VEN-DBF-018"),
    "db backup .": (1, "VEN-DBF-018"),
    "db restore WORK/backup.db": (1, "VEN-DBF-013"),
    "db seal": (1, "VEN-DBF-013"),
    "db copy WORK/copy.db config/resources.db": (1, "VEN-DBF-013"),
    "readings export --output readings.csv": (2, "VEN-CLP-005"),
    "reports export --output reports.csv": (2, "VEN-CLP-005"),
    "reports retry KEY": (1, "VEN-DBF-089"),
    "run": (1, "VEN-DBF-089"),
}


class Done(NamedTuple):
    """What became of a command."""

    status: int
    out: str
    err: str


class Site(NamedTuple):
    """A site on a medium that cannot be written: what each command did there, and what it left behind."""

    done: dict[str, Done]
    before: list[str]
    after: list[str]
    temporary: list[str]
    key: str


Runner = Callable[[Path, list[str], dict[str, str]], subprocess.CompletedProcess[str]]


def run_all(runner: Runner, base: Path, commands: list[str], **more: str) -> Site:
    """Run commands on a separate site, one after the other."""
    folder, work, temporary = base / "site", base / "work", base / "temporary"
    for one in (folder, work, temporary):
        one.mkdir()
    key = make_site(folder, base / "live")
    lines = {line: line.replace("WORK", str(work)).replace("KEY", key) for line in commands}
    environment = {**os.environ, "TMPDIR": str(temporary), "VEN_TEST_SECRET": "secret", **more}
    before = entries(folder)
    program = [sys.executable, "-c", DRIVER, json.dumps([*lines.values()])]
    ended = runner(folder, program, environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    parsed = json.loads(ended.stdout.splitlines()[-1])
    done = {line: Done(*parsed[typed]) for line, typed in lines.items()}
    return Site(done, before, entries(folder), entries(temporary), key)


@pytest.fixture(scope="module", params=[by_mount, by_mode])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return what all commands did on a site that cannot be written."""
    return run_all(request.param, tmp_path_factory.mktemp("media"), [*SHOWN, "doctor --timeout 1", *REFUSED])


@pytest.mark.parametrize("command", SHOWN)
def test_command_that_looks_shows_what_is_in_the_logs_too(site: Site, command: str) -> None:
    """The rows of an unmerged log are among what is shown, and the exit status is as ever."""
    done = site.done[command]
    assert done.status == 0, done
    assert SHOWN[command].replace("KEY", site.key) in done.out


@pytest.mark.parametrize("command", SHOWN)
def test_command_reports_each_read_only_file_once(site: Site, command: str) -> None:
    """A warning names the file that was opened for reading, with its code, once a command."""
    wanted = REPORTED.get(command.split(maxsplit=1)[0], ["resources.db"])
    if command == "db check":
        wanted = ["resources.db", "readings.db"]
    elif command.startswith("reports show"):
        wanted = ["state.db", "readings.db"]
    elif command == "reports coverage":
        wanted = ["state.db", "resources.db"]

    lines = [line for line in site.done[command].err.splitlines() if "VEN-DBF-010" in line]

    assert len(lines) == len(wanted), lines
    assert all(any(f"{name} " in line for line in lines) for name in wanted)


@pytest.mark.parametrize("command", REFUSED)
def test_command_that_must_write_is_refused_in_one_line(site: Site, command: str) -> None:
    """The refusal has a code and no traceback, and the exit status says that nothing was done."""
    status, code = REFUSED[command]
    done = site.done[command]
    assert (done.status, "Traceback" in done.err) == (status, False), done
    assert code in done.err.splitlines()[-1]


def test_backup_without_a_place_names_another(site: Site) -> None:
    """`ven db backup` beside a database that cannot be written says to name a folder elsewhere."""
    assert "ven db backup FOLDER" in site.done["db backup"].err


def test_doctor_names_each_file_that_cannot_be_written(site: Site) -> None:
    """Registry, readings and state are named, and the examination goes on."""
    out = site.done["doctor --timeout 1"].out
    lines = out.splitlines()
    assert sum("VEN-DBF-010" in line and "resources.db" in line for line in lines) == 1
    assert sum("VEN-DBF-089" in line and "readings.db" in line for line in lines) == 1
    assert sum("VEN-DBF-089" in line and "state.db" in line for line in lines) == 1
    assert any(line.startswith("ok") and "registry" in line for line in lines)


def test_nothing_is_changed_or_left_behind(site: Site) -> None:
    """The site has the files that it had, and the temporary folder is empty."""
    assert site.after == site.before
    assert site.temporary == []


def test_gateway_runs_on_a_registry_that_is_read_only(tmp_path: Path) -> None:
    """Only readings and state have to be written: the meters are read, and the log has one warning."""
    site, work = tmp_path / "site", tmp_path / "work"
    site.mkdir()
    work.mkdir()
    make_site(site, tmp_path / "live")
    settings = SETTINGS.replace("config/resources.db", str(site / "config" / "resources.db"))
    (work / "ven.toml").write_text(settings)
    places = [site / "config", *(site / "config").iterdir()]
    for one in places:
        one.chmod(0o555 if one.is_dir() else 0o444)

    command = [sys.executable, "-m", "venclient", "run"]
    environment = {**os.environ, "VEN_TEST_SECRET": "secret"}
    gateway = subprocess.Popen(
        obeying_modes(command), cwd=work, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        wanted = {"merged": 4.5, "in-the-log": 4.5}
        wait_until(lambda: values_of(work / "var" / "ven.sock") == wanted, "the meters are read")
    finally:
        gateway.terminate()
        _, log = gateway.communicate(timeout=60)
        for one in places:
            one.chmod(0o755)

    assert gateway.returncode == 0
    assert log.count("VEN-DBF-010") == 1
    assert "Traceback" not in log


def values_of(socket: Path) -> dict[str, float]:
    """Return the newest power of each resource, as a running gateway reports it."""
    snapshot = ask(socket)
    rows = snapshot["connections"] if snapshot else []
    return {row["resource"]: row["latest"]["power_kw"]["value"] for row in rows if row["latest"]}


async def test_status_socket_that_cannot_be_created_is_an_error_with_a_code(tmp_path: Path) -> None:
    """The folder of the socket is in the way: one line says so, and what to set."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="VEN-DBF-091"):
        await StatusServer(tmp_path / "file" / "ven.sock", dict).start()


def test_clean_import_from_a_read_only_medium_works(tmp_path: Path) -> None:
    """An older file of rejected rows that cannot be removed does not make it fail."""

    def runner(folder: Path, command: list[str], more: dict[str, str]) -> subprocess.CompletedProcess[str]:
        (folder / "sites.csv.rejects.csv").write_text("file,line,column,reason,original\n")
        return by_mode(folder, command, more)

    found = run_all(runner, tmp_path, ["import sites.csv --db WORK/new.db"])
    assert found.done["import sites.csv --db WORK/new.db"].status == 0


def test_status_says_that_no_gateway_runs(tmp_path: Path) -> None:
    """`ven status` needs no file of the site."""
    found = run_all(by_mode, tmp_path, ["status"])
    assert found.done["status"].status == 3


FULL = """
import shutil, sys
shutil.disk_usage = lambda _: shutil._ntuple_diskusage(100, 90, 10)
"""


def test_what_does_not_fit_is_reported_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for a temporary copy the log's rows are not shown, and a warning says so."""
    monkeypatch.setattr(sys.modules[__name__], "DRIVER", FULL + DRIVER)
    commands = ["resources list", "readings check", "reports list", "doctor --timeout 1"]
    found = run_all(by_mode, tmp_path, commands).done

    assert "merged" in found["resources list"].out
    assert "in-the-log" not in found["resources list"].out
    assert found["resources list"].err.count("VEN-DBF-011") == 1
    assert found["readings check"].err.count("VEN-DBF-011") == 1
    assert found["reports list"].err.count("VEN-DBF-011") == 1
    assert found["doctor --timeout 1"].out.count("VEN-DBF-011") == 3
