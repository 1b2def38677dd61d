"""What the builders of `make interop` share: the cache, its locks, and programs that are built from crates.

What is built stays in a folder outside the checkout, `$XDG_CACHE_HOME/venclient` (`~/.cache/venclient`).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

#: Debian's packages with a Rust that is kept new enough for browsers.
_RUST_PACKAGES = ("cargo-web", "rustc-web")
#: What the C parts of crates want, and Debian's package of each.
_C_TOOLS = {"cc": "gcc", "c++": "g++", "cmake": "cmake", "make": "make", "pkg-config": "pkg-config"}
#: A peer of tests need not be fast, and its build goes on beside tests: half the work of the release profile.
_PROFILE = {
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
}


def cache() -> Path:
    """Return the folder that keeps what was built."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "venclient"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the cache's lock of one peer: two checkouts may be tested at the same time."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f".lock-{name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """Print a line about the builds."""
    print(f"interop: {text}", flush=True)


def give_up(text: str) -> NoReturn:
    """End the program with a line about what cannot be had, and what to do."""
    raise SystemExit(f"interop: {text}")


def find(name: str) -> str | None:
    """Return where a tool is; Rust's and Go's usual folders count though they are not in PATH."""
    usual = [str(Path.home() / ".cargo" / "bin"), "/usr/local/go/bin"]
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *usual]))


def version_of(program: str) -> tuple[int, ...]:
    """Return the first two numbers of what a tool prints as its version; (0, 0) when there are none."""
    argument = "version" if Path(program).name == "go" else "--version"
    said = subprocess.run([program, argument], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def run(
    command: Sequence[str | Path], *, silent: bool = False, environment: Mapping[str, str] | None = None
) -> int:
    """Run a command without input, with further variables, and return its exit status."""
    out = subprocess.DEVNULL if silent else None
    variables = {**os.environ, **(environment or {})}
    return subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=out, env=variables
    ).returncode


def apt_install(packages: Sequence[str]) -> bool:
    """Install Debian's packages where that is allowed; False where not, or when there are none."""
    if shutil.which("apt-get") is None:
        return False
    who = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if who and (shutil.which("sudo") is None or run([*who, "true"]) != 0):
        return False
    quiet = [*who, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    get = [*quiet, "install", "-y", "--no-install-recommends", *packages]
    return run([*quiet, "update"]) == 0 and run(get, silent=True) == 0


class Crate(NamedTuple):
    """A program that cargo builds from a crate of the registry."""

    title: str
    name: str
    version: str
    features: str
    program: str
    #: The oldest Rust that builds it.
    rust: tuple[int, int]
    #: Further options of `cargo install`.
    options: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where the program is, once it is built."""
        return self._root / "bin" / self.program

    @property
    def _root(self) -> Path:
        return cache() / f"{self.name.removesuffix('-vtn')}-{self.version}"

    def missing_tools(self) -> str | None:
        """Return which tools of the build are missing; None when it can be built."""
        if self._cargo() is None:
            return f"Rust {'.'.join(map(str, self.rust))} or later is missing"
        lacking = self._c_packages()
        return f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing" if lacking else None

    def install_tools(self) -> str | None:
        """Install what the build needs, where that is allowed; return what is missing after it, as above."""
        if self._cargo() is None:
            say(f"{self.missing_tools()}: installing Debian's {' and '.join(_RUST_PACKAGES)}")
            apt_install(_RUST_PACKAGES)
        if lacking := self._c_packages():
            apt_install(lacking)
        return self.missing_tools()

    def build(self) -> None:
        """Build it; SystemExit when that fails."""
        cargo = self._cargo()
        assert cargo is not None
        built = self._root / "target"
        say(f"building {self.title} {self.version} in {self._root} (some minutes on two cores, once)")
        # A separate target folder: a build that was interrupted continues there. A Rust that is too old may
        # be the first in PATH.
        command = [cargo, "install", self.name, "--version", self.version, "--features", self.features]
        command += [*self.options, "--root", str(self._root), "--target-dir", str(built), "--quiet"]
        environment = {**_PROFILE, "RUSTC": str(Path(cargo).with_name("rustc"))}
        if run([*command, "--locked"], environment=environment) != 0:
            # A registry that takes up new versions late may not have what the crate's author locked.
            say("not with the versions that the crate locks; with the newest ones that it accepts:")
            if run(command, environment=environment) != 0:
                give_up(f"{self.title} {self.version} was not built, see above")
        shutil.rmtree(built, ignore_errors=True)

    @staticmethod
    def _c_packages() -> list[str]:
        lacking = [package for tool, package in _C_TOOLS.items() if shutil.which(tool) is None]
        if shutil.which("pkg-config") is None or run(["pkg-config", "--exists", "openssl"]) != 0:
            lacking.append("libssl-dev")
        return lacking

    def _cargo(self) -> str | None:
        folders = [str(Path.home() / ".cargo" / "bin"), *os.environ.get("PATH", os.defpath).split(os.pathsep)]
        for cargo in filter(None, (shutil.which("cargo", path=folder) for folder in folders)):
            if version_of(cargo) >= self.rust and Path(cargo).with_name("rustc").is_file():
                return cargo
        return None
