"""Installs what `make interop` tests against and we did not write: the OpenLEADR VTN, and its PostgreSQL 16.

    python tools/openleadr.py     install what is missing, say where it is

Both go to a cache folder outside the checkout, `$XDG_CACHE_HOME/venclient` (`~/.cache/venclient`), and stay
there. The VTN is built from its crate with cargo, which takes a quarter of an hour on a small machine; where
there is no Rust that is new enough, Debian's is installed when we may (root, or sudo without a password).
Its migrations need PostgreSQL 16: Debian's where it is new enough, else the one inside the wheel of pgserver.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

#: The crate's version; a change of it is a line in CHANGELOG.md.
VERSION = "0.2.7"
#: What that version's Cargo.toml asks for.
RUST = (1, 91)
FEATURES = "internal-oauth"
POSTGRESQL = 16
PGSERVER = "0.1.4"
PGSERVER_HASHES = Path(__file__).parent.parent / "requirements" / "interop.txt"

#: Debian's packages with a Rust that is kept new enough for browsers, and what the crate's C parts want.
_RUST_PACKAGES = ("cargo-web", "rustc-web")
_C_TOOLS = {"cc": "gcc", "c++": "g++", "cmake": "cmake", "make": "make", "pkg-config": "pkg-config"}


def cache() -> Path:
    """Give the folder that keeps what was installed."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "venclient"


def vtn_program() -> Path:
    """Give where the VTN's program is, once it is installed."""
    return cache() / f"openleadr-{VERSION}" / "bin" / "openleadr-vtn"


def postgresql_programs() -> Path | None:
    """Give the folder of PostgreSQL's programs, of version 16 or later; None before they are installed."""
    of_debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version_of, reverse=True)
    if of_debian and _version_of(of_debian[0]) >= POSTGRESQL:
        return of_debian[0].parent
    bundled = _pgserver() / "pgserver" / "pginstall" / "bin"
    return bundled if (bundled / "postgres").is_file() else None


def install() -> None:
    """Install what is missing; SystemExit says what cannot be had, and what to do."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two checkouts may be tested at the same time
        if postgresql_programs() is None:
            _install_postgresql()
        if not vtn_program().is_file():
            _install_vtn()


def _version_of(initdb: Path) -> int:
    return int(initdb.parts[-3]) if initdb.parts[-3].isdecimal() else 0


def _pgserver() -> Path:
    return cache() / f"pgserver-{PGSERVER}"


def _install_postgresql() -> None:
    _say(f"installing PostgreSQL {POSTGRESQL} (from the wheel of pgserver {PGSERVER})")
    unfinished = cache() / "pgserver-unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    # Only its programs are used: the Python that it was made for does not matter.
    wheel = ("--no-deps", "--only-binary=:all:", "--python-version=3.11", "--implementation=cp")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    done = _run([*pip, *wheel, "--target", unfinished, "--require-hashes", "-r", PGSERVER_HASHES])
    if done != 0:
        _give_up(
            "pgserver has no PostgreSQL for this machine; install PostgreSQL 16 or later (Debian 13 has 17)"
        )
    shutil.rmtree(_pgserver(), ignore_errors=True)
    unfinished.rename(_pgserver())


def _install_vtn() -> None:
    cargo = _find_cargo() or _debian_cargo()
    lacking = [package for tool, package in _C_TOOLS.items() if shutil.which(tool) is None]
    if shutil.which("pkg-config") is None or _run(["pkg-config", "--exists", "openssl"]) != 0:
        lacking.append("libssl-dev")
    if lacking and not _apt_install(lacking):
        _give_up(f"the VTN cannot be built without: apt-get install {' '.join(lacking)}")
    root = vtn_program().parent.parent
    built = root / "target"
    _say(f"building the OpenLEADR VTN {VERSION} into {root} (a quarter of an hour on two cores, once)")
    crate = ["openleadr-vtn", "--version", VERSION, "--locked", "--features", FEATURES]
    # An own target folder: a build that was broken off goes on where it was.
    # Another Rust that is too old may come first on the path.
    os.environ["RUSTC"] = str(Path(cargo).with_name("rustc"))
    if _run([cargo, "install", *crate, "--root", root, "--target-dir", built, "--quiet"]) != 0:
        _give_up("the VTN could not be built; see above")
    shutil.rmtree(built, ignore_errors=True)


def _find_cargo() -> str | None:
    folders = [str(Path.home() / ".cargo" / "bin"), *os.environ.get("PATH", os.defpath).split(os.pathsep)]
    for cargo in filter(None, (shutil.which("cargo", path=folder) for folder in folders)):
        told = subprocess.run([cargo, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"(\d+)\.(\d+)", told)
        if found and (int(found[1]), int(found[2])) >= RUST:
            return cargo
    return None


def _debian_cargo() -> str:
    wanted = ".".join(map(str, RUST))
    _say(f"no cargo {wanted} or later here: installing Debian's {' and '.join(_RUST_PACKAGES)}")
    cargo = _find_cargo() if _apt_install(_RUST_PACKAGES) else None
    if cargo is None:
        _give_up(f"Rust {wanted} or later is needed: apt-get install {' '.join(_RUST_PACKAGES)}, or rustup")
    return cargo


def _apt_install(packages: list[str] | tuple[str, ...]) -> bool:
    """Install Debian's packages where we may; False where not, or when they are not to be had."""
    if shutil.which("apt-get") is None:
        return False
    who = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if who and (shutil.which("sudo") is None or _run([*who, "true"]) != 0):
        return False
    quiet = [*who, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    get = [*quiet, "install", "-y", "--no-install-recommends", *packages]
    return _run([*quiet, "update"]) == 0 and _run(get, silent=True) == 0


def _run(command: list[str | Path], *, silent: bool = False) -> int:
    out = subprocess.DEVNULL if silent else None
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=out).returncode


def _say(text: str) -> None:
    print(f"interop: {text}", flush=True)


def _give_up(text: str) -> NoReturn:
    raise SystemExit(f"interop: {text}")


if __name__ == "__main__":
    install()
    _say(f"OpenLEADR VTN {VERSION} and PostgreSQL are in {cache()}")
