"""Faults on request: what a network or an overloaded VTN does to a client, at a chosen moment.

Faults sit outside the API as ASGI middleware; the API itself stays honest. A cut closes the
TCP connection without an answer: `before` the request is acted on, or `after` its effect is stored.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from venclient.clock import Clock
from venclient.simulation.vtn.problems import problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TRANSPORT = "venclient.transport"
"""Where the server keeps a connection's transport in an ASGI scope's state."""

FOREVER = -1


@dataclass(slots=True)
class Fault:
    """What goes wrong with matching requests; `times` of them, FOREVER for all.

    `path` is a regular expression searched in the path below the base path; latency is waited
    first, then the connection is cut, or the status answered, or the request served.
    """

    method: str | None = None
    path: str = ""
    times: int = 1
    skip: int = 0
    """So many matching requests are served well first."""
    latency_s: float = 0.0
    status: int | None = None
    retry_after_s: int | None = None
    cut: Literal["before", "after"] | None = None
    act: Callable[[], object] | None = None
    """Done before the request is served: something else changes in between (pages drift)."""
    hits: int = 0
    """How often it struck."""

    def strikes(self, method: str, path: str) -> bool:
        """Return whether this request is hit, and count it."""
        if self.times == 0 or self.method not in (None, method) or not re.search(self.path, path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times > 0:
            self.times -= 1
        self.hits += 1
        return True


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as the server saw it; status is None when no answer was given."""

    method: str
    path: str
    """Below the base path."""
    query: str
    status: int | None


class FaultyApp:
    """The API behind its faults; remembers every exchange in order."""

    def __init__(
        self, app: App, base_path: str, faults: list[Fault], clock: Clock, log: list[Exchange]
    ) -> None:
        self._app = app
        self._base_path = base_path
        self._faults = faults
        self._clock = clock
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"]).removeprefix(self._base_path)
        method = str(scope["method"])
        status: int | None = None

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        fault = next((fault for fault in self._faults if fault.strikes(method, path)), None)
        try:
            if fault is None:
                await self._app(scope, receive, note)
            else:
                await self._fail(fault, scope, receive, note)
        finally:
            query = bytes(scope.get("query_string", b"")).decode("latin-1")
            self._log.append(Exchange(method, path, query, status))

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.act is not None:
            fault.act()
        if fault.latency_s:
            await self._clock.sleep(fault.latency_s)
        if fault.cut is not None:
            if fault.cut == "after":
                await self._app(scope, receive, _swallow)
            await _cut(scope, receive)
        elif fault.status is not None:
            later = fault.retry_after_s
            more = () if later is None else ((b"retry-after", str(later).encode()),)
            said = problem(fault.status, "a fault was asked for")
            await answer(send, fault.status, said, more_headers=more)
        else:
            await self._app(scope, receive, send)


async def _swallow(message: Message) -> None:
    """Take an answer without sending it."""


async def _cut(scope: Scope, receive: Receive) -> None:
    transport = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionAbortedError("the connection was cut by a fault")
    transport.abort()
    # the server answers 500 for an application that returns before it noticed the disconnect
    while (await receive())["type"] != "http.disconnect":
        pass


async def answer(
    send: Send, status: int, content: object, *, more_headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer an ASGI request with JSON."""
    body = msgspec.json.encode(content)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *more_headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
