"""Notifications by webhook: a small receiver, and the subscription that names it (Definition.md, "Webhooks").

The VTN first asks for an echo, then calls with the bearer token that only it and we know. Anybody else can
call, too: so there are few calls at a time, each is short, and no more is read of it than needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from venclient.client.notices import Notices
from venclient.clock import Clock, rest
from venclient.errors import ConfigError, VenError
from venclient.messages import client as vtn

log = logging.getLogger(__name__)

_LARGEST_BODY = 2**22
#: A larger notification is not read: it is about many events, and wakes the poll.
_LARGEST_READ = 2**16
#: Connections at the same time; with more, the oldest and silent one is closed.
MOST_CALLS = 64
#: How long a call may take, its handshake included.
CALL_WITHIN_S = 10.0
#: Callers that the system lets wait until it is their turn.
_QUEUE = 128
#: How often the subscription is read again: a VTN may have lost it.
_RENEW_S = 270.0
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

    def __init__(self, bearer: str, wake: Callable[..., None], path: str) -> None:
        self._bearer = f"Bearer {bearer}".encode()
        self._wake = wake
        self._path = unquote(path) or "/"

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
            size, more, body = 0, True, b""
            while more and size <= _LARGEST_BODY:
                message = await receive()
                if message["type"] != "http.request":
                    return
                size += len(message.get("body", b""))
                if size <= _LARGEST_READ:
                    body += message.get("body", b"")
                more = message.get("more_body", False)
            # Only what it is about is looked at: the VTN itself is asked.
            self._wake(body if size <= _LARGEST_READ else b"")
            await _answer(send, 200 if size <= _LARGEST_BODY else 413)


async def _answer(send: _Send, status: int, body: bytes = b"") -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class WebhookChannel:
    """A receiver on `address`, subscribed at the VTN while it runs."""

    kind = "webhook"

    def __init__(
        self,
        notices: Notices,
        name: str,
        address: Address,
        clock: Clock,
        *,
        doubted: asyncio.Event | None = None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._doubted = doubted or asyncio.Event()
        self._lost = lost
        self._notices = notices
        self._name = name
        self._address = address
        self._clock = clock

    async def run(self, up: Callable[[], None], wake: Callable[..., None]) -> None:
        """Serve and subscribe; VenError when the VTN refuses or the port is taken.

        The subscription is read again now and then, and when it is doubted; one that is lost is made again.
        """
        bearer = secrets.token_urlsafe(32)
        async with _serving(Receiver(bearer, wake, urlsplit(self._address.url).path), self._address):
            id_ = await self._notices.subscribe(self._name, self._address.url, bearer)
            up()
            try:
                while True:
                    await rest(self._clock, _RENEW_S, self._doubted)
                    doubted = self._doubted.is_set()
                    self._doubted.clear()
                    held = await self._notices.is_subscribed(self._name, self._address.url, id_)
                    if not held:
                        id_ = await self._notices.subscribe(self._name, self._address.url, bearer)
                        self._lost()
                    if doubted or not held:
                        up()
            finally:
                with contextlib.suppress(VenError, TimeoutError):
                    async with asyncio.timeout(_LEAVE_WITHIN_S):
                        if id_ is not None:
                            await self._notices.unsubscribe(id_)


@contextlib.asynccontextmanager
async def _serving(app: Receiver, address: Address) -> AsyncIterator[None]:
    """Serve `app` while the block runs; ConfigError when the address or certificate cannot be used."""
    tls = _tls(address)
    listener = _listener(address)
    task = asyncio.create_task(_take_calls(app, listener, tls), name="webhook receiver")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        listener.close()


async def _take_calls(app: Receiver, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
    """Serve calls until cancelled; of more than MOST_CALLS the oldest, which says nothing, is ended."""
    import uvicorn

    config = uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", log_config=None, log_level="critical", server_header=False
    )
    config.access_log = False
    config.load()
    loop = asyncio.get_running_loop()
    # The oldest first.
    open_calls: dict[asyncio.Task[None], None] = {}
    crowded = False
    async with asyncio.TaskGroup() as calls:
        while True:
            try:
                caller, _ = await loop.sock_accept(listener)
            except OSError as error:
                # No descriptors left, say; who called may call again.
                log.warning(vtn.CALL_LOST(problem=error.strerror))
                await asyncio.sleep(1)
                continue
            if len(open_calls) >= MOST_CALLS:
                if not crowded:
                    log.warning(vtn.CALLS_CROWDED(most=MOST_CALLS))
                crowded = True
                oldest = next(iter(open_calls))
                del open_calls[oldest]
                oldest.cancel()
            elif len(open_calls) < MOST_CALLS // 2:
                crowded = False
            call = calls.create_task(_serve(caller, config, tls))
            open_calls[call] = None
            call.add_done_callback(lambda done: open_calls.pop(done, None))
            await asyncio.sleep(0)  # it begins, and closes its socket at its end


async def _serve(caller: socket.socket, config: Any, tls: ssl.SSLContext | None) -> None:
    """Serve one connection, and end it after CALL_WITHIN_S at the latest."""
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.server import ServerState

    gone = asyncio.Event()
    state = ServerState()

    class Call(H11Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            gone.set()

    transport: asyncio.Transport | None = None
    try:
        async with asyncio.timeout(CALL_WITHIN_S):
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Call(config=config, server_state=state, app_state={}),
                caller,
                ssl=tls,
                ssl_handshake_timeout=CALL_WITHIN_S if tls else None,
                ssl_shutdown_timeout=1.0 if tls else None,
            )
            await gone.wait()
    except (OSError, TimeoutError):
        pass  # strangers knock at every open port
    except Exception as error:
        log.error(vtn.CALL_BUG(error=type(error).__name__), exc_info=error)
    finally:
        if transport is not None:
            transport.abort()
        for task in tuple(state.tasks):
            task.cancel()


def _listener(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(_QUEUE)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ConfigError(
            vtn.CANNOT_LISTEN(problem=error.strerror),
            subject=f"vtn.webhook_listen = {address.host}:{address.port}",
        ) from None
    return listener


def _tls(address: Address) -> ssl.SSLContext | None:
    if address.cert_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A password keeps OpenSSL from asking for one at the terminal of a service.
        context.load_cert_chain(str(address.cert_file), address.key_file, password="")
    except (OSError, ValueError) as error:
        raise ConfigError(
            vtn.CERTIFICATE_FILE(problem=error), subject=f"vtn.webhook_cert_file {address.cert_file}"
        ) from None
    return context
