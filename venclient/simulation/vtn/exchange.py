"""What every route needs: who asks, an answer in JSON, and a problem document for every error."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from venclient.simulation.vtn.auth import Accounts, Client
from venclient.simulation.vtn.problems import Refusal, problem

JSON = "application/json"
Handler = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)


class Verbs:
    """The ASGI application of one path: one handler for each HTTP method.

    A `Refusal` becomes a problem document, as does a failure of the VTN itself (500). Other methods get 405.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return  # the client is gone
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        handler = self._handlers.get(request.method)
        if handler is None:
            allowed = {"Allow": ", ".join(sorted(self._handlers))}
            return reply(problem(405, f"{request.method} is not allowed here"), 405, allowed)
        try:
            return await handler(request)
        except Refusal as refusal:
            return reply(problem(refusal.status, refusal.detail), refusal.status, refusal.headers)
        except ClientDisconnect:
            raise
        except Exception as error:
            log.debug("%s %s failed", request.method, request.url.path, exc_info=True)
            return reply(problem(500, f"the VTN failed: {type(error).__name__}"), 500)


def route(path: str, **handlers: Handler) -> Route:
    """Return the route of a path; `handlers` are named for their HTTP method in lower case."""
    return Route(path, Verbs({method.upper(): handler for method, handler in handlers.items()}))


async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a path that the VTN does not have."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000, "reason": "Not Found"})
        return
    await reply(problem(404, "Not Found"), 404)(scope, receive, send)


def identify(accounts: Accounts, request: Request) -> Client:
    """Return the client of a request; Refusal (401) without a good token."""
    return accounts.identify(request.headers.get("authorization"))


def reply(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return content as a JSON response."""
    return Response(msgspec.json.encode(content), status, headers or {}, JSON)
