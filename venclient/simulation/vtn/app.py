"""The HTTP face of the VTN: routes of the official YAML, and a problem document for every error."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, delete, get, post, put
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from venclient.simulation.vtn.auth import Accounts, AuthRefusal, Client, demand
from venclient.simulation.vtn.problems import Refusal, problem
from venclient.simulation.vtn.query import check_id, read_query
from venclient.simulation.vtn.service import Service
from venclient.simulation.vtn.store import KINDS

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
_HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")

AnyRequest = Request[Any, Any, Any]


def build_app(service: Service, accounts: Accounts, base_path: str) -> Litestar:
    """Give the ASGI application of one VTN, mounted at the base path ("" for none)."""
    handlers: list[HTTPRouteHandler] = _auth_routes(accounts, base_path) + _notifier_routes(accounts)
    for kind in KINDS:
        handlers += _collection_routes(kind, service, accounts) + _object_routes(kind, service, accounts)
    return Litestar(
        route_handlers=handlers,
        path=base_path,
        openapi_config=None,
        logging_config=None,
        exception_handlers={Refusal: _refuse, HTTPException: _refuse_http, Exception: _fail},
    )


def _collection_routes(kind: str, service: Service, accounts: Accounts) -> list[HTTPRouteHandler]:
    @get(f"/{kind}s", name=f"list-{kind}s")
    async def search(request: AnyRequest) -> Response[bytes]:
        client = _identify(accounts, request)
        return _reply(service.search(client, kind, read_query(kind, request.scope["query_string"])))

    @post(f"/{kind}s", name=f"create-{kind}")
    async def create(request: AnyRequest) -> Response[bytes]:
        client = _identify(accounts, request)
        return _reply(service.create(client, kind, await _read(request, JSON)), 201)

    return [search, create]


def _object_routes(kind: str, service: Service, accounts: Accounts) -> list[HTTPRouteHandler]:
    path = f"/{kind}s/{{object_id:str}}"

    @get(path, name=f"read-{kind}")
    async def read(request: AnyRequest) -> Response[bytes]:
        client = _identify(accounts, request)
        return _reply(service.get(client, kind, _object_id(request)))

    @put(path, name=f"update-{kind}")
    async def update(request: AnyRequest) -> Response[bytes]:
        client = _identify(accounts, request)
        return _reply(service.update(client, kind, _object_id(request), await _read(request, JSON)))

    @delete(path, name=f"delete-{kind}", status_code=200)
    async def remove(request: AnyRequest) -> Response[bytes]:
        client = _identify(accounts, request)
        return _reply(service.delete(client, kind, _object_id(request)))

    return [read, update, remove]


def _auth_routes(accounts: Accounts, base_path: str) -> list[HTTPRouteHandler]:
    @get("/auth/server")
    async def server(request: AnyRequest) -> Response[bytes]:
        host = request.headers.get("host", "")
        if _HOST.fullmatch(host) is None:
            raise Refusal(400, "the Host header names no host")
        return _reply({"tokenURL": f"{request.url.scheme}://{host}{base_path}/auth/token"})

    @post("/auth/token")
    async def token(request: AnyRequest) -> Response[bytes]:
        body = await _read(request, FORM)
        headers = {"Cache-Control": "no-store"}
        try:
            return _reply(accounts.issue(body), headers=headers)
        except AuthRefusal as refusal:
            answer = {"error": refusal.error, "error_description": refusal.description}
            return _reply(answer, refusal.status, headers)

    return [server, token]


def _notifier_routes(accounts: Accounts) -> list[HTTPRouteHandler]:
    @get("/notifiers")
    async def notifiers(request: AnyRequest) -> Response[bytes]:
        demand(_identify(accounts, request), "read_all")
        # subscriptions are kept but nobody is called yet, and a client should know that it must poll
        return _reply({"WEBHOOK": False})

    @get("/notifiers/mqtt/topics/{rest:path}")
    async def topics(request: AnyRequest) -> Response[bytes]:
        _identify(accounts, request)
        raise Refusal(
            404, f"this VTN publishes nothing by MQTT, so no topics of {request.path_params['rest']}"
        )

    return [notifiers, topics]


def _identify(accounts: Accounts, request: AnyRequest) -> Client:
    return accounts.identify(request.headers.get("authorization"))


def _object_id(request: AnyRequest) -> str:
    return check_id(str(request.path_params["object_id"]))


async def _read(request: AnyRequest, media_type: str) -> bytes:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise Refusal(415, f"the content type is {media_type}")
    return await request.body()


def _reply(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    body = msgspec.json.encode(content)
    return Response(content=body, status_code=status, media_type=JSON, headers=headers or {})


def _refuse(_: AnyRequest, error: Refusal) -> Response[bytes]:
    return _reply(problem(error.status, error.detail), error.status, error.headers)


def _refuse_http(_: AnyRequest, error: HTTPException) -> Response[bytes]:
    return _reply(problem(error.status_code, error.detail), error.status_code, dict(error.headers or {}))


def _fail(_: AnyRequest, error: Exception) -> Response[bytes]:
    return _reply(problem(500, f"the VTN failed: {type(error).__name__}"), 500)
