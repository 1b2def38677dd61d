"""The VTN of the crate `openadr`: one program with SQLite, strict about payloads and about object privacy."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from tests.interop.vtn import BUSINESS, SECRET, Vtn
from tests.peers import missing
from tools import openadr_crate


class CrateVtn(Vtn):
    """One VTN with its database in a folder; `options` are further ones of its command line."""

    kind = "openadr"
    base = "/openadr3/3.1.0"
    # Its 0.4.0 answers 500 to every listing of programs once one has payloadDescriptors.
    describes_programs = False

    def __init__(
        self,
        program: Path,
        folder: Path,
        *options: str,
        broker: int | None = None,
        own_logins: bool = True,
    ) -> None:
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self._program = program
        self._folder = folder
        self._options = [*options]
        if "--tls-cert" in options:
            self.scheme = "https"
        if broker is not None:
            self._options += ["--mqtt-broker", f"mqtt://127.0.0.1:{broker}"]
        #: Without its own logins it takes what `options` say: anonymous clients, or given tokens.
        self._own_logins = own_logins
        self._clients = {"interop": SECRET}
        self._key = secrets.token_hex(32)
        self._token_url: str | None = None

    def command(self) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        """Return its program with all that it shall do."""
        said: list[str | Path] = [self._program, "vtn", "--listen", f"127.0.0.1:{self.port}"]
        said += ["--database", self._folder / "vtn.sqlite", "--payload-validation", "strict", *self._options]
        if self._own_logins:
            logins = {BUSINESS[0]: (BUSINESS[1], "bl")}
            logins |= {name: (secret, "ven") for name, secret in self._clients.items()}
            for name, (secret, role) in logins.items():
                said += ["--client", f"{name}:{secret}:{role}"]
            said += ["--token-key", self._key]
        if self._token_url is not None:
            said += ["--token-url", self._token_url]
        return said, {"RUST_LOG": "openadr=debug,warn", "NO_COLOR": "1"}

    def answers(self) -> bool:
        """Return whether it is healthy; one that wants certificates, whether it listens."""
        if self.scheme == "http":
            return super().answers()
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def let_in(self, client_id: str, secret: str) -> None:
        """Let a client in: where it is not yet, with a restart."""
        if self._clients.get(client_id) != secret:
            self._clients[client_id] = secret
            self.stop()
            self.start()

    def forget_tokens(self) -> None:
        """Start it again with another key."""
        self.stop()
        self._key = secrets.token_hex(32)
        self.start()

    def empty(self) -> None:
        """Start it again without its database."""
        self.stop()
        for file in self._folder.glob("vtn.sqlite*"):
            file.unlink()
        self.start()

    def sibling(self) -> CrateVtn:
        """Return another VTN with the same logins and a separate store."""
        return CrateVtn(self._program, self._folder / "sibling")

    def trust(self, issuer: Vtn, token_url: str) -> None:
        """Take the key of a sibling, and its address."""
        assert isinstance(issuer, CrateVtn)
        self._key = issuer._key
        for one in (issuer, self):
            one.stop()
            # The address is also what its tokens say of their issuer.
            one._token_url = token_url
            one.start()


def find_crate() -> Path:
    """Return the VTN's program, or skip."""
    made = openadr_crate.VTN
    if not made.path.is_file():
        lacking = made.missing_tools()
        if lacking is not None:
            missing(f"the VTN of the crate openadr {made.version} cannot be built here ({lacking})")
        missing(f"{made.title} {made.version} is not installed (make interop)")
    return made.path
