"""Builds the InfluxDB 2 that `make interop` tests against, from its Go module and its Rust parts.

    python -m tools.influxdb     build it when it is missing, and print where it is

Debian has InfluxDB 1 only. The build takes about ten minutes on two cores and happens once: the program
stays in the cache folder of tools/peer_builds.py. Without Go, Rust and a C compiler nothing is built, and the
tests are skipped with that reason; nothing is installed here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.peer_builds import cache, find, give_up, locked, say, version_of

#: A change of these is a line in CHANGELOG.md.
VERSION = "2.7.12"
PKG_CONFIG = "v0.2.14"
#: The oldest Go that may build it (a newer one is fetched by Go itself), and the oldest Rust.
GO = (1, 21)
RUST = (1, 76)

_MODULE = "module peers/influxbuild\n\ngo 1.23\n"
_PROGRAM = "github.com/influxdata/influxdb/v2/cmd/influxd"
_TAGS = ("-tags", "sqlite_foreign_keys,sqlite_json,noasm")
_PKG_CONFIG = "github.com/influxdata/pkg-config"
#: Its Rust parts turn warnings into errors; a newer compiler warns of more.
_WRAPPER = '#!/bin/sh\ncase " $* " in *" --cap-lints"*) exec "$@";; *) exec "$@" --cap-lints warn;; esac\n'


def program() -> Path:
    """Return where the server's program is, once it is built."""
    return cache() / f"influxdb-{VERSION}" / "bin" / "influxd"


def missing_tools() -> str | None:
    """Return which tool of the build is missing or too old; None when it can be built."""
    for names, tool, wanted in (
        (("go",), "Go", GO),
        (("cargo", "rustc"), "Rust", RUST),
        (("cc", "gcc"), "a C compiler", ()),
    ):
        found = [path for path in map(find, names) if path is not None]
        if not found or (tool == "Rust" and len(found) < len(names)):
            return f"{tool} is missing"
        if wanted and version_of(found[0]) < wanted:
            return f"{tool} {'.'.join(map(str, wanted))} or later is missing"
    return None


def build() -> None:
    """Build the server when it is missing; SystemExit when the build fails."""
    if program().is_file():
        return
    with locked("influxdb"):
        if not program().is_file():
            _build(program().parent.parent / "build")


def _build(folder: Path) -> None:
    say(f"building InfluxDB {VERSION} in {folder} (ten minutes on two cores, once)")
    tools = folder / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text(_MODULE)
    wrapper = tools / "rustwrap"
    wrapper.write_text(_WRAPPER)
    wrapper.chmod(0o755)
    path = [str(tools), *(str(Path(one).parent) for one in map(find, ("go", "cargo")) if one), os.defpath]
    # A separate cache, which goes with the folder: a build that was interrupted continues there.
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([*path[:-1], os.environ.get("PATH", os.defpath)]),
        "GOFLAGS": "-mod=mod",
        "GOCACHE": str(folder / "cache"),
        "PKG_CONFIG": str(tools / "pkg-config"),
        "RUSTC_WRAPPER": str(wrapper),
    }
    if find("rustup"):
        environment["RUSTUP_TOOLCHAIN"] = "stable"
    version = f"-X main.version=v{VERSION}"
    for command in (
        ["go", "get", f"{_PROGRAM}@v{VERSION}", f"{_PKG_CONFIG}@{PKG_CONFIG}"],
        ["go", "build", "-o", str(tools / "pkg-config"), _PKG_CONFIG],
        ["go", "build", "-o", "influxd", "-ldflags", version, *_TAGS, _PROGRAM],
    ):
        done = subprocess.run(
            ["nice", *command], cwd=folder, env=environment, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            give_up(f"InfluxDB {VERSION} was not built: {' '.join(command[:2])} failed, see above")
    program().parent.mkdir(parents=True, exist_ok=True)
    (folder / "influxd").rename(program())
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    lacking = missing_tools()
    if lacking is not None and not program().is_file():
        say(f"InfluxDB {VERSION} is not built ({lacking}); its tests are skipped")
        sys.exit()
    build()
    say(f"InfluxDB {VERSION} is in {program().parent}")
