"""What is published is what works: the built wheel, alone, in an empty environment."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.peers import missing

pytestmark = [pytest.mark.peer, pytest.mark.timeout(420)]


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command to its end; fail with what it printed."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**clean, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from a copy of the sources: the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("source") / "venclient"
    shutil.copytree(
        root,
        copy,
        ignore=shutil.ignore_patterns(
            ".git", ".venv*", ".*_cache", "__pycache__", "dist", "var", "node_modules"
        ),
    )
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, cwd=copy)
    (built,) = out.glob("*.whl")
    return built


DOORS = {"resource_db.py", "flex_resources.py", "prepare_samples.py", "demo_db_usage.py"}
STUBS = {"resource_db-stubs", "flex_resources-stubs"}


def fill(python: Path, folder: Path, *packages: str | Path) -> None:
    """Install packages in the environment of `python`; skip when no package index can be reached."""
    try:
        subprocess.run(
            [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(folder), "six"],
            check=True,
            capture_output=True,
            timeout=60,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        missing("no package index can be reached, so an empty environment cannot be filled")
    run(python, "-m", "pip", "install", "--quiet", *packages, cwd=folder)


@pytest.fixture(scope="module")
def installed(wheel: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin folder of an environment with the wheel and what pip installs for it, as pinned."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", folder / "env", cwd=folder)
    lines = (root / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.rstrip(" \\") for line in lines if line[:1].isalnum()]
    (folder / "pins.txt").write_text("\n".join(pins), encoding="utf-8")
    fill(folder / "env" / "bin" / "python", folder, "-c", folder / "pins.txt", wheel)
    return folder / "env" / "bin"


def test_the_wheel_holds_the_package_the_doors_and_the_samples(wheel: Path, root: Path) -> None:
    """The doors are top-level modules with stubs; device templates, sample sites and settings are in."""
    names = zipfile.ZipFile(wheel).namelist()

    templates = {name for name in names if name.startswith("venclient/connectors/templates/")}
    data = {name.removeprefix("venclient/data/") for name in names if name.startswith("venclient/data/")}
    top = {name.split("/")[0] for name in names}

    assert {*DOORS, "venclient/py.typed"} <= set(names)
    assert {f"{stub}/__init__.pyi" for stub in STUBS} <= set(names)
    assert templates == {
        str(path.relative_to(root)) for path in (root / "venclient/connectors/templates").glob("*.yaml")
    }
    assert data == {"ven.toml"} | {
        f"exampleassets/{path.name}" for path in (root / "config/exampleassets").glob("*.csv")
    }
    assert top - {"venclient", *DOORS} - STUBS == {
        next(name.split("/")[0] for name in names if ".dist-info/" in name)
    }


@pytest.mark.parametrize("door", ["resource_db", "flex_resources"])
def test_the_stubs_name_what_the_doors_export(root: Path, door: str) -> None:
    """A stub has every public name of its module, from the same place, and no other."""

    def exported(path: Path) -> tuple[set[tuple[str | None, str]], set[str]]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = {
            (node.module, alias.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        (listed,) = (node.value for node in tree.body if isinstance(node, ast.Assign))
        return imports, set(ast.literal_eval(listed))

    assert exported(root / "stubs" / f"{door}-stubs" / "__init__.pyi") == exported(root / f"{door}.py")


def test_the_demo_runs_from_the_wheel_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    """With what pip installed, without mosquitto: every check holds, and nothing is left in the folder."""
    without_mosquitto = (
        "import shutil; shutil.which = lambda *_, **__: None; from venclient.cli import main; main()"
    )

    help_text = run(installed / "ven", "--help", cwd=tmp_path)
    output = run(installed / "python", "-c", without_mosquitto, "demo", "--intervals", "1", cwd=tmp_path)

    assert "demo" in help_text
    assert "built-in MQTT broker" in output
    assert "FAILED" not in output
    assert list(tmp_path.iterdir()) == []


def test_the_first_settings_come_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """`ven run` without settings names a command that works; what that prints can be read as settings."""
    done = subprocess.run(
        [installed / "ven", "run"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    (tmp_path / "ven.toml").write_text(run(installed / "ven", "config", "template", cwd=tmp_path))
    shown = run(installed / "ven", "config", "show", cwd=tmp_path)

    assert done.returncode == 2
    assert "ven config template > ven.toml" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Herning" in shown


def test_every_command_helps_and_the_local_vtn_starts(installed: Path, tmp_path: Path) -> None:
    """No command needs a package that pip did not install."""
    for words in (["simulate", "vtn"], ["import"], ["resources"], ["doctor"], ["vtn"], ["reports"]):
        run(installed / "ven", *words, "--help", cwd=tmp_path)
    out = run(
        installed / "python",
        "-c",
        "import asyncio\n"
        "from venclient.simulation.vtn import LocalVtn\n"
        "async def go():\n"
        "    async with LocalVtn() as vtn:\n"
        "        print(vtn.url)\n"
        "asyncio.run(go())",
        cwd=tmp_path,
    )

    assert out.startswith("http://127.0.0.1:")


def test_a_new_user_imports_a_list_in_any_folder_and_locale(installed: Path, tmp_path: Path) -> None:
    """A folder with spaces and umlauts, LANG=C, a home that is not there: import, list and settings work."""
    folder = tmp_path / "Ærø anlæg 2"
    folder.mkdir()
    (folder / "sites.csv").write_text(
        "Navn;Type;Effekt;lat;lon\nKøbmand Ærø;DSR;25,5;54,9;10,4\n", encoding="utf-8"
    )
    bare = {"LANG": "C", "LC_ALL": "C", "HOME": str(tmp_path / "none"), "COLUMNS": "80"}
    module = (installed / "python", "-m", "venclient")

    assert "created 1" in run(*module, "import", "sites.csv", cwd=folder, env=bare)
    assert "Købmand Ærø" in run(*module, "resources", "list", cwd=folder, env=bare)
    (folder / "ven.toml").write_text(run(*module, "config", "template", cwd=folder, env=bare))
    assert "resources.db" in run(*module, "config", "show", cwd=folder, env=bare)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run",), "VEN-CFG-003"),
        (("status",), "VEN-CFG-003"),
        (("doctor",), "VEN-CFG-003"),
        (("resources", "list"), "VEN-CLR-005"),
        (("read", "x"), "VEN-CLR-005"),
        (("readings", "show", "x"), "VEN-RDG-016"),
        (("templates", "show", "none"), "VEN-MOD-050"),
    ],
)
def test_an_empty_folder_gets_a_message_with_a_code(
    installed: Path, tmp_path: Path, words: tuple[str, ...], code: str
) -> None:
    """What a new user tries first ends with a coded message, no traceback, and leaves nothing behind."""
    done = subprocess.run(
        [installed / "ven", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode in (1, 2)
    assert f"[{code}]" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "prepare_samples" not in done.stderr  # no such file is in the folder
    assert list(tmp_path.iterdir()) == []


def test_without_pandas_preparing_the_samples_names_what_to_install(
    installed: Path, root: Path, tmp_path: Path
) -> None:
    """One line, a status, no traceback."""
    shutil.copy(root / "prepare_samples.py", tmp_path)
    shutil.copytree(root / "config" / "exampleassets", tmp_path / "config" / "exampleassets")

    done = subprocess.run(
        [installed / "python", "prepare_samples.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "pandas" in line
    assert "install" in line


def test_the_samples_can_be_prepared_from_the_wheel(
    wheel: Path, root: Path, installed: Path, tmp_path: Path
) -> None:
    """A program that imports `prepare_samples` runs in an empty folder, with the samples of the wheel."""
    python = tmp_path / "env" / "bin" / "python"
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    fill(python, tmp_path, "-c", installed.parents[1] / "pins.txt", wheel, "pandas")
    empty = tmp_path / "empty"
    empty.mkdir()

    program = (
        "import prepare_samples\n"
        "database = prepare_samples.generate_resources()\n"
        "print(database.db_path, database.get_statistics()['total_resources'])\n"
    )
    printed = run(python, "-c", program, cwd=empty).split()
    again = run(python, "-m", "prepare_samples", cwd=empty)
    toured = run(python, "-m", "demo_db_usage", cwd=empty)

    rows = sum(
        len(file.read_text("utf-8").splitlines()) - 1 for file in root.glob("config/exampleassets/*.csv")
    )
    assert printed[0] == str(Path("config") / "resources.db")
    assert 400 <= int(printed[1]) <= rows
    assert f"{printed[1]} resources" in again
    assert f"{printed[1]} resources" in toured
    assert [path.name for path in empty.iterdir()] == ["config"]


USERS_SCRIPT = """
from typing import assert_type

