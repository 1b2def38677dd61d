"""The helpers that count work distinguish linear from quadratic work."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tests.counted import calls, growth, steps


def linear(size: int) -> Callable[[], object]:
    """Return work with one step for each item."""
    return lambda: [n + 1 for n in range(size)]


def quadratic(size: int) -> Callable[[], object]:
    """Return work with one step for each pair of items."""
    return lambda: [a + b for a in range(size) for b in range(size)]


def test_linear_work_grows_fourfold_and_quadratic_work_sixteenfold() -> None:
    """Four times the input: four times the steps of a loop, sixteen times those of a loop in a loop."""
    assert 3.5 < growth(linear, 200) < 4.5
    assert 14 < growth(quadratic, 50) < 17


def test_the_same_work_takes_the_same_number_of_steps() -> None:
    """A count does not vary from run to run."""
    assert len({steps(linear(100)) for _ in range(3)}) == 1


def test_calls_are_counted_by_name() -> None:
    """Only functions of the names that are asked for count."""

    def inner() -> None: ...

    def outer() -> None:
        inner()
        inner()

    assert calls(outer, "inner") == 2
    assert calls(outer) == 3


def test_a_tracer_that_was_there_is_there_again() -> None:
    """Debuggers and coverage go on after a count."""
    before = sys.gettrace()
    steps(linear(3))

    assert sys.gettrace() is before
