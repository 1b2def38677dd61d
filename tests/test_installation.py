"""Installation hints: the command names what pip can find from where the user stands."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from venclient import installation
from venclient.installation import install_arguments, install_hint, pip_install, requirements_of

ROOT = Path(__file__).parent.parent


class _Recorded:
    def __init__(self, direct_url: dict[str, Any] | None) -> None:
        self._direct_url = direct_url

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self._direct_url is None else json.dumps(self._direct_url)


def _recorded(
    monkeypatch: pytest.MonkeyPatch, requires: list[str], direct_url: dict[str, Any] | None = None
) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: requires)
    monkeypatch.setattr(metadata, "distribution", lambda _: _Recorded(direct_url))


@pytest.mark.parametrize(
    ("folder", "expected"),
    [(".", "'.[postgresql]'"), ("docs", "'..[postgresql]'"), ("docs/how-to", "'../..[postgresql]'")],
)
def test_checkout_is_named_from_the_current_folder(
    folder: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _recorded(monkeypatch, [])
    monkeypatch.chdir(ROOT / folder)
    assert install_arguments("postgresql") == expected


def test_checkout_below_the_current_folder_is_a_path_and_no_package_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _recorded(monkeypatch, [])
    monkeypatch.chdir(ROOT.parent)
    assert install_arguments("parquet") == shlex.quote(f"./{ROOT.name}[parquet]")


def test_editable_installation_stays_editable(monkeypatch: pytest.MonkeyPatch) -> None:
    _recorded(monkeypatch, [], {"url": "file:///x", "dir_info": {"editable": True}})
    monkeypatch.chdir(ROOT)
    assert install_arguments("simulation") == "-e '.[simulation]'"


def test_wheel_names_the_requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "checkout", lambda: None)
    _recorded(
        monkeypatch,
        [
            "apsw>=3.51.3",
            "psycopg[binary]>=3.2; extra == 'postgresql'",
            'amqtt>=0.11; python_version >= "3.11" and extra == "simulation"',
            "starlette>=0.40; extra == 'simulation'",
            "venclient[postgresql,simulation]; extra == 'everything'",
        ],
    )
    assert install_arguments("postgresql") == "'psycopg[binary]>=3.2'"
    assert requirements_of("simulation") == ["amqtt>=0.11", "starlette>=0.40"]
    assert requirements_of("everything") == ["psycopg[binary]>=3.2", "amqtt>=0.11", "starlette>=0.40"]


def test_hint_installs_into_the_python_that_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    beside = Path(sys.executable).parent / "pip"
    monkeypatch.setattr("shutil.which", lambda _: str(beside))
    assert pip_install() == "pip install"
    # The environment is not activated: plain pip would install for another Python.
    monkeypatch.setattr("shutil.which", lambda _: str(tmp_path / "pip"))
    assert pip_install().endswith("-m pip install")
    assert Path(shlex.split(pip_install())[0]).absolute() == Path(sys.executable)


def test_command_is_one_that_pip_understands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "docs")
    words = shlex.split(install_hint("postgresql"))
    command = [*words, "--dry-run", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Invalid requirement" not in done.stderr
    assert done.returncode == 0, done.stderr


def test_no_other_code_words_an_installation() -> None:
    """Every hint of a command that installs comes from `install_hint`: no other code has one in words."""
    sources = [*(ROOT / "venclient").rglob("*.py"), *ROOT.glob("*.py"), *(ROOT / "tests").rglob("*.py")]
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources
        if path.name not in ("installation.py", "test_installation.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.search(r"\bpip3? install\b|\bpip add\b", node.value)
    ]
    assert found == []


def test_pages_name_only_what_pip_finds() -> None:
    """A page installs a checkout with an extra, a wheel by its file, or the requirements of an extra."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    good = {("dist/venclient-*.whl",), *((f".[{extra}]",) for extra in extras), *map(tuple, extras.values())}
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    wrong = [
        f"{path.relative_to(ROOT)}: {command}"
        for path in pages
        for command in re.findall(
            r"pip3? install ((?:'[^']*'|\"[^\"]*\"|[\w.*/\[\]<>=-]+)+)", path.read_text("utf-8")
        )
        if tuple(shlex.split(command)) not in good
    ]
    assert wrong == []


def test_step_of_the_postgresql_page_installs_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/how-to/move-to-postgresql.md").read_text(encoding="utf-8")
    checkout, wheel = re.findall(r"^ {7}(pip install .+)$", page, re.MULTILINE)
    monkeypatch.chdir(ROOT)
    assert shlex.split(checkout)[-1] == shlex.split(install_arguments("postgresql"))[-1]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert shlex.split(wheel)[2:] == extras["postgresql"]
    for command in (checkout, wheel):
        words = [
            sys.executable,
            "-m",
            *shlex.split(command),
            "--dry-run",
            "--no-build-isolation",
            "--no-index",
        ]
        done = subprocess.run([*words, "--no-deps"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
