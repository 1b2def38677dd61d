"""What the recorder writes: the worst phase of each test, by kind of VTN where a test has several."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.conformance.recorder import KINDS, Recorder


def report(name: str, outcome: str, when: str = "call") -> pytest.TestReport:
    """Return the report of a phase of a test."""
    found: Any = SimpleNamespace(
        nodeid=name, when=when, failed=outcome == "failed", skipped=outcome == "skipped"
    )
    return cast("pytest.TestReport", found)


def written(folder: Path) -> dict[str, dict[str, str]]:
    """Return the outcomes by name of the file."""
    return {file.stem: json.loads(file.read_text()) for file in folder.iterdir()}


def test_outcomes_are_written_by_kind_of_vtn(tmp_path: Path) -> None:
    """A test that runs against each kind counts for each; one without a kind, and further values, for all."""
    recorder = Recorder(tmp_path / "{vtn}.json", KINDS)
    for name, outcome in (
        ("a.py::test_x[openleadr]", "passed"),
        ("a.py::test_x[openadr]", "failed"),
        ("a.py::test_y[openadr-past]", "passed"),
        ("a.py::test_y[openadr-ahead]", "skipped"),
        ("a.py::test_z", "passed"),
    ):
        recorder.pytest_runtest_logreport(report(name, outcome))
    recorder.pytest_sessionfinish()

    assert written(tmp_path) == {
        "openleadr": {"a.py::test_x": "passed", "a.py::test_z": "passed"},
        "openadr": {"a.py::test_x": "failed", "a.py::test_y": "skipped", "a.py::test_z": "passed"},
    }


def test_without_kinds_there_is_one_file_and_the_worst_phase_counts(tmp_path: Path) -> None:
    """A test whose teardown failed has failed."""
    recorder = Recorder(tmp_path / "unit.json")
    recorder.pytest_runtest_logreport(report("a.py::test_x[1]", "passed"))
    recorder.pytest_runtest_logreport(report("a.py::test_x[1]", "failed", "teardown"))
    recorder.pytest_sessionfinish()

    assert written(tmp_path) == {"unit": {"a.py::test_x": "failed"}}
