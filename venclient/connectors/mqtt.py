"""MQTT: turns the messages of a topic into readings; acknowledges each only after it was committed."""

from __future__ import annotations

import asyncio
import hashlib

from venclient.connectors.base import Batch, Site
from venclient.connectors.leases import Leases
from venclient.connectors.mistakes import shown
from venclient.connectors.mqtt_beacon import Birth
from venclient.connectors.mqtt_inbox import MOST_WAITING, Endpoint, Fault, Inbox, Message
from venclient.connectors.mqtt_link import MqttLink
from venclient.connectors.mqtt_options import MqttOptions, endpoint_of, place_mistakes, tls_context
from venclient.connectors.mqtt_topics import TopicFilter, filter_of
from venclient.connectors.options import check_options, refuse, subject_of
from venclient.connectors.payload import MOST_BYTES, PayloadDecoder
from venclient.connectors.payload_keys import example_for, keys_of
from venclient.messages import Text
from venclient.messages import mqtt as mqt
from venclient.messages.printable import foreign
from venclient.model.reading import Quality, Reading, Reject
from venclient.model.resource import Resource

__all__ = ["MqttOptions", "MqttReader", "open_mqtt_reader"]

PAGE = "docs/connectors/mqtt.md"
MOST_MESSAGES = 1000
_GOOD = Quality.GOOD


