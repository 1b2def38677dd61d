"""The clock and the VTN that the client's tests share."""

from __future__ import annotations

import pytest

from tests.client.fake_vtn import FakeVtn, SwiftClock


@pytest.fixture
def clock() -> SwiftClock:
    """Give a clock on which sleeping takes no time."""
    return SwiftClock()


@pytest.fixture
def vtn(clock: SwiftClock) -> FakeVtn:
    """Give an empty VTN that wants tokens from nobody and grants them to everybody."""
    return FakeVtn(clock)
