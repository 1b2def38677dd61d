"""Notifications by webhook: a small receiver, and the subscription that names it (Definition.md, "Webhooks").

The VTN first asks for an echo, then calls with the bearer token that only it and we know.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from venclient.client.notices import Notices
from venclient.clock import Clock
from venclient.errors import ConfigError, VenError

_LARGEST_BODY = 2**22
#: How often the subscription is renewed: a VTN may have lost it.
_RENEW_S = 3600.0
_LEAVE_WITHIN_S = 2.0

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Address(Protocol):
    """Where we can be called, and where we listen."""

    @property
    def url(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def cert_file(self) -> Path | None: ...
    @property
    def key_file(self) -> Path | None: ...


class Receiver:
    """The ASGI application: echoes for the challenge, and wakes for a call with our token."""

    def __init__(self, bearer: str, wake: Callable[[], None], path: str) -> None:
        self._bearer = f"Bearer {bearer}".encode()
        self._wake = wake
        self._path = path or "/"

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        if scope["path"] != self._path:
            await _answer(send, 404)
        elif scope["method"] == "GET":
            words = parse_qs(bytes(scope.get("query_string", b"")).decode("latin-1")).get("echo", [])
            await _answer(send, 200 if words else 400, words[0].encode()[:1000] if words else b"")
        elif scope["method"] != "POST":
            await _answer(send, 405)
        elif not hmac.compare_digest(dict(scope["headers"]).get(b"authorization", b""), self._bearer):
            await _answer(send, 401)
        else:
            size, more = 0, True
            while more and size <= _LARGEST_BODY:
                message = await receive()
                if message["type"] != "http.request":
                    return
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
            if size > _LARGEST_BODY:
                await _answer(send, 413)
                return
            # What it says is not looked at: the VTN itself is asked.
            self._wake()
            await _answer(send, 200)


async def _answer(send: _Send, status: int, body: bytes = b"") -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class WebhookChannel:
    """A receiver on `address`, subscribed at the VTN while it runs."""

    kind = "webhook"

    def __init__(self, notices: Notices, name: str, address: Address, clock: Clock) -> None:
        self._notices = notices
        self._name = name
        self._address = address
        self._clock = clock

    async def run(self, up: Callable[[], None], wake: Callable[[], None]) -> None:
        """Serve and subscribe; VenError when the VTN refuses or the port is taken."""
        bearer = secrets.token_urlsafe(32)
        async with _serving(Receiver(bearer, wake, urlsplit(self._address.url).path), self._address):
            id_ = await self._notices.subscribe(self._name, self._address.url, bearer)
            up()
            try:
                while True:
                    await self._clock.sleep(_RENEW_S)
                    id_ = await self._notices.subscribe(self._name, self._address.url, bearer)
            finally:
                with contextlib.suppress(VenError, TimeoutError):
                    async with asyncio.timeout(_LEAVE_WITHIN_S):
                        if id_ is not None:
                            await self._notices.unsubscribe(id_)


@contextlib.asynccontextmanager
async def _serving(app: Receiver, address: Address) -> Any:
    """Serve `app` while the block runs; ConfigError when the address cannot be listened on."""
    import socket

    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield  # signals are the gateway's

    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(32)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen ({error.strerror})",
            subject=f"vtn.webhook_listen = {address.host}:{address.port}",
            hint="choose another port",
        ) from None
    try:
        config = _config(app, address)
        config.load()
    except (OSError, ValueError) as error:
        listener.close()
        raise ConfigError(
            f"cannot be used ({error})",
            subject=f"vtn.webhook_cert_file {address.cert_file}",
            hint="a readable certificate and key in PEM form are expected",
        ) from None
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="webhook receiver")
    try:
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0)
        yield
    finally:
        server.should_exit = True
        server.force_exit = True
        await asyncio.gather(task, return_exceptions=True)


def _config(app: Receiver, address: Address) -> Any:
    import uvicorn

    return uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        ssl_certfile=str(address.cert_file) if address.cert_file else None,
        ssl_keyfile=str(address.key_file) if address.key_file else None,
        limit_concurrency=50,
        timeout_keep_alive=10,
    )
