"""Fixtures that every part of the suite shares."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import examples, skips
from tests.conformance import recorder
from tests.peers import pick_port
from tests.places import ROOT, SHARED

examples.load_profile()

#: Folders whose tests work on real databases, files and commands: no peers, but no unit tests either.
ON_DISK = ("registry", "contract", "cli", "docs", "packaging")


def pytest_configure(config: pytest.Config) -> None:
    """Record what the rows of the conformance table came to, where that is wanted; watch the skips."""
    recorder.install(config)
    skips.install(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what works on the disk, which keeps `make unit` quick; adjust how many examples are tried."""
    examples.adjust(items)
    for item in items:
        if (
            item.path.is_relative_to(ROOT / "tests")
            and item.path.relative_to(ROOT / "tests").parts[0] in ON_DISK
        ):
            item.add_marker("disk")


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the checkout's folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real-world test data beside the checkout, or skip."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared with real-world data is not here")
    return SHARED


@pytest.fixture
def free_port() -> int:
    """Return an unused TCP port of 127.0.0.1."""
    return pick_port()


@pytest.fixture(autouse=True)
def _root_log_level() -> Iterator[None]:
    """Restore the level of the root logger, which `ven run` and a reload of the settings set."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)
