"""Notifications over a WebSocket below the VTN's address, as OpenLEADR's VTN offers them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket as sockets
from collections.abc import Callable
from typing import Any

from venclient.client.notices import Notices
from venclient.client.push_mqtt import LARGEST_READ
from venclient.clock import Clock, SystemClock, rest
from venclient.errors import VenError, VtnUnreachable
from venclient.messages import Text
from venclient.messages import client as vtn
from venclient.messages.printable import foreign
from venclient.tls_failures import vtn_side

#: The library's debug messages would show the token.
_QUIET = logging.getLogger("venclient.client.websocket")
_QUIET.setLevel(logging.WARNING)

_OPEN_WITHIN_S = 10.0
#: Not every VTN answers a farewell, and we must be able to stop quickly.
_CLOSE_WITHIN_S = 0.5
_PING_EVERY_S = 60.0
#: How often the subscription is read again while we listen.
KEEP_EVERY_S = 270.0
#: How long the other side may leave a ping unconfirmed (by TCP) until we take it for gone.
_SILENT_FOR_S = 30.0
#: What a message says is not looked at: the VTN itself is asked.
_LARGEST_MESSAGE = 2**20


class SocketChannel:
    """The WebSocket of one VTN."""

    kind = "WebSocket"

    def __init__(
        self,
        notices: Notices,
        client_name: str,
        clock: Clock | None = None,
        *,
        doubted: asyncio.Event | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._doubted = doubted or asyncio.Event()
        self._notices = notices
        self._name = client_name

    async def run(self, up: Callable[[], None], wake: Callable[..., None]) -> None:
        """Connect and listen until the connection ends; VenError says why it did."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

        class Straight(connect):
            """Follows no redirect: it would carry the token to an unconfirmed address."""

            def process_redirect(self, exc: Exception) -> Exception | str:
                return exc

        subscribed = await self._notices.subscribe_socket(self._name)
        url = f"{self._notices.url}/notifiers/ws".replace("http", "ws", 1)
        token = await self._notices.token()
        tls = self._notices.tls_context() if url.startswith("wss:") else None
        try:
            async with Straight(
                url,
                additional_headers={"Authorization": f"Bearer {token}"} if token else None,
                ssl=tls,
                open_timeout=_OPEN_WITHIN_S,
                close_timeout=_CLOSE_WITHIN_S,
                ping_interval=_PING_EVERY_S,
                ping_timeout=None,  # OpenLEADR's VTN never answers one; TCP notices a lost peer
                logger=_QUIET,
                max_size=_LARGEST_MESSAGE,
                compression=None,
                proxy=None,
            ) as socket:
                _bound_silence(socket.transport.get_extra_info("socket"))
                up()
                keeping = asyncio.ensure_future(self._keep(up) if subscribed else self._clock.sleep(0))
                try:
                    async for message in socket:
                        wake(message if len(message) <= LARGEST_READ else "")
                finally:
                    keeping.cancel()
                    await asyncio.gather(keeping, return_exceptions=True)
        except InvalidStatus as error:
            status = error.response.status_code
            refused = vtn.SOCKET_TWICE if status == 409 else vtn.SOCKET_REFUSED
            raise self._failure(refused(status=status)) from None
        except ConnectionClosed as error:
            reason = error.rcvd.reason if error.rcvd else ""
            raise self._failure(vtn.SOCKET_ENDED(reason=foreign(reason) or vtn.NO_REASON())) from None
        except (OSError, TimeoutError, InvalidHandshake) as error:
            of_tls = vtn_side(has_cert=self._notices.has_cert).text(error, SystemClock().now())
            what = of_tls or vtn.SOCKET_NO_CONNECTION(problem=type(error).__name__)
            raise self._failure(what) from error
        raise self._failure(vtn.SOCKET_CLOSED())

    async def _keep(self, up: Callable[[], None]) -> None:
        """Read the subscription again now and then, and when it is doubted; make a lost one again."""
        while True:
            await rest(self._clock, KEEP_EVERY_S, self._doubted)
            self._doubted.clear()
            with contextlib.suppress(VenError):  # the poll says what the VTN refuses
                if await self._notices.keep_socket(self._name):
                    up()

    def _failure(self, what: Text) -> VtnUnreachable:
        return VtnUnreachable(what, subject=f"{self._notices.url}/notifiers/ws")


def _bound_silence(connection: Any) -> None:
    """Have the system end a connection whose other side vanished, where it can (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        connection.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_USER_TIMEOUT, int(_SILENT_FOR_S * 1000))
