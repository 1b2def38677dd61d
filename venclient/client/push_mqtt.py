"""Notifications by MQTT: the broker, topics and login that the VTN names (Definition.md, "MQTT")."""

from __future__ import annotations

import asyncio
import os
import secrets
import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from venclient.client.notices import Notices
from venclient.errors import VtnUnreachable
from venclient.openadr.objects import MqttNotifier, NotifierAuthentication

_TLS_SCHEMES = ("mqtts", "ssl", "tls")
_PLAIN_SCHEMES = ("mqtt", "tcp")
_CONNECT_WITHIN_S = 10.0
_KEEPALIVE_S = 30
_UNSUPPORTED_VERSION = 0x84


class MqttChannel:
    """One broker address of a VTN's MQTT notifier, for one VEN."""

    kind = "MQTT"

    def __init__(self, notices: Notices, notifier: MqttNotifier, uri: str, ven_id: str) -> None:
        self._notices = notices
        self._login = notifier.authentication
        self._uri = uri
        self._ven_id = ven_id
        self._subject = f"MQTT broker {urlsplit(uri).hostname or uri} of {notices.url}"

    async def run(self, up: Callable[[], None], wake: Callable[[], None]) -> None:
        """Connect, subscribe, and listen until the connection ends; VenError says why it did."""
        topics = await self._notices.topics(self._ven_id)
        if not topics:
            raise self._failure("the VTN tells this VEN no topics")
        tls = self._tls()
        name, password = await self._credentials()
        # 5.0 is what the standard prefers; a broker of 3.1.1 only says so in its answer.
        if await self._listen(5, topics, tls, name, password, up, wake) == _UNSUPPORTED_VERSION:
            await self._listen(4, topics, tls, name, password, up, wake)
        raise self._failure("the connection ended")

    async def _listen(
        self,
        protocol: int,
        topics: Sequence[str],
        tls: ssl.SSLContext | None,
        name: str | None,
        password: str | None,
        up: Callable[[], None],
        wake: Callable[[], None],
    ) -> int:
        """Give the refusal's code when the broker wants another version; VenError for all else."""
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        loop = asyncio.get_running_loop()
        ended: asyncio.Future[int | str] = loop.create_future()

        def end(result: int | str) -> None:
            if not ended.done():
                ended.set_result(result)

        def in_loop(callback: Callable[..., None], *arguments: Any) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(callback, *arguments)

        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"venclient-{secrets.token_hex(8)}",
            protocol=MQTTProtocolVersion(protocol),
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_WITHIN_S
        if name is not None or password is not None:
            client.username_pw_set(name or "", password)
        if tls is not None:
            client.tls_set_context(tls)

        def connected(_client: Any, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
            if code.is_failure:
                wrong = code.value == _UNSUPPORTED_VERSION
                in_loop(end, _UNSUPPORTED_VERSION if wrong else f"refused: {code}")
                return
            client.subscribe([(topic, 1) for topic in topics])

        def subscribed(_client: Any, _data: Any, _mid: Any, codes: Any, _properties: Any) -> None:
            if all(code.is_failure for code in codes):
                in_loop(end, "the broker lets us subscribe to none of the topics")
            else:
                in_loop(up)

        client.on_connect = connected
        client.on_subscribe = subscribed
        client.on_message = lambda *_: in_loop(wake)
        client.on_disconnect = lambda _c, _d, _f, code, _p: in_loop(end, f"the connection ended ({code})")
        parts = urlsplit(self._uri)
        port = parts.port or (8883 if tls is not None else 1883)
        try:
            await asyncio.to_thread(client.connect, parts.hostname or "", port, _KEEPALIVE_S)
        except (OSError, ValueError) as error:
            raise self._failure(f"no connection ({error})") from error
        client.loop_start()
        try:
            result = await ended
        finally:
            client.disconnect()
            await asyncio.shield(asyncio.to_thread(client.loop_stop))
        if isinstance(result, int):
            return result
        raise self._failure(result)

    def _tls(self) -> ssl.SSLContext | None:
        try:
            scheme = urlsplit(self._uri).scheme.lower()
            _ = urlsplit(self._uri).port
        except ValueError as error:
            raise self._failure(f"the VTN names no broker address ({error})") from None
        if scheme in _TLS_SCHEMES:
            return self._context()
        if scheme not in _PLAIN_SCHEMES:
            raise self._failure(f"the VTN names an address of an unknown kind, {scheme or 'none'}")
        if not self._notices.plain_allowed:
            raise self._failure("the VTN names a broker without TLS, and vtn.allow_http is not set")
        return None

    def _context(self) -> ssl.SSLContext:
        if _method(self._login) != "CERTIFICATE" or self._login is None:
            return self._notices.tls_context()
        try:
            context = ssl.create_default_context(cadata=self._login.ca_cert or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            _load_pair(context, self._login.client_cert or "", self._login.client_key or "")
        except (ssl.SSLError, OSError, ValueError):
            # The library's words could quote a part of the key.
            raise self._failure("the certificates that the VTN gave for it cannot be used") from None
        return context

    async def _credentials(self) -> tuple[str | None, str | None]:
        method = _method(self._login)
        if method != "OAUTH2BEARERTOKEN" or self._login is None:
            return None, None
        name = (self._login.username or "{clientID}").replace("{clientID}", self._notices.client_id or "")
        return name, await self._notices.token()

    def _failure(self, what: str) -> VtnUnreachable:
        return VtnUnreachable(
            what, subject=self._subject, hint="events are polled meanwhile; ask the VTN's operator"
        )


def _method(login: NotifierAuthentication | None) -> str:
    """Give the login method in one spelling; VTNs differ in underscores."""
    return (login.method if login else "ANONYMOUS").upper().replace("_", "")


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load a client certificate from text: OpenSSL reads files only, which are gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, text in (("cert.pem", certificate), ("key.pem", key)):
            path = Path(folder) / name
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(text)
            paths.append(str(path))
        context.load_cert_chain(paths[0], paths[1], password="")
