"""Count work in steps of the interpreter: the count does not depend on the speed or load of the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def full_count(usual: int) -> int:
    """Return how often to repeat a slow trial, a kill say: `usual`, or ten times that in `make proof`."""
    return usual * 10 if os.environ.get("VEN_PROOF") == "1" else usual


def steps(work: Callable[[], object]) -> int:
    """Return how many bytecode instructions `work` executes in Python code, at any depth of calls.

    Loops inside C functions (`x in a_list`, sorting) count as one instruction. A tracer that was set before
    (a debugger, coverage) is set again afterwards.
    """
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        elif event == "opcode":
            count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def calls(work: Callable[[], object], *names: str) -> int:
    """Return how many Python functions `work` calls; only those of these names when names are given."""
    count = 0

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        if event == "call" and (not names or frame.f_code.co_name in names):
            count += 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def growth(prepare: Callable[[int], Callable[[], object]], n: int) -> float:
    """Return the ratio of the steps of the work at 4n to those at n.

    `prepare(size)` returns the work on an input of that size; preparing is not counted. The ratio is about 4
    for work that is proportional to n, about 5 for n log n, and tends to 16 for work that grows with n².
    The work runs once on a small input before, which fills caches and imports modules.
    """
    prepare(2)()
    small, large = prepare(n), prepare(4 * n)
    return steps(large) / steps(small)
