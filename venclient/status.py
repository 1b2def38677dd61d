"""How a running gateway reports its status to other processes: one JSON document per connection.

The gateway listens on a Unix socket; any user who may open the file may ask. Nothing is written to the
card for it, and a stopped gateway is distinguished from one that does not answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from venclient.errors import StoreError
from venclient.messages import gateway as gwy
from venclient.messages import registry_files as dbf
from venclient.messages import with_code
from venclient.messages.printable import foreign

#: Linux allows 108 bytes for the name of a Unix socket, the closing zero included.
LONGEST_NAME = 107
ANSWER_WITHIN_S = 5.0
#: How long a client may take to send its request.
REQUEST_WITHIN_S = 1.0
RELOAD = "reload"
#: A reload ends the conversations with VTNs whose settings changed, and begins new ones.
RELOADED_WITHIN_S = 60.0


def socket_name(path: Path) -> str:
    """Return the name to listen on for `path`: itself, or a short stand-in in the temporary folder."""
    name = str(path.resolve())
    if len(os.fsencode(name)) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return str(Path(tempfile.gettempdir()) / f"ven-{os.geteuid()}-{digest}.sock")


class StatusServer:
    """Answers each connection with the snapshot of that moment, or with what came of the request in it.

    `reload` reads settings and registry again. A request is one line; nothing, or a line that is empty, asks
    for the snapshot.
    """

    def __init__(
        self,
        path: Path,
        snapshot: Callable[[], dict[str, Any]],
        reload: Callable[[], Awaitable[dict[str, Any]]] | None = None,
    ) -> None:
        self._name = socket_name(path)
        self._snapshot = snapshot
        self._reload = reload
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen, mode 0600; StoreError when another gateway listens there, or the socket cannot be made."""
        path = Path(self._name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                if _answers(self._name):
                    raise StoreError(gwy.ALREADY_RUNNING(), subject=self._name)
                path.unlink()  # left behind by a gateway that was killed
            self._server = await asyncio.start_unix_server(self._answer, self._name)
            path.chmod(0o600)
        except OSError as error:
            raise StoreError(dbf.CANNOT_LISTEN(reason=error.strerror or error), subject=self._name) from error

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = ""
            with suppress(TimeoutError, ValueError):  # an older program asks without a word
                async with asyncio.timeout(REQUEST_WITHIN_S):
                    request = (await reader.readline()).decode(errors="replace").strip()
            if not request:
                answer = self._snapshot()
            elif request == RELOAD and self._reload is not None:
                answer = await self._reload()
            else:
                answer = {"problem": with_code(gwy.UNKNOWN_REQUEST(request=foreign(request)))}
            writer.write(json.dumps(answer).encode())
            await writer.drain()
        except ConnectionError:
            return  # the client has gone
        finally:
            writer.close()

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
            Path(self._name).unlink(missing_ok=True)


def _answers(name: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(name)
        except OSError:
            return False
        return True


def ask(path: Path, request: str = "", *, within_s: float = ANSWER_WITHIN_S) -> dict[str, Any] | None:
    """Return the running gateway's snapshot, or its answer to a request; None when none runs.

    StoreError when it does not answer.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(within_s)
        try:
            connection.connect(socket_name(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise StoreError(gwy.STATUS_NOT_ASKED(problem=error), subject=str(path)) from error
        received = bytearray()
        try:
            connection.sendall(f"{request}\n".encode())
            while chunk := connection.recv(65536):
                received += chunk
            answer: dict[str, Any] = json.loads(received)
        except (OSError, ValueError) as error:
            raise StoreError(gwy.STATUS_NO_ANSWER(problem=error), subject=str(path)) from error
    return answer
