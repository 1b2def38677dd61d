"""The clock and the VTN that the client's tests share."""

from __future__ import annotations

import pytest

from tests.client.fake_vtn import FakeVtn, SwiftClock


@pytest.fixture
def clock() -> SwiftClock:
    """Return a clock on which sleeping takes no time."""
    return SwiftClock()


@pytest.fixture
def vtn(clock: SwiftClock) -> FakeVtn:
    """Return an empty VTN that requires no tokens and grants them to every client."""
    return FakeVtn(clock)
