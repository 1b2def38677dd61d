"""Fixtures of the reporting tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reporting.bench import Bench
from tests.reporting.samples import EACH, event


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Return a bench whose VTN lists an event that asks for a report on each of four hours."""
    one = Bench(tmp_path)
    one.list_events(event(4, EACH))
    yield one
    one.close()
