"""Builds the VTN of the crate `openadr` that `make interop` tests against: one program, with SQLite inside.

    python -m tools.openadr_crate     build it when it is missing, and print where it is

It stays in the cache folder of tools/peer_builds.py. Where no Rust is new enough, Debian's is installed when
that is allowed (root, or sudo without a password); otherwise nothing is built, and the tests are skipped with
that reason.
"""

from __future__ import annotations

import sys

from tools.peer_builds import Crate, locked, say

_FEATURES = ("vtn", "client", "internal-auth", "sqlite", "webhook", "mqtt", "tls", "mdns", "conformance")
#: A change of the version is a line in CHANGELOG.md. Its Cargo.toml asks for Rust 1.96; 1.95 builds it too.
VTN = Crate(
    "the VTN of the crate openadr",
    "openadr",
    "0.4.0",
    ",".join(_FEATURES),
    "openadr",
    (1, 95),
    ("--ignore-rust-version",),
)


def build() -> str | None:
    """Build it when it is missing; return which tool of the build is missing, None when it is there."""
    with locked("openadr"):
        if VTN.path.is_file():
            return None
        lacking = VTN.install_tools()
        if lacking is None:
            VTN.build()
        return lacking


if __name__ == "__main__":
    missing = build()
    if missing is not None:
        say(f"{VTN.title} {VTN.version} is not built ({missing}); its tests are skipped")
        sys.exit()
    say(f"{VTN.title} {VTN.version} is in {VTN.path.parent}")
