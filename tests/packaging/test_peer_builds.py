"""The builders of VTNs for `make interop`: what they need, what they fall back to, and what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.skips import may_skip
from tools import influxdb, openadr_crate, openleadr, peer_builds
from tools.peer_builds import Crate

MADE = Crate("the peer", "peer-vtn", "1.2.3", "a,b", "peer", (1, 90), ("--frozen-in-time",))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the programs of a machine that has a Rust of 1.95 and all C tools."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(peer_builds, "apt_install", lambda packages: False)
    monkeypatch.setattr(Crate, "_c_packages", staticmethod(list))
    script(programs, "rustc", "echo rustc 1.95.0")
    script(programs, "cargo", f'echo "$@" >>{tmp_path}/said; echo cargo 1.95.0')
    return programs


def script(folder: Path, name: str, text: str) -> None:
    """Write a program."""
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def installs(folder: Path) -> list[str]:
    """Return what cargo was asked to install."""
    return [line for line in (folder / "said").read_text().splitlines() if line.startswith("install")]


def test_it_is_built_with_the_versions_that_its_author_locked(machine: Path, tmp_path: Path) -> None:
    """One `cargo install` into the cache, with the features, the options and the lock."""
    MADE.build()

    (asked,) = installs(tmp_path)
    root = tmp_path / "cache" / "venclient" / "peer-1.2.3"
    assert asked.startswith("install peer-vtn --version 1.2.3 --features a,b --frozen-in-time ")
    assert f"--root {root}" in asked
    assert asked.endswith("--locked")
    assert MADE.path == root / "bin" / "peer"


def test_a_registry_without_a_locked_version_has_others(
    machine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the locked versions cannot all be had it is built with the newest that fit, and says so."""
    words = 'case " $* " in *" --locked"*) exit 101;; esac'
    script(machine, "cargo", f'echo "$@" >>{tmp_path}/said; {words}; echo cargo 1.95.0')
    MADE.build()

    locked, free = installs(tmp_path)
    assert locked == f"{free} --locked"
    assert "newest" in capsys.readouterr().out


def test_a_build_that_fails_both_ways_ends_with_a_reason(machine: Path) -> None:
    """The tool ends with the name and version of what was not built."""
    script(machine, "cargo", 'case "$1" in install) exit 101;; esac; echo cargo 1.95.0')
    with pytest.raises(SystemExit) as ended:
        MADE.build()

    assert str(ended.value).startswith(f"interop: {MADE.title} {MADE.version} was not built")


@pytest.mark.parametrize("cargo", [None, "cargo 1.89.0"])
def test_without_a_rust_that_is_new_enough_the_reason_may_be_a_skip(
    cargo: str | None, machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A developer's machine skips the crate's tests for that reason; CI does not."""
    (machine / "cargo").unlink()
    if cargo is not None:
        script(machine, "cargo", f"echo {cargo}")
    monkeypatch.setenv("PATH", str(machine))
    made = openadr_crate.VTN
    lacking = made.install_tools()

    assert lacking == f"Rust {made.rust[0]}.{made.rust[1]} or later is missing"
    reason = f"{made.title} {made.version} cannot be built here ({lacking})"
    assert may_skip(reason, everything=False)
    assert not may_skip(reason, everything=True)


def test_all_peers_share_one_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make clean` and a fresh clone cost no second build of any of them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    programs = [openleadr.VTN.path, openadr_crate.VTN.path, influxdb.program()]

    assert {program.parents[2] for program in programs} == {tmp_path / "venclient"}
    assert len({program.parents[1] for program in programs}) == 3


def test_ci_builds_all_of_them_one_after_another(root: Path) -> None:
    """Each build takes all idle cores, so they do not run beside each other; `make interop` has them all."""
    ci = (root / ".ci" / "run").read_text()
    make = (root / "Makefile").read_text()

    assert "for one in openleadr openadr_crate influxdb; do .venv/bin/python -m tools.\\$one; done" in ci
    assert [f"-m tools.{one}" in make for one in ("openleadr", "openadr_crate", "influxdb")] == [True] * 3
