"""A tap on the line between gateway and VTN: it writes down what goes by, and loses or spoils answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.peers import pick_port

_NO_BODY = b"\r\n\r\n"


@dataclass
class Passed:
    """One request that went by, and its answer as it came; `target` begins after the VTN's base path."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    status: int = 0
    answer_headers: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path alone."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's values by name."""
        return parse_qs(urlsplit(self.target).query)

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Tap:
    """Passes requests on to a port of this machine; `url` is its address, with the VTN's base path."""

    def __init__(self, upstream_port: int, base: str = "") -> None:
        self.port = pick_port()
        self.url = f"http://127.0.0.1:{self.port}{base}"
        self._base = base
        self.passed: list[Passed] = []
        #: Asked with each request before it goes on: True means that its answer is lost on the way.
        self.loses: Callable[[Passed], bool] = lambda _: False
        #: Asked with each request before it goes on: a status, or a response as it is sent, is what the VTN
        #: seems to answer.
        self.spoils: Callable[[Passed], int | bytes | None] = lambda _: None
        #: Told of each answer before it goes back.
        self.after: Callable[[Passed], None] = lambda _: None
        self._upstream = upstream_port
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Tap:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    def requests(self, method: str, path: str) -> list[Passed]:
        """Return the requests of one method and path that have passed."""
        return [one for one in self.passed if (one.method, one.path) == (method, path)]

    def answered(self, method: str, path: str) -> list[Passed]:
        """Return what the VTN has answered so far, of one method and path."""
        return [one for one in self.requests(method, path) if one.status]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(_NO_BODY)
            first, headers = _parsed(head)
            method, target, _ = first.split(" ", 2)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            request = Passed(method, target.removeprefix(self._base), headers, body)
            self.passed.append(request)
            lost, spoilt = self.loses(request), self.spoils(request)
            if isinstance(spoilt, bytes):
                answer = spoilt
            elif spoilt is not None:
                answer = response(f"{spoilt} Spoilt")
            else:
                answer = await self._ask(head, body, request)
                self.after(request)
            if not lost:
                writer.write(answer)
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _ask(self, head: bytes, body: bytes, request: Passed) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        writer.write(b"\r\n".join([lines[0], b"Connection: close", *lines[1:]]) + body)
        await writer.drain()
        answer = await reader.read(-1)
        writer.close()
        first, request.answer_headers = _parsed(answer.partition(_NO_BODY)[0] + _NO_BODY)
        request.status = int(first.split(" ")[1])
        return answer


def response(status: str, body: bytes = b"", *headers: str) -> bytes:
    """Return a response as it is sent, of a status ("302 Found"), further header lines and a body."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", "")
    return "\r\n".join(lines).encode() + body


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    first, *rest = head.decode("latin-1").strip("\r\n").split("\r\n")
    return first, {
        name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)
    }
