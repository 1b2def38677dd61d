"""Builds the InfluxDB 2 that `make interop` tests against, from its Go module and its Rust parts.

    python tools/influxdb.py     build it when it is missing, and print where it is

Debian has InfluxDB 1 only. The build takes about ten minutes on two cores and happens once: the program
stays in a cache folder outside the checkout, `$XDG_CACHE_HOME/venclient` (`~/.cache/venclient`). Without Go,
Rust and a C compiler nothing is built, and the tests are skipped with that reason; nothing is installed here.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

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


def cache() -> Path:
    """Return the folder that keeps what was built."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "venclient"


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
        found = [path for path in map(_find, names) if path is not None]
        if not found or (tool == "Rust" and len(found) < len(names)):
            return f"{tool} is missing"
        if wanted and _version(found[0]) < wanted:
            return f"{tool} {'.'.join(map(str, wanted))} or later is missing"
    return None


def build() -> None:
    """Build the server when it is missing; SystemExit when the build fails."""
    if program().is_file():
        return
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / ".lock-influxdb").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two checkouts may be tested at the same time
        if not program().is_file():
            _build(program().parent.parent / "build")


def _build(folder: Path) -> None:
    print(f"interop: building InfluxDB {VERSION} in {folder} (ten minutes on two cores, once)", flush=True)
    tools = folder / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text(_MODULE)
    wrapper = tools / "rustwrap"
    wrapper.write_text(_WRAPPER)
    wrapper.chmod(0o755)
    path = [str(tools), *(str(Path(one).parent) for one in map(_find, ("go", "cargo")) if one), os.defpath]
    # A separate cache, which goes with the folder: a build that was interrupted continues there.
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([*path[:-1], os.environ.get("PATH", os.defpath)]),
        "GOFLAGS": "-mod=mod",
        "GOCACHE": str(folder / "cache"),
        "PKG_CONFIG": str(tools / "pkg-config"),
        "RUSTC_WRAPPER": str(wrapper),
    }
    if _find("rustup"):
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
            raise SystemExit(
                f"interop: InfluxDB {VERSION} was not built: {' '.join(command[:2])} failed, see above"
            )
    program().parent.mkdir(parents=True, exist_ok=True)
    (folder / "influxd").rename(program())
    shutil.rmtree(folder, ignore_errors=True)


def _find(name: str) -> str | None:
    usual = [str(Path.home() / ".cargo" / "bin"), "/usr/local/go/bin"]
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *usual]))


def _version(path: str) -> tuple[int, ...]:
    argument = "version" if Path(path).name == "go" else "--version"
    said = subprocess.run([path, argument], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


if __name__ == "__main__":
    lacking = missing_tools()
    if lacking is not None and not program().is_file():
        print(f"interop: InfluxDB {VERSION} is not built ({lacking}); its tests are skipped")
        sys.exit()
    build()
    print(f"interop: InfluxDB {VERSION} is in {program().parent}")
