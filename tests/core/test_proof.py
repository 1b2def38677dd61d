"""`make proof` can be interrupted, and writes what came out into its page."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def proof(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the module, with its state and page in a temporary folder and runs that are only noted."""
    monkeypatch.syspath_prepend(str(root / "tools"))
    module = importlib.import_module("proof")
    monkeypatch.setattr(module, "FOLDER", tmp_path / ".proof")
    monkeypatch.setattr(module, "PAGE", tmp_path / "proofs.md")
    yield module
    sys.modules.pop("proof", None)


def answers(ran: list[str], outcome: str = "passed") -> Any:
    """Return a stand-in for `run` that notes which proof ran."""

    def run(proof: Any, at: str) -> dict[str, Any]:
        ran.append(proof.name)
        return {"commit": at, "date": "2026-01-01", "took_s": 1, "outcome": outcome, "summary": "3 passed"}

    return run


def test_what_passed_for_a_commit_is_not_run_again(proof: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run does only what the first did not; another commit, or a change, starts again."""
    ran: list[str] = []
    monkeypatch.setattr(proof, "run", answers(ran))
    counts = []
    for at, only in [
        ("a1", "kills"),
        ("a1", ""),
        ("a1", ""),
        ("b2", "kills"),
        ("b2+", "kills"),
        ("b2+", "kills"),
    ]:
        monkeypatch.setattr(proof, "commit", lambda at=at: at)
        ran.clear()
        assert proof.main(["--only", only] if only else []) == 0
        counts.append(len(ran))

    everything, kills = len(proof.proofs()), len(proof.KILLS)
    assert counts == [kills, everything - kills, 0, kills, kills, kills]


def test_a_failure_is_in_the_page_and_the_status(proof: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof that failed is named, is run again the next time, and stays in the page until it passes."""
    ran: list[str] = []
    monkeypatch.setattr(proof, "commit", lambda: "a1")
    monkeypatch.setattr(proof, "run", answers(ran, "FAILED"))
    assert proof.main(["--only", "busy-1"]) == 1
    assert proof.PAGE.read_text().count("| FAILED |") == 2

    monkeypatch.setattr(proof, "run", answers(ran))
    assert proof.main(["--only", "busy-1"]) == 0
    assert (ran, "FAILED" in proof.PAGE.read_text()) == (["busy-1/unit", "busy-1/peer"] * 2, False)


def test_every_property_and_kill_belongs_to_a_proof(proof: Any, root: Path) -> None:
    """Proofs name files that exist, each once, and every file that counts its kills is among them."""
    files = [one.arguments[0] for one in proof.proofs() if not one.busy]
    counting = {
        path.relative_to(root).as_posix()
        for path in (root / "tests").rglob("test_*.py")
        if " full_count(" in path.read_text(encoding="utf-8")
    }

    assert all((root / name).is_file() for name in files)
    assert counting <= {*files, "tests/core/test_proof.py"}


def test_the_summary_is_the_last_count_of_pytest(proof: Any) -> None:
    """Time and rulers are left out."""
    assert proof.summary("x\n3 passed, 1 skipped in 2.50s\n") == "3 passed, 1 skipped"
    assert proof.summary("=== 1 failed, 2 passed in 0.1s ===\n") == "1 failed, 2 passed"
    assert proof.summary("nothing") == "no summary"


def test_busy_loops_end_with_the_block(proof: Any) -> None:
    """No loop outlives what it ran beside."""
    started: list[subprocess.Popen[bytes]] = []

    def start(command: list[str]) -> subprocess.Popen[bytes]:
        started.append(popen(command))
        return started[-1]

    popen = subprocess.Popen
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof.subprocess, "Popen", start)
        with proof.busy_loops(2):
            assert [one.poll() for one in started] == [None, None]
    assert len(started) == 2
    assert all(one.poll() is not None for one in started)
