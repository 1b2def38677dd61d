"""MQTT: turns the messages of a topic into readings; acknowledges each only after it was committed."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from venclient.connectors.base import Batch, Site
from venclient.connectors.leases import Leases
from venclient.connectors.mqtt_inbox import MOST_WAITING, Endpoint, Fault, Inbox, Message
from venclient.connectors.mqtt_link import MqttLink
from venclient.connectors.options import check_options, refuse, subject_of
from venclient.connectors.payload import PLAIN_KW, PayloadDecoder, TimeOptions, ValueOptions
from venclient.connectors.units import repeated_quantities
from venclient.model.reading import Quality, Reading, Reject
from venclient.model.resource import Connection, Resource

DEFAULT_PORT = 1883
DEFAULT_TLS_PORT = 8883
PAGE = "docs/connectors/mqtt.md"
MOST_MESSAGES = 1000


class MqttOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an MQTT connection says beyond host, port, topic and login.

    `timeout_s` is how long a broker may be unreachable at the start before the resource counts as dark.
    """

    values: Annotated[tuple[ValueOptions, ...], Meta(min_length=1)] = (PLAIN_KW,)
    time: TimeOptions = TimeOptions()
    qos: Literal[0, 1] = 1
    protocol: Literal["3.1.1", "5"] = "3.1.1"
    tls: bool = False
    verify: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 10.0

    def __post_init__(self) -> None:
        problems = repeated_quantities([value.quantity for value in self.values])
        files = [name for name in ("ca_file", "cert_file", "key_file") if getattr(self, name) is not None]
        if not self.tls and (files or not self.verify):
            named = ", ".join(files + ([] if self.verify else ["verify"]))
            problems.append(f"{named} is for TLS only; set tls to true")
        if self.key_file is not None and self.cert_file is None:
            problems.append("key_file is given without cert_file")
        if problems:
            raise ValueError("; ".join(problems))