from flex_resources import ActorType, Connection, ConnectionType, Resource, ResourceType
from resource_db import ResourceDatabase

with ResourceDatabase("sites.db") as database:
    resource = database.get_resource("a")
    assert_type(resource, Resource | None)
    for one in database.get_all_resources():
        assert_type(one, Resource)
        assert_type(one.resourceID, str)
        assert_type(one.connection, Connection)
        assert_type(one.connection.type, ConnectionType)
        assert_type(one.connection.actortype, ActorType)
        assert_type(one.connection.port, int | None)
    assert_type(database.get_resources(ven="Herning"), list[Resource])
    assert_type(database.delete_resource("a"), bool)
    assert_type(ResourceType("Battery"), ResourceType)
reveal_type(ResourceDatabase)
reveal_type(Connection)
reveal_type(Resource)
reveal_type(database.upsert_resource)
Connection(ConnectionType.MQTT, ActorType.READER, hots="typo")
"""


def test_a_users_script_is_type_checked(installed: Path, tmp_path: Path) -> None:
    """`mypy --strict` on a script against the wheel: nothing is Any, and a misspelt argument is found."""
    script = tmp_path / "script.py"
    script.write_text(USERS_SCRIPT, encoding="utf-8")

    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")),
            *("--python-executable", str(installed / "python"), "script.py"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    revealed = [line for line in done.stdout.splitlines() if "Revealed type" in line]
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]

    assert len(revealed) == 4, done.stdout + done.stderr
    assert not any('is "Any"' in line for line in revealed)
    assert len(errors) == 1, errors
    assert "hots" in errors[0]


def test_the_wheel_alone_gives_the_command_and_passes_the_contract(
    wheel: Path, root: Path, tmp_path: Path
) -> None:
    """In an environment with nothing else of ours: `ven` runs, the doors import, the contract tests pass."""
    python = tmp_path / "env" / "bin" / "python"
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    fill(python, tmp_path, "--require-hashes", "-r", root / "requirements" / "dev.txt")
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel, cwd=tmp_path)
    for name in ("contract", "conformance"):
        shutil.copytree(root / "tests" / name, tmp_path / "tests" / name)
    for path in (root / "tests").glob("*.py"):
        shutil.copy(path, tmp_path / "tests" / path.name)
    (tmp_path / "tests" / "registry").mkdir()
    for name in ("__init__.py", "objects.py"):
        if (root / "tests" / "registry" / name).exists():
            shutil.copy(root / "tests" / "registry" / name, tmp_path / "tests" / "registry" / name)
    shutil.copy(root / "pyproject.toml", tmp_path / "pyproject.toml")

    version = run(tmp_path / "env" / "bin" / "ven", "--version", cwd=tmp_path)
    where = run(
        python, "-c", "import resource_db, flex_resources, venclient; print(venclient.__file__)", cwd=tmp_path
    )
    # The pages of ../shared lie beside the checkout, not beside this folder.
    beside = tmp_path.parent / "shared"
    if (root.parent / "shared").is_dir() and not beside.exists():
        beside.symlink_to(root.parent / "shared")
    # What belongs to a checkout is skipped here, wherever the test itself runs.
    words = ("-m", "pytest", "-q", "tests/contract", "-p", "no:cacheprovider")
    summary = run(python, *words, cwd=tmp_path, env={"VEN_TEST_ALL": "0"})

    assert version.startswith("venclient ")
    assert str(tmp_path / "env") in where
    assert " passed" in summary
    assert " failed" not in summary
