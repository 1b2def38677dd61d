"""How the VTN announces changes without being asked: MQTT topics, webhooks, a WebSocket.

Written from the Definition ("Notifications via Additional Protocols", "Webhooks") and the YAML's
notifier schemas. Only what the receiver may see is sent; it goes out after the change is stored.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from venclient.errors import ConfigError
from venclient.messages import simulation as sim
from venclient.simulation.vtn.auth import VEN_SCOPES, Client
from venclient.simulation.vtn.problems import Refusal
from venclient.simulation.vtn.service import Service
from venclient.simulation.vtn.store import Record

log = logging.getLogger(__name__)

_WAIT_S = 5.0
_TLS = ("mqtts", "ssl", "tls")
#: Topics that the YAML names for clients that read all, and those for one VEN.
WHOLE = ("programs", "events", "reports", "subscriptions", "vens", "resources")
OF_VEN = ("events", "programs", "resources")


@dataclass(frozen=True, kw_only=True)
class Push:
    """What a VTN offers: an MQTT broker by `mqtt_uri`, webhooks, a WebSocket; by default nothing.

    `authentication` is sent to clients as it is. The VTN itself logs in with `login` (name, password) and
    `ca_file`. `webhook_ca` is the authority of the receivers of webhooks.
    """

    mqtt_uri: str | None = None
    authentication: Mapping[str, str] = field(default_factory=lambda: {"method": "ANONYMOUS"})
    login: tuple[str, str] | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_files: tuple[Path, Path] | None = None
    prefix: str = "openadr3"
    webhook: bool = False
    webhook_ca: Path | None = None
    websocket: bool = False

    @property
    def offers_any(self) -> bool:
        """True when a client can learn of changes without polling."""
        return bool(self.mqtt_uri or self.webhook or self.websocket)


class Notifier:
    """Sends notifications; `announce` is called at each change, and `run` works them off."""

    def __init__(self, service: Service, push: Push) -> None:
        self.push = push
        self.sent = 0
        """Messages that a broker, a receiver or a socket took."""
        self.sockets: dict[asyncio.Queue[bytes], Client] = {}
        self._service = service
        self._waiting: asyncio.Queue[tuple[str, Record]] = asyncio.Queue()
        self._broker: mqtt.Client | None = None

    async def open(self) -> None:
        """Connect to the broker, where there is one; ConfigError when it does not answer."""
        if self.push.mqtt_uri:
            self._broker = await asyncio.to_thread(self._connect)

    async def close(self) -> None:
        """Leave the broker."""
        if self._broker is not None:
            self._broker.disconnect()
            await asyncio.to_thread(self._broker.loop_stop)
            self._broker = None

    def announce(self, operation: str, record: Record) -> None:
        """Note a change (CREATE, UPDATE, DELETE); never waits."""
        self._waiting.put_nowait((operation, record))

    def described(self) -> dict[str, Any]:
        """Return the answer to GET /notifiers."""
        answer: dict[str, Any] = {"WEBHOOK": self.push.webhook}
        if self.push.mqtt_uri:
            answer["MQTT"] = {
                "URIS": [self.push.mqtt_uri],
                "serialization": "JSON",
                "authentication": dict(self.push.authentication),
            }
        if self.push.websocket:
            answer["WEBSOCKET"] = {"URL": "/notifiers/ws"}
        return answer

    def topics(self, path: str) -> dict[str, str]:
        """Return the topics of a path below /notifiers/mqtt/topics."""
        base = f"{self.push.prefix}/{path}"
        found = {name: f"{base}/{name.lower()}" for name in ("UPDATE", "DELETE")}
        # What has an id exists already: its creation can no longer be announced.
        if path.rsplit("/", maxsplit=1)[-1] in WHOLE:
            found["CREATE"] = f"{base}/create"
        return {**found, "ALL": f"{base}/+"}

    async def run(self) -> None:
        """Work off what was announced, until cancelled; a receiver that hangs delays only other webhooks."""
        calls: asyncio.Queue[tuple[str, Record, bytes]] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            if self.push.webhook:
                group.create_task(self._call_all(calls))
            while True:
                operation, record = await self._waiting.get()
                body = msgspec.json.encode(notification(operation, record))
                if self._broker is not None:
                    self._publish(self._broker, operation, record, body)
                self._tell_sockets(record, body)
                if self.push.webhook:
                    calls.put_nowait((operation, record, body))

    async def _call_all(self, calls: asyncio.Queue[tuple[str, Record, bytes]]) -> None:
        async with self._http() as http:
            while True:
                await self._call(http, *await calls.get())

    def _http(self) -> httpx2.AsyncClient:
        verify: Any = (
            ssl.create_default_context(cafile=self.push.webhook_ca) if self.push.webhook_ca else True
        )
        return httpx2.AsyncClient(verify=verify, timeout=_WAIT_S, trust_env=False)

    async def challenge(self, content: Mapping[str, Any]) -> None:
        """Ask each callback of a subscription for an echo; Refusal (400) when one does not give it."""
        async with self._http() as http:
            for one in content["objectOperations"]:
                url = one["callbackUrl"]
                if not _callable(url):
                    raise Refusal(400, "callbackUrl must be https")
                word = secrets.token_urlsafe(16)
                try:
                    answer = await http.get(url, params={"echo": word})
                except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                    raise Refusal(400, f"callbackUrl does not answer ({type(error).__name__})") from None
                if answer.status_code != 200 or word not in answer.text:
                    raise Refusal(400, "callbackUrl does not answer with the echoed word")

    # ---- MQTT

    def _connect(self) -> mqtt.Client:
        try:
            parts = urlsplit(self.push.mqtt_uri or "")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or parts.scheme not in (*_TLS, "mqtt", "tcp"):
            raise ConfigError(sim.INVALID_BROKER(uri=self.push.mqtt_uri or ""))
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        if self.push.login:
            client.username_pw_set(*self.push.login)
        if parts.scheme in _TLS:
            cert, key = self.push.cert_files or (None, None)
            client.tls_set(
                ca_certs=str(self.push.ca_file) if self.push.ca_file else None,
                certfile=str(cert) if cert else None,
                keyfile=str(key) if key else None,
            )
        try:
            client.connect(host, port or (8883 if parts.scheme in _TLS else 1883))
        except OSError as error:
            raise ConfigError(sim.BROKER_SILENT(reason=error), subject=self.push.mqtt_uri or "") from None
        client.loop_start()
        return client

    def _publish(self, client: mqtt.Client, operation: str, record: Record, body: bytes) -> None:
        for path in self._paths(record):
            # An object that has an id is never announced as created under that id.
            if operation == "CREATE" and path.split("/")[-1] not in WHOLE:
                continue
            client.publish(f"{self.push.prefix}/{path}/{operation.lower()}", body, qos=1)
            self.sent += 1

    def _paths(self, record: Record) -> Iterator[str]:
        yield f"{record.kind}s"
        if record.kind in ("program", "ven"):
            yield f"{record.kind}s/{record.id}"
        if record.kind == "event":
            yield f"programs/{record.content['programID']}/events"
        if record.kind == "resource":
            yield f"vens/{record.content['venID']}/resources"
        if record.kind in ("program", "event"):
            for ven in self._service.store.find("ven"):
                if self._service.sees(Client(ven.client_id or "", "", VEN_SCOPES), record):
                    yield f"vens/{ven.id}/{record.kind}s"

    # ---- WebSocket and webhooks

    def _tell_sockets(self, record: Record, body: bytes) -> None:
        for queue, client in self.sockets.items():
            if self._service.sees(client, record):
                queue.put_nowait(body)
                self.sent += 1

    async def _call(self, http: httpx2.AsyncClient, operation: str, record: Record, body: bytes) -> None:
        for subscription in tuple(self._service.store.find("subscription")):
            content = subscription.content
            if not self._service.sees(Client(subscription.client_id or "", "", VEN_SCOPES), record):
                continue
            if content.get("programID") not in (None, record.id, record.content.get("programID")):
                continue
            for one in content["objectOperations"]:
                if record.kind.upper() not in one["objects"] or operation not in one["operations"]:
                    continue
                headers = {"Content-Type": "application/json"}
                if one.get("bearerToken"):
                    headers["Authorization"] = f"Bearer {one['bearerToken']}"
                try:
                    answer = await http.post(one["callbackUrl"], content=body, headers=headers)
                    self.sent += answer.is_success
                except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                    log.warning(sim.WEBHOOK_SILENT(reason=type(error).__name__))


def _callable(url: str) -> bool:
    """Return whether a callback is https, as the standard wants, or on this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "localhost")


def notification(operation: str, record: Record) -> dict[str, Any]:
    """Return a change as the YAML's `notification`."""
    return {"objectType": record.kind.upper(), "operation": operation, "object": record.wire()}
