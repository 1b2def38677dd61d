"""The client's small utilities."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codes import raises_code
from venclient.utils import age_text, backoff_s, chunks, redact


@given(st.integers(-1, 2000), st.floats(0.01, 10), st.floats(10, 100), st.integers())
def test_back_off_stays_within_half_and_all_of_its_step(
    attempt: int, base_s: float, cap_s: float, seed: int
) -> None:
    """However many attempts, the pause is at least half the step and never above the cap."""
    step_s = min(cap_s, base_s * 2.0 ** min(max(attempt, 0), 32))

    assert step_s / 2 <= backoff_s(attempt, base_s, cap_s, random.Random(seed)) <= step_s <= cap_s


@given(st.lists(st.integers(), max_size=30), st.integers(1, 7))
def test_chunks_hold_everything_in_order(items: list[int], size: int) -> None:
    """Joined again the chunks are the whole, and none is empty or too long."""
    parts = list(chunks(items, size))

    assert [item for part in parts for item in part] == items
    assert all(1 <= len(part) <= size for part in parts)


def test_chunks_of_nothing_are_refused() -> None:
    """A size below one is a mistake, reported at once."""
    with raises_code(ValueError, "VEN-LIB-002"):
        chunks([1], 0)


def test_secrets_are_struck_out_longest_first() -> None:
    """A secret within another leaves no rest of it; missing ones are passed over."""
    assert redact("ab abc", ["ab", "abc", None, ""]) == "*** ***"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (7200, "2 h"), (86_400 * 3, "3 d")],
)
def test_ages_are_told_in_their_largest_unit(seconds: float, text: str) -> None:
    """Whole numbers of the largest unit that fits."""
    assert age_text(seconds) == text
