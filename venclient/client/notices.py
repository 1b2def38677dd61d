"""What a VEN asks a VTN about notifications: topics, subscriptions, and the token that logs in elsewhere.

Definition.md, "Notifications via Additional Protocols" and "Webhooks".
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from venclient.client.conversation import Conversation
from venclient.client.dialect import Dialect
from venclient.errors import AuthRefused, VtnProblem, WireError
from venclient.openadr.objects import ObjectOperation, Subscription

#: What a VEN wants to hear of, in the collections under its VEN object.
OF_VEN = ("events", "programs", "resources")
OBJECTS = ("EVENT", "PROGRAM", "RESOURCE", "VEN")
OPERATIONS = ("CREATE", "UPDATE", "DELETE")
#: The mechanism that asks OpenLEADR's VTN for notifications over its WebSocket.
SOCKET = "WEBSOCKET"
#: More topics than this of one collection are not the standard's.
_MOST_TOPICS = 20
_LONGEST_TOPIC = 1024


class Topics(NamedTuple):
    """MQTT topics as a VTN names them: those about events, and the others."""

    events: tuple[str, ...]
    others: tuple[str, ...]


class Notices:
    """The part of a `VenClient` that is about notifications."""

    def __init__(self, talk: Conversation, dialect: Callable[[], Awaitable[Dialect]]) -> None:
        self._talk = talk
        self._dialect = dialect

    @property
    def client_id(self) -> str | None:
        """Return the account's client id."""
        return self._talk.account.client_id

    @property
    def url(self) -> str:
        """Return the VTN's base address."""
        return self._talk.account.url

    @property
    def plain_allowed(self) -> bool:
        """True where connections without TLS are switched on (`vtn.allow_http`)."""
        return self._talk.account.allow_http

    @property
    def has_cert(self) -> bool:
        """True where the account has a client certificate."""
        return self._talk.account.cert_file is not None

    def tls_context(self) -> ssl.SSLContext:
        """Return the account's TLS settings."""
        return self._talk.account.tls_context()

    async def token(self) -> str | None:
        """Return a token that is good now; None for an account without login."""
        return await self._talk.token()

    async def topics(self, ven_id: str) -> Topics:
        """Return the MQTT topics to subscribe to; none where the VTN offers none.

        A collection whose topics are refused (scope) or unknown (404) is left out, and so is a topic that
        no broker would take. Without a VEN the topics of all events and programs are asked for.
        """
        if not ven_id:
            events, programs = await self._topics_of("events"), await self._topics_of("programs")
            return Topics(events, tuple(topic for topic in programs if topic not in events))
        events, *others = [await self._topics_of(f"vens/{ven_id}/{part}") for part in OF_VEN]
        own = await self._topics_of(f"vens/{ven_id}")
        rest = dict.fromkeys(topic for found in (*others, own) for topic in found)
        return Topics(events, tuple(topic for topic in rest if topic not in events))

    async def _topics_of(self, path: str) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for topic in await self._told_topics(path):
            found[topic] = None
            if (other := _other_way_round(topic)) is not None:
                found[other] = None
        return tuple(found)

    async def _told_topics(self, path: str) -> tuple[str, ...]:
        try:
            answer = await self._talk.call(
                "GET", "notifiers", "mqtt", "topics", *path.split("/"), optional=True
            )
            named = msgspec.json.decode(answer.body)["topics"]
            all_ = named.get("ALL")
            listed = [all_] if all_ else list(named.values())
            return tuple(topic for topic in listed if isinstance(topic, str) and is_filter(topic))[
                :_MOST_TOPICS
            ]
        except AuthRefused:
            return ()
        except VtnProblem as problem:
            if problem.transient:
                raise
            return ()
        except (
            msgspec.MsgspecError,
            KeyError,
            TypeError,
            AttributeError,
            UnicodeDecodeError,
            RecursionError,
        ):
            return ()

    async def subscribe(self, name: str, callback_url: str, bearer: str) -> str | None:
        """Have notifications sent to `callback_url`, and give the subscription's id.

        One subscription per callback: ours of an earlier run is renewed.
        """
        wish: dict[str, Any] = {"objects": OBJECTS, "operations": OPERATIONS}
        wish |= {"callbackUrl": callback_url, "bearerToken": bearer}
        return await self._subscribe(name, wish, lambda held: held.callback_url == callback_url)

    async def is_subscribed(self, name: str, callback_url: str, id_: str | None) -> bool:
        """Return whether the VTN still lists a subscription of ours for `callback_url`, under this id."""
        listed = await self._subscriptions(name, lambda held: held.callback_url == callback_url)
        return bool(listed) if id_ is None else id_ in listed

    async def subscribe_socket(self, name: str) -> bool:
        """Have notifications sent over the WebSocket, where a VTN sends none unasked.

        Return False where that takes no subscription.

        A renewal is reported over the socket itself, and shows the VTN that an earlier one of ours is dead.
        """
        wish = {"objects": (*OBJECTS, "SUBSCRIPTION"), "operations": OPERATIONS, "mechanism": SOCKET}
        try:
            await self._subscribe(name, wish, lambda held: held.mechanism == SOCKET)
        except AuthRefused:
            raise
        except VtnProblem as problem:
            if problem.transient or problem.page or 300 <= problem.status < 400:
                raise
            return False  # subscriptions are for callbacks there: every connected client is notified
        return True

    async def keep_socket(self, name: str) -> bool:
        """Subscribe to the WebSocket again where the VTN no longer lists that; return whether it was lost."""
        if await self._subscriptions(name, lambda held: held.mechanism == SOCKET):
            return False
        await self.subscribe_socket(name)
        return True

    async def _subscribe(
        self, name: str, wish: Mapping[str, Any], ours: Callable[[ObjectOperation], bool]
    ) -> str | None:
        """Return the id of the subscription for a wish: the one that is there, renewed, or a new one."""
        body = msgspec.json.encode({"clientName": name, "objectOperations": [wish]})
        for id_ in await self._subscriptions(name, ours):
            try:
                await self._talk.call("PUT", "subscriptions", id_, body=body)
            except VtnProblem as problem:
                if not problem.is_not_found:
                    raise
                continue  # lost since it was listed
            return id_
        answer = await self._talk.call("POST", "subscriptions", body=body, repeatable=False)
        try:
            return (await self._dialect()).codec.decode(Subscription, answer.body).id
        except WireError as error:
            raise self._talk.broken(answer, error) from error

    async def unsubscribe(self, id_: str) -> None:
        """End a subscription; one that is gone is not an error."""
        try:
            await self._talk.call("DELETE", "subscriptions", id_)
        except VtnProblem as problem:
            if not problem.is_not_found:
                raise

    async def _subscriptions(self, name: str, ours: Callable[[ObjectOperation], bool]) -> Sequence[str]:
        answer = await self._talk.call("GET", "subscriptions", params=[("clientName", name)])
        codec = (await self._dialect()).codec
        try:
            listed: list[Any] = codec.decode_list(Subscription, answer.body).items
        except WireError as error:
            raise self._talk.broken(answer, error) from error
        return [one.id for one in listed if one.id and any(map(ours, one.object_operations))]


def is_filter(topic: str) -> bool:
    """Return whether a broker could take this as a topic to subscribe to (MQTT 5.0, 4.7).

    A broker's reports about itself ($SYS) come all the time, and belong to no VTN.
    """
    if not topic or len(topic) > _LONGEST_TOPIC or not topic.isprintable() or topic.startswith("$SYS/"):
        return False
    *before, last = topic.split("/")
    alone = all("+" not in level or level == "+" for level in (*before, last))
    return alone and not any("#" in level for level in before) and (last == "#" or "#" not in last)


_SWAPPED = re.compile(r"(?P<head>(?:.*/)?)(?P<kind>[a-z]+)/vens/(?P<id>[^/]+)/(?P<rest>[^/]+)")


def _other_way_round(topic: str) -> str | None:
    """Return the topic that some VTNs publish to when they name "events/vens/ID/..." (openleadr 0.2)."""
    found = _SWAPPED.fullmatch(topic)
    return f"{found['head']}vens/{found['id']}/{found['kind']}/{found['rest']}" if found else None
