"""`ven run`, `ven status` and `ven config`, as they are typed."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from venclient.cli import app, main
from venclient.coded_log import CodedFormatter
from venclient.messages import gateway as gwy


def ven(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `ven` in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "venclient", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("VEN_")},
    )


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run `ven` in this process and give its exit status."""
    monkeypatch.setattr(sys, "argv", ["ven", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code if isinstance(ended.value.code, int) else 0


GOOD = '[ven]\nname = "x"\n[vtn]\nurl = "https://vtn.example/openadr3/3.1.1"\n'


def test_a_wrong_configuration_is_told_whole_with_status_2(tmp_path: Path) -> None:
    """Every mistake has its line with file, key, value and expected form, without a traceback."""
    (tmp_path / "ven.toml").write_text('[vtn]\nurl = "vtn"\npoll_s = "often"\n[readings]\ncomit_s = 3\n')

    done = ven("run", "--config", "ven.toml", cwd=tmp_path)

    assert done.returncode == 2
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["ven.toml"] * 4
    assert "vtn.poll_s = 'often': expected seconds, a number above 0" in done.stderr
    assert "did you mean readings.commit_s?" in done.stderr


def test_a_missing_database_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a registry there is nothing to serve: status 2, and what to type."""
    (tmp_path / "ven.toml").write_text(GOOD)

    assert call(monkeypatch, "run", "--config", str(tmp_path / "ven.toml")) == 2
    assert "ven import" in capsys.readouterr().err


def test_status_without_a_gateway_says_so_with_status_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Programs and people can distinguish a stopped gateway from one that is in trouble."""
    (tmp_path / "ven.toml").write_text(GOOD)

    assert call(monkeypatch, "status", "--config", str(tmp_path / "ven.toml")) == 3
    assert "no gateway is running" in capsys.readouterr().out
    assert call(monkeypatch, "status", "--json", "--config", str(tmp_path / "ven.toml")) == 3
    assert json.loads(capsys.readouterr().out) == {"running": False}


def test_config_show_tells_values_and_origins_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each setting with where it came from; a secret stays a reference."""
    monkeypatch.setenv("GW", "hunter2")
    (tmp_path / "ven.toml").write_text(GOOD + 'client_id = "gw"\nclient_secret = "env:GW"\n')

    assert call(monkeypatch, "config", "show", "--json", "--config", str(tmp_path / "ven.toml")) == 0
    printed = capsys.readouterr().out
    rows = {row["key"]: row for row in json.loads(printed)}
    assert rows["vtn.client_secret"]["value"] == "env:GW"
    assert (rows["vtn.poll_s"]["value"], rows["vtn.poll_s"]["origin"]) == (60.0, "default")
    assert "hunter2" not in printed


def test_an_unknown_command_is_refused_with_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typo is reported as such."""
    assert call(monkeypatch, "rnu") == 2
    assert "No such command 'rnu'" in capsys.readouterr().err


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    """`ven --help` imports none of the libraries that only a running command needs."""
    code = (
        "import sys\nfrom venclient.cli import app\n"
        "heavy = ('asyncio', 'pandas', 'sqlalchemy', 'alembic', 'pymodbus', 'paho', 'httpx2', 'apsw')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
    assert app.info.name == "ven"


def test_log_lines_end_with_the_code() -> None:
    """A logged warning or error shows its code, also behind the name of its VTN; others stay as they are."""
    show = CodedFormatter("%(message)s").format

    def line(message: object, *arguments: object) -> str:
        return show(logging.LogRecord("venclient", logging.ERROR, "", 0, message, arguments, None))

    no_answer = gwy.STATUS_NO_ANSWER(problem="reset")
    assert line(no_answer).endswith(" [VEN-GWY-012]")
    assert line("%s%s", "VTN operator: ", no_answer).endswith(" [VEN-GWY-012]")
    assert line(gwy.STOPPED()) == "stopped"
    assert line("%s of %s", 1, 2) == "1 of 2"


def test_reload_with_mistakes_lists_them_and_says_that_nothing_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each mistake has its line; the last says what a running gateway does, and what to do."""
    file = tmp_path / "ven.toml"
    file.write_text(GOOD + 'poll_s = 0\npush = "x"\n')

    assert call(monkeypatch, "reload", "--config", str(file)) == 1
    *mistakes, last = capsys.readouterr().err.splitlines()
    assert [line[-13:] for line in mistakes] == ["[VEN-CFG-009]", "[VEN-CFG-011]"]
    assert last.endswith("[VEN-CLS-004]")

    assert call(monkeypatch, "reload", "--json", "--config", str(file)) == 1
    assert "VEN-CLS-004" in json.loads(capsys.readouterr().out)["problem"]


def test_config_show_without_a_file_says_where_it_looked_and_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the whole path and the command; after that command it shows the settings."""
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "config", "show") == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert said.startswith(f"ven.toml: no such file in {tmp_path}")
    assert "`ven config template > ven.toml`" in said
    assert "VEN-CFG-003" in said
    assert call(monkeypatch, "config", "template") == 0
    (tmp_path / "ven.toml").write_text(capsys.readouterr().out)
    assert call(monkeypatch, "config", "show") == 0


def test_config_show_needs_no_file_when_variables_say_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong variable is named beside the file that is missing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VEN_VEN_NAME", "x")
    monkeypatch.setenv("VEN_VTN_URL", "https://vtn.example")
    assert call(monkeypatch, "config", "show") == 0
    monkeypatch.setenv("VEN_VTN_POLL_S", "often")
    assert call(monkeypatch, "config", "show") == 2
    assert ["VEN-CFG-003" in line for line in capsys.readouterr().err.splitlines()] == [True, False]
