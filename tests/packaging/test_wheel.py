"""What is published is what works: the built wheel, alone, in an empty environment."""

from __future__ import annotations

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
    """Give the wheel, built from a copy of the sources so that nothing of the checkout is touched."""
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


def test_the_wheel_holds_the_package_the_doors_and_nothing_of_the_checkout(wheel: Path, root: Path) -> None:
    """The doors are top-level modules; tests, tools and sample data stay out; device templates are in."""
    names = zipfile.ZipFile(wheel).namelist()

    templates = {name for name in names if name.startswith("venclient/connectors/templates/")}

    assert {"resource_db.py", "flex_resources.py", "venclient/py.typed"} <= set(names)
    assert templates == {
        str(path.relative_to(root)) for path in (root / "venclient/connectors/templates").glob("*.yaml")
    }
    assert {name.split("/")[0] for name in names} - {"venclient", "resource_db.py", "flex_resources.py"} == {
        next(name.split("/")[0] for name in names if ".dist-info/" in name)
    }


def test_the_wheel_alone_gives_the_command_and_passes_the_contract(
    wheel: Path, root: Path, tmp_path: Path
) -> None:
    """In an environment with nothing else of ours: `ven` runs, the doors import, the contract tests pass."""
    python = tmp_path / "env" / "bin" / "python"
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    try:
        subprocess.run(
            [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(tmp_path), "six"],
            check=True,
            capture_output=True,
            timeout=240,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        missing("no package index can be reached, so an empty environment cannot be filled")
    run(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "-r",
        root / "requirements" / "dev.txt",
        cwd=tmp_path,
    )
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel, cwd=tmp_path)
    for name in ("contract", "conformance"):
        shutil.copytree(root / "tests" / name, tmp_path / "tests" / name)
    for name in ("conftest.py", "peers.py"):
        shutil.copy(root / "tests" / name, tmp_path / "tests" / name)
    shutil.copy(root / "pyproject.toml", tmp_path / "pyproject.toml")

    version = run(tmp_path / "env" / "bin" / "ven", "--version", cwd=tmp_path)
    where = run(
        python, "-c", "import resource_db, flex_resources, venclient; print(venclient.__file__)", cwd=tmp_path
    )
    # The pages of ../shared lie beside the checkout, not beside this folder.
    beside = tmp_path.parent / "shared"
    if (root.parent / "shared").is_dir() and not beside.exists():
        beside.symlink_to(root.parent / "shared")
    summary = run(python, "-m", "pytest", "-q", "tests/contract", "-p", "no:cacheprovider", cwd=tmp_path)

    assert version.startswith("venclient ")
    assert str(tmp_path / "env") in where
    assert " passed" in summary
    assert " failed" not in summary
