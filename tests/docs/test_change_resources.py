"""The commands of the how-to about changes work as they stand, on the sample sites."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.snippets import snippet


@pytest.mark.peer
def test_resources_are_changed_and_tell_their_history(root: Path, tmp_path: Path) -> None:
    """The commands change many at once, the snippet one; the history shows who it was."""
    shutil.copytree(root / "config" / "exampleassets", tmp_path / "config" / "exampleassets")

    def run(*words: str) -> str:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(root)}
        done = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, str(root / "prepare_samples.py"))
    changed = run("bash", "-euo", "pipefail", "-c", snippet(root, "run: change many")).splitlines()
    history = run(sys.executable, "-c", snippet(root, "run: change from python")).splitlines()

    assert changed[0].startswith("changed ")
    assert changed[1].startswith("would change ")
    assert changed[2].startswith("changed 500 of 500 resources: ")
    assert "nightly job update {'capacities': " in history[-2]
    assert "nightly job update {'location': " in history[-1] or "'address': None" in history[-1]
