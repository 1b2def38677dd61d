"""What the tests ask of a VTN that others wrote: a process to start, stop, empty, and let clients into."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import httpx2
import pytest

from tests.peers import pick_port

BUSINESS = ("business", "business-secret")
#: The client of the gateway, and its secret.
SECRET = "interop-secret"


class Vtn(ABC):
    """One VTN on a separate port; stopped and started again it still knows all but, perhaps, its tokens."""

    kind: ClassVar[str]
    #: The path of its base address.
    base: ClassVar[str] = ""
    #: How it writes the duration P9999Y.
    endless: ClassVar[str] = "P9999Y"
    #: Whether the descriptors of a program can be read back.
    describes_programs: ClassVar[bool] = True
    scheme = "http"

    def __init__(self) -> None:
        self.port = pick_port()
        self.log = Path(tempfile.mkstemp(prefix="ven-vtn-", suffix=".log")[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The base address, with the path of its version where it has one."""
        return f"{self.scheme}://127.0.0.1:{self.port}{self.base}"

    @abstractmethod
    def command(self) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        """Return what starts it, and the variables of its environment."""

    @abstractmethod
    def let_in(self, client_id: str, secret: str) -> None:
        """Let a VEN's client in."""

    @abstractmethod
    def forget_tokens(self) -> None:
        """Start it again with another key: tokens given so far count no longer."""

    @abstractmethod
    def empty(self) -> None:
        """Start it again with an empty store, as after a lost disk; the clients are let in again."""

    @abstractmethod
    def sibling(self) -> Vtn:
        """Return another VTN, which is not started; after `trust` this one takes its tokens."""

    @abstractmethod
    def trust(self, issuer: Vtn, token_url: str) -> None:
        """Start it again: tokens come from a sibling at that address, and it says so."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.log.unlink(missing_ok=True)

    def start(self) -> None:
        """Start it and return once it answers; fail the test, with what it said, when it does not."""
        known = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        command, environment = self.command()
        with self.log.open("ab") as log:
            # In a folder where no .env lies: one of them would read it.
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**known, **environment}, cwd="/"
            )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self._process.poll() is None:
            if self.answers():
                return
            time.sleep(0.02)  # another process is starting: no clock of ours would help
        self.stop()
        pytest.fail(f"the VTN {self.kind} does not serve:\n{self.log.read_text()[-4000:]}")

    def answers(self) -> bool:
        """Return whether it says that it is healthy."""
        try:
            url = f"{self.scheme}://127.0.0.1:{self.port}/health"
            return httpx2.get(url, trust_env=False, timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False

    def stop(self) -> None:
        """End it at once, as a power cut does."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(60)
