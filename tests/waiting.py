"""Wait for a condition in another process or thread, with a deadline that only guards against hanging."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

#: Far longer than the slowest machine takes; a test that runs into it hangs.
GUARD_S = 120.0


def wait_until(holds: Callable[[], Any], what: str | Callable[[], str]) -> Any:
    """Return what `holds` returns once that is true; fail with `what` was waited for when it never is."""
    deadline = time.monotonic() + GUARD_S
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.01)  # another process is at work, which no manual clock drives
    pytest.fail(f"not in {GUARD_S:g} s: {what if isinstance(what, str) else what()}")
