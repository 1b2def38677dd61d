"""The builder of the InfluxDB for `make interop`: what it needs, and that it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.skips import may_skip
from tools import influxdb

VERSIONS = {
    "go": "go version go1.23.4 linux/amd64",
    "cargo": "cargo 1.80.0",
    "rustc": "rustc 1.80.0",
    "cc": "",
}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the tools of a machine and what each prints as its version; changes count."""
    has = dict(VERSIONS)

    def find(name: str) -> str | None:
        if name not in has:
            return None
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho '{has[name]}'\n")
        path.chmod(0o755)
        return str(path)

    monkeypatch.setattr(influxdb, "find", find)
    return has


def test_a_machine_with_all_tools_can_build(machine: dict[str, str]) -> None:
    """Nothing is missing."""
    assert influxdb.missing_tools() is None


@pytest.mark.parametrize(
    ("tool", "version", "said"),
    [
        ("go", None, "Go is missing"),
        ("go", "go version go1.19.8 linux/amd64", "Go 1.21 or later is missing"),
        ("rustc", None, "Rust is missing"),
        ("cargo", "cargo 0.66.0", "Rust 1.76 or later is missing"),
        ("cc", None, "a C compiler is missing"),
    ],
)
def test_what_a_machine_lacks_is_said_and_may_be_skipped(
    machine: dict[str, str], tool: str, version: str | None, said: str
) -> None:
    """CI without Go and Rust skips the tests for that reason and for no other."""
    if version is None:
        del machine[tool]
    else:
        machine[tool] = version

    assert influxdb.missing_tools() == said
    assert may_skip(f"InfluxDB {influxdb.VERSION} cannot be built here ({said})", everything=True)
    assert not may_skip(f"InfluxDB {influxdb.VERSION} is not installed (make interop)", everything=True)


def test_the_cache_is_outside_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make clean` and a fresh clone cost no second build."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert influxdb.program() == tmp_path / "venclient" / f"influxdb-{influxdb.VERSION}" / "bin" / "influxd"
