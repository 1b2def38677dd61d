"""The HTTP face of the VTN: routes of the official YAML, and a problem document for every error."""

from __future__ import annotations

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Router

from venclient.simulation.vtn.auth import Accounts, AuthRefusal
from venclient.simulation.vtn.exchange import JSON, identify, not_found, reply, route
from venclient.simulation.vtn.notifiers import notifier_routes
from venclient.simulation.vtn.problems import Refusal
from venclient.simulation.vtn.push import Notifier, Push
from venclient.simulation.vtn.query import check_id, read_query
from venclient.simulation.vtn.service import Service
from venclient.simulation.vtn.store import KINDS

FORM = "application/x-www-form-urlencoded"
_HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")


def build_app(
    service: Service,
    accounts: Accounts,
    base_path: str,
    notifier: Notifier | None = None,
    *,
    etags: bool = True,
) -> Router:
    """Return the ASGI application of one VTN, mounted at the base path ("" for none)."""
    notifier = notifier or Notifier(service, Push())
    routes: list[BaseRoute] = [
        *_auth_routes(accounts, base_path),
        *notifier_routes(accounts, notifier, service, base_path),
    ]
    for kind in KINDS:
        routes.append(_collection_route(kind, service, accounts, notifier, base_path, etags=etags))
        routes.append(_object_route(kind, service, accounts, base_path))
    return Router(routes, redirect_slashes=False, default=not_found)


def _collection_route(
    kind: str, service: Service, accounts: Accounts, notifier: Notifier, base_path: str, *, etags: bool
) -> BaseRoute:
    async def search(request: Request) -> Response:
        client = identify(accounts, request)
        found = reply(service.search(client, kind, read_query(kind, request.scope["query_string"])))
        return _conditional(request, found) if etags else found

    async def create(request: Request) -> Response:
        client = identify(accounts, request)
        created = service.create(client, kind, await _read(request, JSON))
        if kind == "subscription" and notifier.push.webhook:
            try:
                await notifier.challenge(created)
            except Refusal:
                service.delete(client, kind, created["id"])
                raise
        return reply(created, 201)

    return route(f"{base_path}/{kind}s", get=search, post=create)


def _object_route(kind: str, service: Service, accounts: Accounts, base_path: str) -> BaseRoute:
    async def read(request: Request) -> Response:
        client = identify(accounts, request)
        return reply(service.get(client, kind, _object_id(request)))

    async def update(request: Request) -> Response:
        client = identify(accounts, request)
        return reply(service.update(client, kind, _object_id(request), await _read(request, JSON)))

    async def remove(request: Request) -> Response:
        client = identify(accounts, request)
        return reply(service.delete(client, kind, _object_id(request)))

    return route(f"{base_path}/{kind}s/{{object_id}}", get=read, put=update, delete=remove)


def _auth_routes(accounts: Accounts, base_path: str) -> list[BaseRoute]:
    async def server(request: Request) -> Response:
        host = request.headers.get("host", "")
        if _HOST.fullmatch(host) is None:
            raise Refusal(400, "the Host header names no host")
        return reply({"tokenURL": f"{request.scope['scheme']}://{host}{base_path}/auth/token"})

    async def token(request: Request) -> Response:
        body = await _read(request, FORM)
        headers = {"Cache-Control": "no-store"}
        try:
            return reply(accounts.issue(body), headers=headers)
        except AuthRefusal as refusal:
            answer = {"error": refusal.error, "error_description": refusal.description}
            return reply(answer, refusal.status, headers)

    return [route(f"{base_path}/auth/server", get=server), route(f"{base_path}/auth/token", post=token)]


def _object_id(request: Request) -> str:
    return check_id(str(request.path_params["object_id"]))


async def _read(request: Request, media_type: str) -> bytes:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise Refusal(415, f"the content type is {media_type}")
    return await request.body()


def _conditional(request: Request, found: Response) -> Response:
    """Return the answer with its ETag, or 304 when the client has that version already (RFC 9110, 13.1.2)."""
    tag = f'"{hashlib.sha256(found.body).hexdigest()[:32]}"'
    if tag in [one.strip() for one in request.headers.get("if-none-match", "").split(",")]:
        return Response(content=b"", status_code=304, headers={"ETag": tag})
    found.headers["ETag"] = tag
    return found
