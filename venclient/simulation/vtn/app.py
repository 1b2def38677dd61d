"""The HTTP face of the VTN: routes of the official YAML, and a problem document for every error."""

from __future__ import annotations

import hashlib
import re

from litestar import Litestar, Response, delete, get, post, put
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler

from venclient.simulation.vtn.auth import Accounts, AuthRefusal
from venclient.simulation.vtn.exchange import JSON, AnyRequest, identify, reply
from venclient.simulation.vtn.notifiers import notifier_routes
from venclient.simulation.vtn.problems import Refusal, problem
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
) -> Litestar:
    """Give the ASGI application of one VTN, mounted at the base path ("" for none)."""
    notifier = notifier or Notifier(service, Push())
    handlers: list[ControllerRouterHandler] = [
        *_auth_routes(accounts, base_path),
        *notifier_routes(accounts, notifier, service),
    ]
    for kind in KINDS:
        handlers += _collection_routes(kind, service, accounts, notifier, etags=etags)
        handlers += _object_routes(kind, service, accounts)
    return Litestar(
        route_handlers=handlers,
        path=base_path,
        openapi_config=None,
        logging_config=None,
        exception_handlers={Refusal: _refuse, HTTPException: _refuse_http, Exception: _fail},
    )


def _collection_routes(
    kind: str, service: Service, accounts: Accounts, notifier: Notifier, *, etags: bool
) -> list[HTTPRouteHandler]:
    @get(f"/{kind}s", name=f"list-{kind}s")
    async def search(request: AnyRequest) -> Response[bytes]:
        client = identify(accounts, request)
        found = reply(service.search(client, kind, read_query(kind, request.scope["query_string"])))
        return _conditional(request, found) if etags else found

    @post(f"/{kind}s", name=f"create-{kind}")
    async def create(request: AnyRequest) -> Response[bytes]:
        client = identify(accounts, request)
        created = service.create(client, kind, await _read(request, JSON))
        if kind == "subscription" and notifier.push.webhook:
            try:
                await notifier.challenge(created)
            except Refusal:
                service.delete(client, kind, created["id"])
                raise
        return reply(created, 201)

    return [search, create]


def _object_routes(kind: str, service: Service, accounts: Accounts) -> list[HTTPRouteHandler]:
    path = f"/{kind}s/{{object_id:str}}"

    @get(path, name=f"read-{kind}")
    async def read(request: AnyRequest) -> Response[bytes]:
        client = identify(accounts, request)
        return reply(service.get(client, kind, _object_id(request)))

    @put(path, name=f"update-{kind}")
    async def update(request: AnyRequest) -> Response[bytes]:
        client = identify(accounts, request)
        return reply(service.update(client, kind, _object_id(request), await _read(request, JSON)))

    @delete(path, name=f"delete-{kind}", status_code=200)
    async def remove(request: AnyRequest) -> Response[bytes]:
        client = identify(accounts, request)
        return reply(service.delete(client, kind, _object_id(request)))

    return [read, update, remove]


def _auth_routes(accounts: Accounts, base_path: str) -> list[HTTPRouteHandler]:
    @get("/auth/server")
    async def server(request: AnyRequest) -> Response[bytes]:
        host = request.headers.get("host", "")
        if _HOST.fullmatch(host) is None:
            raise Refusal(400, "the Host header names no host")
        return reply({"tokenURL": f"{request.url.scheme}://{host}{base_path}/auth/token"})

    @post("/auth/token")
    async def token(request: AnyRequest) -> Response[bytes]:
        body = await _read(request, FORM)
        headers = {"Cache-Control": "no-store"}
        try:
            return reply(accounts.issue(body), headers=headers)
        except AuthRefusal as refusal:
            answer = {"error": refusal.error, "error_description": refusal.description}
            return reply(answer, refusal.status, headers)

    return [server, token]


def _object_id(request: AnyRequest) -> str:
    return check_id(str(request.path_params["object_id"]))


async def _read(request: AnyRequest, media_type: str) -> bytes:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise Refusal(415, f"the content type is {media_type}")
    return await request.body()


def _conditional(request: AnyRequest, found: Response[bytes]) -> Response[bytes]:
    """Give the answer with its ETag, or 304 to who has that one already (RFC 9110, 13.1.2)."""
    tag = f'"{hashlib.sha256(found.content).hexdigest()[:32]}"'
    if tag in [one.strip() for one in request.headers.get("if-none-match", "").split(",")]:
        return Response(content=b"", status_code=304, headers={"ETag": tag})
    found.headers["ETag"] = tag
    return found


def _refuse(_: AnyRequest, error: Refusal) -> Response[bytes]:
    return reply(problem(error.status, error.detail), error.status, error.headers)


def _refuse_http(_: AnyRequest, error: HTTPException) -> Response[bytes]:
    return reply(problem(error.status_code, error.detail), error.status_code, dict(error.headers or {}))


def _fail(_: AnyRequest, error: Exception) -> Response[bytes]:
    return reply(problem(500, f"the VTN failed: {type(error).__name__}"), 500)
