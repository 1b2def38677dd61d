"""OpenADR 3.0.1 in front of the same rules: paths, queries and shapes of the older YAML.

Written from the 3.0.1 YAML, apart from venclient's own codec. Inside, objects stay as 3.1 has them; what
3.0.1 cannot say (an event's duration, report intervals) is left out of answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from venclient.simulation.vtn.faults import App, Message, Receive, Scope, Send, answer
from venclient.simulation.vtn.problems import problem
from venclient.simulation.vtn.service import Service

#: What a target that is a plain text in 3.1 is called here.
GROUP = "GROUP"
NOW = "0000-00-00"

_NESTED = re.compile(r"/vens/(?P<ven>[^/]+)/resources(?P<rest>/[^/]+)?")
_UNKNOWN = re.compile(r"/(auth/server|notifiers.*|resources.*)")
_SECONDS = re.compile(r"^0001-01-01.*")
#: A program's flat members, and the attribute that 3.1 has for each.
_FLAT: Mapping[str, str] = {
    "PROGRAM_LONG_NAME": "programLongName",
    "RETAILER_NAME": "retailerName",
    "RETAILER_LONG_NAME": "retailerLongName",
    "PROGRAM_TYPE": "programType",
    "COUNTRY": "country",
    "PRINCIPAL_SUBDIVISION": "principalSubdivision",
    "BINDING_EVENTS": "bindingEvents",
    "LOCAL": "localPrice",
}


class OldFace:
    """The ASGI application of a VTN of 3.1, as one of 3.0.1."""

    def __init__(self, app: App, base_path: str, service: Service) -> None:
        self._app = app
        self._base_path = base_path
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"]).removeprefix(self._base_path)
        if _UNKNOWN.fullmatch(path):
            await answer(send, 404, problem(404, f"OpenADR 3.0.1 has no {path}"))
            return
        query = _query(bytes(scope.get("query_string", b"")))
        nested = _NESTED.fullmatch(path)
        if nested is not None:
            path = f"/resources{nested['rest'] or ''}"
            if scope["method"] == "GET" and not nested["rest"]:
                query.append(("venID", nested["ven"]))
        inner: Scope = {
            **scope,
            "path": self._base_path + path,
            "raw_path": (self._base_path + path).encode(),
            "query_string": urlencode(query).encode(),
        }
        body = await _read(receive)
        if scope["method"] in ("POST", "PUT") and not path.startswith("/auth"):
            try:
                content = self._request(path.strip("/").split("/")[0], msgspec.json.decode(body), nested)
            except (msgspec.MsgspecError, AttributeError, TypeError, KeyError, ValueError) as error:
                await answer(send, 400, problem(400, f"is no request of OpenADR 3.0.1: {error}"))
                return
            body = msgspec.json.encode(content)
        inner["headers"] = [
            *((name, value) for name, value in scope["headers"] if name != b"content-length"),
            (b"content-length", str(len(body)).encode()),
        ]
        await self._app(inner, _replay(body, receive), self._translating(send))

    # ---- requests

    def _request(self, kind: str, content: dict[str, Any], nested: re.Match[str] | None) -> dict[str, Any]:
        request = dict(content)
        request.pop("objectType", None)
        targets = request.pop("targets", None)
        if targets is not None and not all(set(one) == {"type", "values"} for one in targets):
            raise ValueError("targets are {type, values}")
        if kind == "reports":
            event = self._service.store.get("event", request["eventID"])
            if event is not None and event.content["programID"] != request["programID"]:
                raise ValueError("programID is not that of the event")
            del request["programID"]
        elif kind == "vens":
            request["objectType"] = "VEN_VEN_REQUEST"
            request.pop("resources", None)
        elif kind == "resources":
            request["objectType"] = "VEN_RESOURCE_REQUEST"
            if nested is not None:
                request["venID"] = nested["ven"]
        return request

    # ---- answers

    def _translating(self, send: Send) -> Send:
        head: Message = {}
        parts: list[bytes] = []

        async def translate(message: Message) -> None:
            nonlocal head
            if message["type"] == "http.response.start":
                head = message
                return
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = b"".join(parts)
            if 200 <= head["status"] < 300 and body:
                body = msgspec.json.encode(self._answered(msgspec.json.decode(body)))
            headers = [(name, value) for name, value in head["headers"] if name.lower() != b"content-length"]
            headers.append((b"content-length", str(len(body)).encode()))
            await send({**head, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        return translate

    def _answered(self, content: Any) -> Any:
        if isinstance(content, list):
            return [self._answered(one) for one in content]
        change = _ANSWERS.get(content.get("objectType", ""))
        if change is None:
            return content
        changed = dict(content)
        if "targets" in changed:
            changed["targets"] = _targets(changed["targets"])
        change(self, changed)
        return changed

    def _program(self, told: dict[str, Any]) -> None:
        for one in told.pop("attributes", None) or ():
            if one["type"] in _FLAT and one["values"]:
                told[_FLAT[one["type"]]] = one["values"][0]
        _periods(told)

    def _event(self, told: dict[str, Any]) -> None:
        told.pop("duration", None)
        told.setdefault("intervals", [])
        if told.get("reportDescriptors"):
            told["reportDescriptors"] = [
                {
                    **{key: value for key, value in one.items() if key != "reportIntervals"},
                    **({"targets": _targets(one["targets"])} if one.get("targets") else {}),
                }
                for one in told["reportDescriptors"]
            ]
        _periods(told)
        told["intervals"] = [_with_periods(one) for one in told["intervals"]]

    def _report(self, told: dict[str, Any]) -> None:
        told.pop("clientID", None)
        record = self._service.store.get("report", told["id"])
        if record is not None and record.program_id:
            told["programID"] = record.program_id

    def _ven(self, told: dict[str, Any]) -> None:
        told.pop("clientID", None)
        told["resources"] = [
            self._answered(record.wire()) for record in self._service.store.find("resource", venID=told["id"])
        ]

    def _resource(self, told: dict[str, Any]) -> None:
        told.pop("clientID", None)


_ANSWERS: Mapping[str, Callable[[OldFace, dict[str, Any]], None]] = {
    "PROGRAM": OldFace._program,
    "EVENT": OldFace._event,
    "REPORT": OldFace._report,
    "VEN": OldFace._ven,
    "RESOURCE": OldFace._resource,
}


def _targets(plain: list[str] | None) -> list[dict[str, Any]] | None:
    return [{"type": GROUP, "values": plain}] if plain else None


def _periods(told: MutableMapping[str, Any]) -> None:
    period = told.get("intervalPeriod")
    if period and isinstance(period.get("start"), str):
        told["intervalPeriod"] = {**period, "start": _SECONDS.sub(NOW, period["start"])}


def _with_periods(interval: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(interval)
    _periods(changed)
    return changed


def _query(raw: bytes) -> list[tuple[str, str]]:
    pairs = []
    for name, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
        if name == "targetValues":
            pairs.append(("targets", value))
        elif name not in ("targetType", "active"):
            pairs.append((name, value))
    return pairs


async def _read(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _replay(body: bytes, then: Receive) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return await then()  # that the client has gone
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