class MqttReader:
    """Waits for the messages of one topic. A reading's time is the payload's, else that of arrival."""

    def __init__(
        self,
        resource: Resource,
        options: MqttOptions,
        link: MqttLink,
        site: Site,
        endpoint: Endpoint,
        topics: TopicFilter,
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
        # The silence that was reported last, while nothing has come since.
        self._silence: Fault | None = None
        # Whether the last messages held no value.
        self._valueless = False
        self._open = True
        self._inbox = Inbox(
            topics,
            options.qos,
            silence_s=options.silence_s,
            resource_id=resource.resourceID,
            wanted=[path for value in options.values for path in value.places],
            is_stored=site.is_stored,
        )
        self._keep_alive = options.keep_alive
        self._unsaid: list[Reject] = []
        link.attach(self._inbox)
        if self._keep_alive is not None:
            link.beacon.keep(self._keep_alive)

    def announce(self, birth: Birth) -> None:
        """Announce the gateway at the broker; a second birth on one broker is rejected."""
        problem = self._link.beacon.announce(birth)
        if problem:
            self._unsaid.append(Reject("options.birth", problem))

    async def read(self) -> Batch:
        """Return what has come, at the latest when the next message comes.

        Raises ConnectFailed when the broker is away (at the start for longer than `timeout_s`), ReadTimeout
        when no value came for `silence_s`, another ConnectorError when the broker refuses the login or the
        topic; once each, then it waits for the change: an empty batch says that all is well again.
        """
        inbox = self._inbox
        self._link.start()
        while True:
            if self._valueless and inbox.granted and not self._is_silent:
                fault = inbox.silence(self._clock.monotonic())
                if fault is not None:
                    self._told = self._silence = fault
                    raise fault.error(self._subject)
            if inbox.messages:
                return self._take()
            inbox.changed.clear()
            if inbox.granted:
                if self._told is not None and not self._is_silent and self._silence is None:
                    self._told = None
                    return Batch()
                # That the broker is back says nothing of a device that was silent before it went.
                fault = None if self._is_silent else self._silence or inbox.silence(self._clock.monotonic())
                if fault is not None:
                    self._told = self._silence = fault
                    raise fault.error(self._subject)
                await inbox.changed.wait()
                continue
            patience_s = self._patience_s()
            fault = inbox.fault
            if fault is None and patience_s is not None and patience_s <= 0:
                fault = Fault("away", mqt.NO_ANSWER(limit_s=self.timeout_s))
            if fault is None or not self._is_news(fault, patience_s):
                await self._change(patience_s)
                continue
            self._told = fault
            raise fault.error(self._subject)

    def no_value(self, limit_s: float) -> Text | None:
        """Return why no value came within `limit_s`, None where no message came that can be shown."""
        message = self._inbox.valueless
        keys = [] if message is None else keys_of(message.payload)
        if message is None or not keys:
            return None
        topic = shown(message.topic)
        example = example_for(message.payload)
        if not example:
            return mqt.NO_NUMBER(limit_s=limit_s, topic=topic, keys=keys)
        return mqt.NO_VALUE_KEYS(limit_s=limit_s, topic=topic, keys=keys, example=example)

    async def close(self) -> None:
        """Release the link; the last reader closes it. What was not acknowledged comes again."""
        if self._open:
            self._open = False
            self._link.detach(self._inbox)
            if self._keep_alive is not None:
                self._link.beacon.drop(self._keep_alive)
            await self._leases.release(str(self._endpoint), holder=self._resource_id)

    @property
    def _is_silent(self) -> bool:
        return self._told is not None and self._told.kind == "silent"

    def _patience_s(self) -> float | None:
        """Return how long the first connection may still take, None once that is settled."""
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
        rejects, self._unsaid = self._unsaid, []
        readings, arrivals = self._decoded(messages, rejects)
        if inbox.dropped:
            reason = mqt.DROPPED(count=inbox.dropped, limit=MOST_WAITING)
            rejects.append(Reject(inbox.topic, reason))
            inbox.dropped = 0
        if not self._valueless:
            inbox.heard(self._clock.monotonic())
            self._silence = None
            if self._is_silent:
                self._told = None
        return Batch(
            readings,
            rejects,
            acknowledge=_Acknowledgement(self._link, inbox, messages),
            replayable=True,
            silent=self._is_silent,
            arrivals=arrivals,
        )

    def _decoded(self, messages: list[Message], rejects: list[Reject]) -> tuple[list[Reading], list[int]]:
        """Return the readings of messages and their numbers as in `Batch.arrivals`; note what is wrong."""
        decode, resource_id = self._decoder.decode, self._resource_id
        readings: list[Reading] = []
        arrivals: list[int] = []
        valueless: Message | None = None
        self._valueless = True
        for number, message in enumerate(messages):
            if message.oversize:
                reason = mqt.OVERSIZE(size=message.oversize, limit=MOST_BYTES)
                rejects.append(Reject(foreign(message.topic), reason))
                continue
            decoded = decode(message.payload, message.arrival)
            values, time, quality, mark = decoded.values, decoded.time, _GOOD, 0
            if time is None:
                time = message.arrival
                mark = message.mark() if message.qos == 1 else 0
                if message.retained:  # without its own time it may be from any time
                    quality = Quality.STALE
                arrivals += [-1] * (len(readings) - len(arrivals)) + [number] * len(values)
            for quantity, value in values:
                readings.append(Reading(resource_id, quantity, value, time, quality, mark))
            if decoded.reasons:
                rejects += [Reject(foreign(message.topic), reason) for reason in decoded.reasons]
            if not values:
                valueless = message
            elif quality is _GOOD:
                self._valueless = False
        if self._valueless and valueless is not None:
            self._inbox.valueless = valueless
        if arrivals:
            arrivals += [-1] * (len(readings) - len(arrivals))
        return readings, arrivals


class _Acknowledgement:
    """Tells the link that the readings of some messages are committed."""

    def __init__(self, link: MqttLink, inbox: Inbox, messages: list[Message]) -> None:
        self._link = link
        self._inbox = inbox
        self._messages = messages

    def __call__(self) -> None:
        self._link.done(self._inbox, self._messages)


def open_mqtt_reader(resource: Resource, site: Site) -> MqttReader:
    """Build the reader of an MQTT connection; ConfigError lists all that is wrong with it."""
    connection = resource.connection
    options, problems = check_options(connection.options, MqttOptions)
    problems[:0] = place_mistakes(connection)
    context = None
    topics = TopicFilter(connection.topic or "")
    if options is not None:
        context, found = tls_context(options, site.folder)
        problems += found
        topics, found = filter_of(resource, options.match, options.level)
        problems += found if connection.topic else []
    if options is None or problems:
        raise refuse(resource, problems, page=PAGE)
    endpoint = endpoint_of(connection, options)
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
            has_cert=options.cert_file is not None,
            **secrets,
        ),
        close=MqttLink.close,
    )
    reader = MqttReader(resource, options, link, site, endpoint, topics)
    if options.birth is not None and not site.one_shot:
        reader.announce(options.birth)
    return reader
