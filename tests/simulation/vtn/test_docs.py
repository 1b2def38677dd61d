"""The how-to shows a seed that works."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from venclient.clock import ManualClock
from venclient.simulation.vtn.seed import plant, read_seed
from venclient.simulation.vtn.service import Service
from venclient.simulation.vtn.store import Store


def test_the_seed_of_the_how_to_works(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The TOML in the how-to is read and planted as it stands."""
    monkeypatch.setenv("VEN_1_SECRET", "s")
    text = (root / "docs" / "how-to" / "local-vtn.md").read_text(encoding="utf-8")
    found = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    path = tmp_path / "seed.toml"
    path.write_text(found[1], encoding="utf-8")
    clock = ManualClock()
    service = Service(Store(clock.now), clock)
    plant(read_seed(path), service, datetime(2026, 1, 1, tzinfo=UTC))
    (event,) = service.store.find("event", programID="flex")
    assert len(event.content["intervals"]) == 6


def test_the_fault_plan_of_the_how_to_works(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tables are read without a mistake, and say what the comments beside them say."""
    monkeypatch.setenv("VEN_1_SECRET", "s")
    text = (root / "docs" / "how-to" / "local-vtn.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- file: faults.toml -->\n```toml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    path = tmp_path / "faults.toml"
    path.write_text(found[1], encoding="utf-8")
    third, busy, slow = read_seed(path).faults
    assert (third.method, third.skip, third.cut) == ("POST", 2, "after")
    assert (busy.times, busy.status, busy.retry_after_s) == (5, 429, 3)
    assert (slow.times, slow.latency_s) == (-1, 0.5)
