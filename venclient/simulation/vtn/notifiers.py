"""The routes about notifications: how this VTN announces changes, and its WebSocket for them."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from venclient.simulation.vtn.auth import Accounts, demand
from venclient.simulation.vtn.exchange import identify, reply, route
from venclient.simulation.vtn.problems import Refusal
from venclient.simulation.vtn.push import OF_VEN, WHOLE, Notifier
from venclient.simulation.vtn.query import check_id
from venclient.simulation.vtn.service import Service

#: Ends a WebSocket of a client without a good token (a private code, as RFC 6455 leaves room for).
_UNAUTHORIZED = 4401


def notifier_routes(
    accounts: Accounts, notifier: Notifier, service: Service, base_path: str
) -> list[BaseRoute]:
    """Return the routes below /notifiers."""

    async def notifiers(request: Request) -> Response:
        client = identify(accounts, request)
        if not notifier.push.offers_any:
            # the YAML wants business logic's scope here; a VEN learns that it must poll
            demand(client, "read_all")
        return reply(notifier.described())

    async def topics(request: Request) -> Response:
        client = identify(accounts, request)
        path = str(request.path_params["rest"]).strip("/")
        if notifier.push.mqtt_uri is None:
            raise Refusal(404, f"this VTN publishes nothing by MQTT, so no topics of {path}")
        kind, _, rest = path.partition("/")
        id_, _, part = rest.partition("/")
        known = (kind in WHOLE and not rest) or (
            (kind == "programs" and part in ("", "events")) or (kind == "vens" and part in ("", *OF_VEN))
        )
        if not known:
            raise Refusal(404, f"there are no topics of {path}")
        if kind == "vens" and rest:
            service.get(client, "ven", check_id(id_))
        else:
            demand(client, "read_all")
        return reply({"topics": notifier.topics(path)})

    async def follow(socket: WebSocket) -> None:
        await socket.accept()
        try:
            client = accounts.identify(socket.headers.get("authorization"))
        except Refusal as refusal:
            await socket.close(_UNAUTHORIZED, refusal.detail)
            return
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        notifier.sockets[queue] = client
        leaving = asyncio.ensure_future(socket.receive_text())
        coming = asyncio.ensure_future(queue.get())
        try:
            while True:
                await asyncio.wait({coming, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    return
                await socket.send_text(coming.result().decode())
                coming = asyncio.ensure_future(queue.get())
        except WebSocketDisconnect:
            return
        finally:
            del notifier.sockets[queue]
            for task in (coming, leaving):
                task.cancel()
            await asyncio.gather(coming, leaving, return_exceptions=True)

    routes: list[BaseRoute] = [
        route(f"{base_path}/notifiers", get=notifiers),
        route(f"{base_path}/notifiers/mqtt/topics/{{rest:path}}", get=topics),
    ]
    if notifier.push.websocket:
        routes.append(WebSocketRoute(f"{base_path}/notifiers/ws", follow))
    return routes
