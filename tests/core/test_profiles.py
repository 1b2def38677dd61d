"""The suite's rules for itself: the profiles of Hypothesis, and the list of skips that are allowed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import PROOF_TIMES, adjusted, proving
from tests.skips import may_skip

SEEN: list[int] = []


@settings(max_examples=40)
@given(st.integers())
def drawn(number: int) -> None:
    """Note what is drawn."""
    SEEN.append(number)


@settings(max_examples=7, deadline=1)
@given(st.integers())
def test_properties_have_no_limit_of_speed(number: int) -> None:
    """A deadline and the check that drawing is fast are taken off each test of properties."""
    kept = settings.get_profile("proof" if proving() else "ci")
    own = test_properties_have_no_limit_of_speed._hypothesis_internal_use_settings  # type: ignore[attr-defined]
    assert (own.max_examples, own.deadline) == (7 * (PROOF_TIMES if proving() else 1), None)
    assert HealthCheck.too_slow in own.suppress_health_check
    assert kept.deadline is None


def test_the_usual_sample_is_the_same_each_time() -> None:
    """Two runs of a property draw the same examples."""
    if proving():
        return
    samples = []
    for _ in range(2):
        SEEN.clear()
        drawn()
        samples.append(list(SEEN))

    assert samples[0] == samples[1]
    assert len(samples[0]) >= 10


def test_a_proof_tries_fifty_times_as_many() -> None:
    """The settings of a test are kept but for the number of examples."""
    kept = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    full = adjusted(kept, PROOF_TIMES)

    assert full.max_examples == 1500
    assert HealthCheck.function_scoped_fixture in full.suppress_health_check


@pytest.mark.parametrize(
    ("reason", "elsewhere", "in_ci"),
    [
        ("Skipped: the folder ../shared with real-world data is not here", True, True),
        ("Skipped: the official openadr3.yaml is not in ../shared", True, True),
        ("Skipped: mosquitto is not installed (apt-get install mosquitto)", True, False),
        ("Skipped: could not import 'psycopg': No module named 'psycopg'", True, False),
        ("Skipped: prepare_samples.py belongs to a checkout, and this is none", True, False),
        ("Skipped: flaky", False, False),
        ("unconditional skip", False, False),
    ],
)
def test_only_listed_reasons_may_skip(reason: str, elsewhere: bool, in_ci: bool) -> None:
    """Each reason is allowed where the list says, and no other is."""
    assert (may_skip(reason, everything=False), may_skip(reason, everything=True)) == (elsewhere, in_ci)


def test_each_reason_in_the_suite_is_listed(root: Path) -> None:
    """Whatever a test gives as a reason to skip is in tests/skips.py."""
    unlisted = [
        (file.name, reason)
        for file in (root / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("missing", "pytest.skip") and node.args
        if (reason := words_of(node.args[0])) and not may_skip(reason, everything=False)
    ]

    assert unlisted == []


def words_of(node: ast.expr) -> str:
    """Return a literal text, with "x" for what is filled in; empty for anything else."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    parts = node.values if isinstance(node, ast.JoinedStr) else []
    return "".join(str(one.value) if isinstance(one, ast.Constant) else "x" for one in parts)


@pytest.mark.parametrize(
    ("everything", "reason", "status"),
    [
        ("0", "mosquitto is not installed", 0),
        ("1", "mosquitto is not installed", 1),
        ("0", "too slow here", 1),
        ("1", "the specification is not in ../shared", 0),
    ],
)
def test_a_session_fails_for_a_skip_that_is_not_listed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, everything: str, reason: str, status: int
) -> None:
    """All tests passed or skipped, and still the status of pytest says that one may not be skipped here."""
    (tmp_path / "test_it.py").write_text(
        f"import pytest\ndef test_a(): pass\n@pytest.mark.skip(reason={reason!r})\ndef test_b(): pass\n"
    )
    (tmp_path / "conftest.py").write_text(
        "from tests import skips\ndef pytest_configure(config): skips.install(config)\n"
    )
    monkeypatch.setenv("VEN_TEST_ALL", everything)
    monkeypatch.setenv("PYTHONPATH", str(root))
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == status, done.stdout
    assert ("skip not allowed" in done.stdout) is bool(status)
