"""The commands in the how-to on moving to PostgreSQL work as they are, there and back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.snippets import snippet
from tests.registry.objects import make_resource
from venclient.messages import cli_db as cld
from venclient.registry.copying import content
from venclient.registry.database import ResourceDatabase

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]


@pytest.fixture
def url(new_postgres: Callable[[], str]) -> str:
    """Return the URL of an empty schema."""
    return new_postgres()


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    """Return a folder with a registry in its usual place."""
    with ResourceDatabase(tmp_path / "config" / "resources.db") as db:
        db.bulk_insert_resources(make_resource(str(number)) for number in range(30))
    for door in ("resource_db.py", "flex_resources.py"):
        (tmp_path / door).symlink_to(root / door)
    return tmp_path


def run(command: list[str], folder: Path, **environment: str) -> str:
    """Return what a command prints when it works."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_works_as_typed(root: Path, folder: Path, url: str) -> None:
    """There with the key, asked from Python, and back: the registry is the same."""
    there = snippet(root, "run: move to postgresql, the key") + snippet(root, "run: move to postgresql")
    output = run(["bash", "-euc", there], folder, REGISTRY=url)
    assert cld.COPIED() in output
    assert "30 resources" in output

    key = str(folder / "config" / "resources.db.key")
    asked = [sys.executable, "-c", snippet(root, "run: move to postgresql, in Python")]
    assert run(asked, folder, REGISTRY=url, VEN_REGISTRY_KEY_FILE=key) == "30\nHotel Ørnen\n"

    back = ["bash", "-euc", snippet(root, "run: move from postgresql")]
    assert cld.NO_PROBLEMS() in run(back, folder, REGISTRY=url, VEN_REGISTRY_KEY_FILE=key)
    assert content(folder / "config" / "back.db") == content(folder / "config" / "resources.db")


def test_the_command_refuses_in_a_sentence(folder: Path, url: str) -> None:
    """A second copy without --replace ends with status 1 and says what to do; with it, it works."""
    copy = [str(Path(sys.executable).with_name("ven")), "db", "copy", "config/resources.db", url]
    run(copy, folder)

    refused = subprocess.run(copy, cwd=folder, capture_output=True, text=True, check=False)

    assert refused.returncode == 1
    assert "VEN-DBF-062" in refused.stderr
    assert "--replace" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert '"rows": 30' in run([*copy, "--replace", "--json"], folder)