class MqttReader:
    """Waits for the messages of one topic. A reading's time is the payload's, else that of arrival."""

    def __init__(
        self,
        resource: Resource,
        options: MqttOptions,
        link: MqttLink,
        site: Site,
        endpoint: Endpoint,
    ) -> None:
        self.interval_s: float | None = None
        self.timeout_s = options.timeout_s
        self._resource_id = resource.resourceID
        self._subject = subject_of(resource)
        self._decoder = PayloadDecoder(options.values, options.time)
        self._link = link
        self._leases: Leases = site.leases
        self._clock = site.clock
        self._endpoint = endpoint
        self._told: Fault | None = None
        self._open = True
        self._inbox = Inbox(resource.connection.topic or "", options.qos)
        link.attach(self._inbox)

    async def read(self) -> Batch:
        """Give what has come, at the latest when the next message comes.

        Raises ConnectFailed when the broker is away (at the start for longer than `timeout_s`), another
        ConnectorError when it refuses the login or the topic; once each, then it waits for the change:
        an empty batch says that all is well again.
        """
        inbox = self._inbox
        self._link.start()
        while True:
            if inbox.messages:
                return self._take()
            inbox.changed.clear()
            if inbox.granted:
                if self._told is not None:
                    self._told = None
                    return Batch()
                await inbox.changed.wait()
                continue
            patience_s = self._patience_s()
            fault = inbox.fault
            if fault is None and patience_s is not None and patience_s <= 0:
                fault = Fault("away", f"no answer within {self.timeout_s:g} s", "check host and port")
            if fault is None or not self._is_news(fault, patience_s):
                await self._change(patience_s)
                continue
            self._told = fault
            raise fault.error(self._subject)

    async def close(self) -> None:
        """Give the link back; the last reader closes it. What was not acknowledged comes again."""
        if self._open:
            self._open = False
            self._link.detach(self._inbox)
            await self._leases.release(str(self._endpoint), holder=self._resource_id)

    def _patience_s(self) -> float | None:
        """Give how long the first connection may still take, None once that is settled."""
        if self._told is not None or self._link.was_connected:
            return None
        return self._link.started_s + self.timeout_s - self._clock.monotonic()

    def _is_news(self, fault: Fault, patience_s: float | None) -> bool:
        if self._told is not None:
            return fault.kind != self._told.kind
        return fault.kind != "away" or patience_s is None or patience_s <= 0

    async def _change(self, within_s: float | None) -> None:
        if within_s is None:
            await self._inbox.changed.wait()
            return
        waits = {
            asyncio.ensure_future(self._inbox.changed.wait()),
            asyncio.ensure_future(self._clock.sleep(within_s)),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _take(self) -> Batch:
        inbox = self._inbox
        messages = [inbox.messages.popleft() for _ in range(min(len(inbox.messages), MOST_MESSAGES))]
        readings: list[Reading] = []
        rejects: list[Reject] = []
        for message in messages:
            decoded = self._decoder.decode(message.payload, message.arrival)
            # A retained message without a time of its own may be from any time.
            quality = Quality.STALE if message.retained and decoded.time is None else Quality.GOOD
            time = decoded.time or message.arrival
            readings += [
                Reading(self._resource_id, quantity, value, time, quality)
                for quantity, value in decoded.values
            ]
            rejects += [Reject(message.topic, reason) for reason in decoded.reasons]
        if inbox.dropped:
            reason = f"{inbox.dropped} messages of QoS 0 dropped: {MOST_WAITING} were waiting to be stored"
            rejects.append(Reject(inbox.topic, reason))
            inbox.dropped = 0
        return Batch(
            readings, rejects, acknowledge=_Acknowledgement(self._link, inbox, messages), replayable=True
        )


class _Acknowledgement:
    """Tells the link that the readings of some messages are committed."""

    def __init__(self, link: MqttLink, inbox: Inbox, messages: list[Message]) -> None:
        self._link = link
        self._inbox = inbox
        self._messages = messages

    def __call__(self) -> None:
        self._link.done(self._inbox, self._messages)


class _TidySocket(ssl.SSLSocket):
    """A TLS socket that is closed when the other side is not trusted; paho would leave it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def open_mqtt_reader(resource: Resource, site: Site) -> MqttReader:
    """Give the reader of an MQTT connection; ConfigError lists all that is wrong with it."""
    connection = resource.connection
    options, problems = check_options(connection.options, MqttOptions)
    problems[:0] = _place_mistakes(connection)
    context = None
    if options is not None:
        context, found = _tls_context(options, site.folder)
        problems += found
    if options is None or problems:
        raise refuse(resource, problems, page=PAGE)
    endpoint = _endpoint(connection, options)
    key = str(endpoint)
    secrets = {
        name: None if reference is None else site.secret(reference)
        for name, reference in (("username", connection.username), ("password", connection.password))
    }
    # Always the same for one login on one broker, and short enough for any broker (MQTT 3.1.1, 3.1.3.1).
    client_id = f"{site.client_id}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    link = site.leases.acquire(
        key,
        holder=resource.resourceID,
        settings=endpoint,
        make=lambda: MqttLink(
            endpoint,
            client_id=client_id,
            clock=site.clock,
            context=context,
            keep_session=not site.one_shot,
            **secrets,
        ),
        close=MqttLink.close,
    )
    return MqttReader(resource, options, link, site, endpoint)


def _place_mistakes(connection: Connection) -> list[str]:
    problems = []
    host = (connection.host or "").strip()
    if not host:
        problems.append("host: missing; expected the name or address of the broker")
    else:
        try:
            host.encode("idna")
        except UnicodeError:
            problems.append(f"host: {host!r} is no name or address")
    if connection.port is not None and not 1 <= connection.port <= 65535:
        problems.append(f"port: expected 1..65535 (given: {connection.port})")
    topic = connection.topic or ""
    levels = topic.split("/")
    if not topic:
        problems.append("topic: missing; expected a topic such as site/meter/power")
    elif "\0" in topic or len(topic.encode()) > 65535:
        problems.append("topic: holds a NUL character or is longer than 65535 bytes")
    elif "#" in "".join(levels[:-1]) or any(("#" in one or "+" in one) and len(one) > 1 for one in levels):
        problems.append(
            f"topic: {topic!r} has a wildcard inside a level; + and # stand alone, # only at the end"
        )
    elif topic.startswith("$share/"):
        problems.append(f"topic: {topic!r} is shared with other clients, so messages would be missed")
    if connection.password and not connection.username:
        problems.append("password: given without a username")
    return problems


def _endpoint(connection: Connection, options: MqttOptions) -> Endpoint:
    tls = (options.verify, options.ca_file, options.cert_file, options.key_file) if options.tls else None
    return Endpoint(
        host=(connection.host or "").strip().lower(),
        port=connection.port or (DEFAULT_TLS_PORT if options.tls else DEFAULT_PORT),
        username=connection.username,
        password=connection.password,
        protocol=options.protocol,
        tls=tls,
    )


def _tls_context(options: MqttOptions, folder: Path) -> tuple[ssl.SSLContext | None, list[str]]:
    """Give the TLS settings, and what is wrong with the files that they name (relative to `folder`)."""
    if not options.tls:
        return None, []
    context = ssl.create_default_context()
    context.sslsocket_class = _TidySocket
    problems = []
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.ca_file is not None:
        try:
            context.load_verify_locations(folder / options.ca_file)
        except (OSError, ssl.SSLError) as error:
            problems.append(f"options.ca_file: {folder / options.ca_file} holds no certificate ({error})")
    if options.cert_file is not None:
        key_file = None if options.key_file is None else folder / options.key_file
        try:
            # An empty password, so that a locked key is an error and not a question on the terminal.
            context.load_cert_chain(folder / options.cert_file, key_file, password="")
        except (OSError, ssl.SSLError) as error:
            problems.append(
                f"options.cert_file: {folder / options.cert_file} and its key cannot be used ({error})"
            )
    return context, problems
