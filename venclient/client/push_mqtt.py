"""Notifications by MQTT: the broker, topics and login that the VTN names (Definition.md, "MQTT")."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from venclient.client.notices import Notices, Topics
from venclient.clock import Clock, SystemClock, rest
from venclient.errors import VenError, VtnUnreachable
from venclient.messages import Text, text_of
from venclient.messages import client as vtn
from venclient.messages.printable import foreign
from venclient.openadr.objects import MqttNotifier, NotifierAuthentication
from venclient.tls_failures import vtn_broker_side

_TLS_SCHEMES = ("mqtts", "ssl", "tls")
_PLAIN_SCHEMES = ("mqtt", "tcp")
_CONNECT_WITHIN_S = 10.0
#: How long the broker may take to let us in and confirm the topics.
_ANSWER_WITHIN_S = 20.0
#: A broker of version 5 sends us nothing larger; with any other the connection ends.
_LARGEST_MESSAGE = 2**20
#: A larger message only wakes: what it is about is not looked at, as in a webhook's call.
LARGEST_READ = 2**16
#: Messages that wait for the event loop; one wakes as well as thousands.
_MOST_WAITING = 100
_KEEPALIVE_S = 30
#: How often the topics are read again while we listen.
TOPICS_EVERY_S = 270.0
_UNSUPPORTED_VERSION = 0x84
_FIRST = asyncio.FIRST_COMPLETED


class MqttChannel:
    """One broker address of a VTN's MQTT notifier, for one VEN."""

    kind = "MQTT"

    def __init__(
        self,
        notices: Notices,
        notifier: MqttNotifier,
        uri: str,
        ven_id: str,
        clock: Clock | None = None,
        *,
        doubted: asyncio.Event | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._doubted = doubted or asyncio.Event()
        self._notices = notices
        self._login = notifier.authentication
        self._uri = uri
        self._ven_id = ven_id
        self._subject = vtn.BROKER(url=notices.url)

    async def run(self, up: Callable[[], None], wake: Callable[..., None]) -> None:
        """Connect, subscribe, and listen until the connection ends; VenError says why it did."""
        tls = self._tls()
        topics = await self._notices.topics(self._ven_id)
        if not topics.events:
            raise self._failure(vtn.NO_EVENT_TOPICS())
        name, password = await self._credentials()
        # 5.0 is what the standard prefers; a broker of 3.1.1 only says so in its answer.
        if await self._listen(5, topics, tls, name, password, up, wake) == _UNSUPPORTED_VERSION:
            await self._listen(4, topics, tls, name, password, up, wake)
        raise self._failure(vtn.MQTT_ENDED(reason=vtn.NO_REASON()))

    async def _listen(
        self,
        protocol: int,
        topics: Topics,
        tls: ssl.SSLContext | None,
        name: str | None,
        password: str | None,
        up: Callable[[], None],
        wake: Callable[..., None],
    ) -> int:
        """Return the refusal's code when the broker wants another version; VenError for all else."""
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        class Bounded(mqtt.Client):
            """Ends the connection at a message that is too large, before it is in memory."""

            def _sock_recv(self, bufsize: int) -> bytes:
                if self._in_packet["remaining_length"] > _LARGEST_MESSAGE:
                    raise ConnectionError(vtn.MQTT_TOO_LARGE(most=_LARGEST_MESSAGE))
                received: bytes = super()._sock_recv(bufsize)
                return received

        client = Bounded(
            CallbackAPIVersion.VERSION2,
            client_id=f"venclient-{secrets.token_hex(8)}",
            protocol=MQTTProtocolVersion(protocol),
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_WITHIN_S
        client.suppress_exceptions = True  # a bug in a callback costs one message, and not the thread
        if name is not None or password is not None:
            client.username_pw_set(name or "", password)
        if tls is not None:
            client.tls_set_context(tls)
        ear = _Ear(client, protocol, topics, up, wake)
        parts = urlsplit(self._uri)
        await self._connect(client, parts.hostname or "", parts.port or (8883 if tls is not None else 1883))
        client.loop_start()
        try:
            await asyncio.wait((ear.ended, ear.heard), timeout=_ANSWER_WITHIN_S, return_when=_FIRST)
            if not ear.ended.done() and not ear.heard.done():
                raise self._failure(vtn.MQTT_SILENT(seconds=_ANSWER_WITHIN_S))
            result = await self._until_ended(ear, topics)
        finally:
            client.disconnect()
            await asyncio.shield(asyncio.to_thread(client.loop_stop))
        if isinstance(result, int):
            return result
        raise self._failure(result)

    async def _until_ended(self, ear: _Ear, topics: Topics) -> Any:
        """Return why the connection ended, as `_Ear.ended`; until then its topics follow those of the VTN."""
        following = asyncio.ensure_future(self._follow_topics(ear, topics))
        try:
            await asyncio.wait((ear.ended, following), return_when=_FIRST)
            return ear.ended.result() if ear.ended.done() else following.result()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _follow_topics(self, ear: _Ear, topics: Topics) -> None:
        """Read the topics again now and then, and when they are doubted; VenError when there are none."""
        while True:
            await rest(self._clock, TOPICS_EVERY_S, self._doubted)
            doubted = self._doubted.is_set()
            self._doubted.clear()
            try:
                found = await self._notices.topics(self._ven_id)
            except VenError as error:
                if doubted or not error.transient:
                    raise
                continue  # the broker is there; the poll says that the VTN is not
            if not found.events:
                raise self._failure(vtn.NO_EVENT_TOPICS())
            if found != topics:
                ear.follow(topics, found)
                topics = found

    async def _connect(self, client: Any, host: str, port: int) -> None:
        """Connect in a thread that is not waited for when we have to go: a deaf broker takes its time."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Exception | None] = loop.create_future()
        properties = None
        if client.protocol == 5:
            from paho.mqtt.packettypes import PacketTypes
            from paho.mqtt.properties import Properties

            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = _LARGEST_MESSAGE

        def settle(why: Exception | None) -> None:
            if not done.done():
                done.set_result(why)

        def work() -> None:
            why: Exception | None = None
            try:
                client.connect(host, port, _KEEPALIVE_S, properties=properties)
            except Exception as error:  # noqa: BLE001  reported where it is waited for
                why = error
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, why)

        threading.Thread(target=work, name="mqtt connect", daemon=True).start()
        # Given up meanwhile, the client closes its socket as it is thrown away.
        if (why := await done) is not None:
            side = vtn_broker_side(has_cert=self._notices.has_cert)
            of_tls = side.text(why, SystemClock().now())
            problem = foreign(text_of(why) or type(why).__name__)
            raise self._failure(of_tls or vtn.MQTT_NO_CONNECTION(problem=problem))

    def _tls(self) -> ssl.SSLContext | None:
        try:
            parts = urlsplit(self._uri)
            scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or port == 0:
            # Not shown: an address may hold a password.
            raise self._failure(vtn.NO_BROKER())
        self._subject = vtn.BROKER_AT(host=host, url=self._notices.url)
        if scheme in _TLS_SCHEMES:
            return self._context()
        if scheme not in _PLAIN_SCHEMES:
            raise self._failure(vtn.BROKER_SCHEME(scheme=foreign(scheme)))
        if not self._notices.plain_allowed:
            raise self._failure(vtn.BROKER_PLAIN())
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
            raise self._failure(vtn.BROKER_CERTIFICATES()) from None
        return context

    async def _credentials(self) -> tuple[str | None, str | None]:
        method = _method(self._login)
        if method != "OAUTH2BEARERTOKEN" or self._login is None:
            return None, None
        name = (self._login.username or "{clientID}").replace("{clientID}", self._notices.client_id or "")
        return name, await self._notices.token()

    def _failure(self, what: Text) -> VtnUnreachable:
        return VtnUnreachable(what, subject=self._subject)


class _Ear:
    """What a client's network thread hears, passed on to the event loop.

    `ended` is the refusal's code when the broker wants another version, else a sentence; `heard` is done
    once it lets us hear of events.
    """

    def __init__(
        self, client: Any, protocol: int, topics: Topics, up: Callable[[], None], wake: Callable[..., None]
    ) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Any] = self._loop.create_future()
        self.heard: asyncio.Future[Any] = self._loop.create_future()
        self._protocol = protocol
        self._topics = topics
        self._up = up
        self._let_in = False
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = lambda _client, _data, message: self._message(message.payload)
        self._wake = wake
        self._waiting = 0
        client.on_disconnect = self._disconnected

    def follow(self, before: Topics, topics: Topics) -> None:
        """Subscribe to other topics in place of those before."""
        old, new = (
            dict.fromkeys((*before.events, *before.others)),
            dict.fromkeys((*topics.events, *topics.others)),
        )
        self._topics = topics
        if gone := [topic for topic in old if topic not in new]:
            self._client.unsubscribe(gone)
        if came := [topic for topic in new if topic not in old]:
            self._client.subscribe([(topic, 1) for topic in came])

    def _connected(self, client: Any, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.is_failure:
            wrong = code.value == _UNSUPPORTED_VERSION
            self._in_loop(self._end, _UNSUPPORTED_VERSION if wrong else vtn.MQTT_REFUSED(reason=str(code)))
            return
        self._let_in = True
        client.subscribe([(topic, 1) for topic in (*self._topics.events, *self._topics.others)])

    def _subscribed(self, _client: Any, _data: Any, _mid: Any, codes: Any, _properties: Any) -> None:
        # Without events we would poll rarely, and be notified of none.
        some = codes if self.heard.done() else codes[: len(self._topics.events)]
        if all(code.is_failure for code in some):
            self._in_loop(self._end, vtn.MQTT_NO_TOPIC())
        else:
            self._in_loop(self._hear)

    def _disconnected(self, _client: Any, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        # Some brokers of before 5.0 just hang up on it.
        other = self._protocol == 5 and not self._let_in
        self._in_loop(self._end, _UNSUPPORTED_VERSION if other else vtn.MQTT_ENDED(reason=str(code)))

    def _message(self, payload: bytes) -> None:
        """Wake; of a flood of messages only some are counted, and of a large one nothing is kept."""
        if self._waiting < _MOST_WAITING:
            self._waiting += 1
            self._in_loop(self._wake_now, payload if len(payload) <= LARGEST_READ else b"")

    def _wake_now(self, payload: bytes) -> None:
        self._waiting -= 1
        self._wake(payload)

    def _end(self, result: int | Text) -> None:
        if not self.ended.done():
            self.ended.set_result(result)

    def _hear(self) -> None:
        if self.ended.done():
            return
        if not self.heard.done():
            self.heard.set_result(None)
        self._up()

    def _in_loop(self, callback: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(callback, *arguments)


def _method(login: NotifierAuthentication | None) -> str:
    """Return the login method in one spelling; VTNs differ in underscores."""
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
