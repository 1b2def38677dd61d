"""What every route needs: who asks, and an answer in JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response

from venclient.simulation.vtn.auth import Accounts, Client

JSON = "application/json"
AnyRequest = Request[Any, Any, Any]


def identify(accounts: Accounts, request: AnyRequest) -> Client:
    """Give the client of a request; Refusal (401) without a good token."""
    return accounts.identify(request.headers.get("authorization"))


def reply(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    """Give content as JSON."""
    body = msgspec.json.encode(content)
    return Response(content=body, status_code=status, media_type=JSON, headers=headers or {})
