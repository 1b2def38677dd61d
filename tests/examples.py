"""How many examples Hypothesis tries: a fixed sample usually, fifty times as many in `make proof`.

Two profiles are registered. "ci" draws the same examples on each run: when it fails, the change is the cause.
"proof" (VEN_PROOF=1) draws new ones, PROOF_TIMES as many. Neither has a deadline or a health check of speed,
which would fail on a busy machine.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

PROOF_TIMES = 50
#: Where Hypothesis keeps the settings of a test; tests/core/test_profiles.py fails when that changes.
_KEPT = "_hypothesis_internal_use_settings"


def proving() -> bool:
    """Return whether this is a run of `make proof`."""
    return os.environ.get("VEN_PROOF") == "1"


def load_profile() -> None:
    """Register both profiles and load the one of this run; before the modules of the tests are imported."""
    settings.register_profile("ci", derandomize=True, database=None, deadline=None)
    settings.register_profile("proof", derandomize=False, deadline=None, print_blob=True)
    settings.load_profile("proof" if proving() else "ci")


def adjusted(kept: settings, times: int) -> settings:
    """Return the settings of one test without limits of speed, and with `times` as many examples."""
    return settings(
        kept,
        max_examples=kept.max_examples * times,
        deadline=None,
        suppress_health_check=[*kept.suppress_health_check, HealthCheck.too_slow],
    )


def adjust(items: list[pytest.Item]) -> int:
    """Adjust each test of properties once; return how many examples they try together at most."""
    times = PROOF_TIMES if proving() else 1
    total = 0
    seen: set[int] = set()
    for item in items:
        test = getattr(item, "obj", None)
        test = getattr(test, "__func__", test)
        if test is None or not is_hypothesis_test(test):
            continue
        if id(test) not in seen:
            seen.add(id(test))
            setattr(test, _KEPT, adjusted(getattr(test, _KEPT, settings()), times))
        total += getattr(test, _KEPT).max_examples
    return total
