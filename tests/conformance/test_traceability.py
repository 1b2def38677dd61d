"""Every row and every clause has a test, or says why not; and the page shows the results of the tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def tool(root: Path) -> ModuleType:
    """Load tools/conformance.py."""
    spec = importlib.util.spec_from_file_location("conformance", root / "tools" / "conformance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["conformance"] = module
    spec.loader.exec_module(module)
    return module


def test_no_row_and_no_clause_is_without_a_test_or_a_reason(tool: ModuleType) -> None:
    """A demand of the standard without a test is found by this test."""
    assert tool.gaps() == []


def test_all_72_rows_are_there(tool: ModuleType) -> None:
    """No row is left out accidentally."""
    assert list(tool.rows()) == list(range(1, 73))


def test_a_clause_without_test_and_reason_is_a_gap(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clause with neither is reported, and so is a test that does not exist."""
    clauses: list[dict[str, Any]] = [
        {"line": 1, "says": "x"},
        {"line": 2, "says": "y", "tests": ["tests/core/test_clock.py::test_that_never_was"]},
        {"line": 3, "says": "z", "why": "Binds the VTN."},
    ]
    monkeypatch.setattr(tool, "clauses", lambda: clauses)
    assert [one for one in tool.gaps() if one.startswith("clause")] == [
        "clause 1: neither a test nor a reason",
        "clause 2: there is no test tests/core/test_clock.py::test_that_never_was",
        "clause 2: neither a test nor a reason",
    ]


def test_a_failure_shows_in_its_row(tool: ModuleType) -> None:
    """A row with a failed test has failed, however many passed; a skipped one proves nothing."""
    found = {
        "unit": {"tests/a/test_a.py::test_row_01_x": "passed", "tests/a/test_a.py::test_row_02_x": "skipped"},
        "peer": {"tests/a/test_a.py::test_row_01_y": "failed"},
        "openleadr": {},
        "openadr": {},
    }
    lines = tool.page(found).splitlines()
    (first,) = [line for line in lines if line.startswith("| 1 |")]
    (second,) = [line for line in lines if line.startswith("| 2 |")]
    assert first.endswith("| 1 passed | 0 passed, 1 FAILED | - | - | **failed** |")
    assert second.endswith("| - | - | - | - | **not proved** |")


def test_a_row_that_only_the_other_vtn_proves_is_a_gap(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that is marked for a VTN needs a test that runs against that one."""
    row = {"capability": "x", "spec": "-", "openleadr": True, "openadr": True}
    test = "tests/interop/test_events.py::test_row_01_x"
    monkeypatch.setattr(tool, "rows", lambda: {1: row})
    monkeypatch.setattr(tool, "known_tests", lambda: {test})
    monkeypatch.setattr(tool, "clauses", list)
    monkeypatch.setattr(tool, "vtns_of_tests", lambda: {test: ("openleadr",)})

    assert tool.gaps() == ["row 1: no test against the crate openadr carries its number"]


def test_the_marks_of_tests_are_the_kinds_that_they_run_against(tool: ModuleType) -> None:
    """Without a mark a test runs against all; a mark of the module counts like one of the test."""
    found = tool.vtns_of_tests()
    both = ("openleadr", "openadr")

    assert set(found.values()) == {both, ("openleadr",), ("openadr",)}
    assert found["tests/interop/test_delivery.py::test_row_60_a_lost_answer_makes_no_second_report"] == both
    assert {
        kinds for name, kinds in found.items() if name.startswith("tests/interop/test_openadr_crate.py")
    } == {("openadr",)}
