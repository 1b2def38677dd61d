"""Installs the OpenLEADR VTN that `make interop` tests against, and its PostgreSQL 16.

    python -m tools.openleadr     install what is missing, and print where it is

Both stay in the cache folder of tools/peer_builds.py. The VTN is built from its crate with cargo, in
some minutes on two cores; where no Rust is new enough, Debian's is installed when that is
allowed (root, or sudo without a password). Its migrations need PostgreSQL 16: Debian's where it is new
enough, else the one inside the wheel of pgserver.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tools.peer_builds import Crate, cache, give_up, locked, run, say

#: A change of a version is a line in CHANGELOG.md. The oldest Rust is what its Cargo.toml asks for.
VTN = Crate("the OpenLEADR VTN", "openleadr-vtn", "0.2.8", "internal-oauth", "openleadr-vtn", (1, 91))
POSTGRESQL = 16
PGSERVER = "0.1.4"
PGSERVER_HASHES = Path(__file__).parent.parent / "requirements" / "interop.txt"


def postgresql_programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, of version 16 or later; None before they are installed."""
    of_debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version_of, reverse=True)
    if of_debian and _version_of(of_debian[0]) >= POSTGRESQL:
        return of_debian[0].parent
    bundled = _pgserver() / "pgserver" / "pginstall" / "bin"
    return bundled if (bundled / "postgres").is_file() else None


def install() -> None:
    """Install what is missing; SystemExit says what cannot be had, and what to do."""
    with locked("openleadr"):
        if postgresql_programs() is None:
            _install_postgresql()
        if not VTN.path.is_file():
            if lacking := VTN.install_tools():
                give_up(
                    f"{VTN.title} cannot be built ({lacking}): install it with apt-get, or Rust with rustup"
                )
            VTN.build()


def _version_of(initdb: Path) -> int:
    return int(initdb.parts[-3]) if initdb.parts[-3].isdecimal() else 0


def _pgserver() -> Path:
    return cache() / f"pgserver-{PGSERVER}"


def _install_postgresql() -> None:
    say(f"installing PostgreSQL {POSTGRESQL} (from the wheel of pgserver {PGSERVER})")
    unfinished = cache() / "pgserver-unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    # Only its programs are used: the Python that it was made for does not matter.
    wheel = ("--no-deps", "--only-binary=:all:", "--python-version=3.11", "--implementation=cp")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    done = run([*pip, *wheel, "--target", unfinished, "--require-hashes", "-r", PGSERVER_HASHES])
    if done != 0:
        give_up(
            "pgserver has no PostgreSQL for this machine; install PostgreSQL 16 or later (Debian 13 has 17)"
        )
    shutil.rmtree(_pgserver(), ignore_errors=True)
    unfinished.rename(_pgserver())


if __name__ == "__main__":
    install()
    say(f"OpenLEADR VTN {VTN.version} and PostgreSQL are in {cache()}")
