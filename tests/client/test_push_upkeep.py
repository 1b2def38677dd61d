"""Keeping a channel up: back-off, what a VTN may answer, and a VEN that gets another id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from tests.client.fake_vtn import FakeVtn
from venclient.client import push_webhook
from venclient.client.notices import is_filter
from venclient.client.push import STEADY_S, Push, Webhook, is_about_registration
from venclient.clock import ManualClock
from venclient.errors import VtnUnreachable
from venclient.messages import client as vtn

TOPICS = "notifiers/mqtt/topics/vens/V1"


class Flap:
    """A channel that is up for some seconds and then lost."""

    kind = "flap"

    def __init__(self, clock: ManualClock, lasts_s: float) -> None:
        self._clock = clock
        self._lasts_s = lasts_s
        self.ups: list[float] = []

    async def run(self, up: Callable[[], None], wake: Callable[[], None]) -> None:
        self.ups.append(self._clock.monotonic())
        up()
        await self._clock.sleep(self._lasts_s)
        raise VtnUnreachable("lost\n2026-01-01 ERROR forged")


@asynccontextmanager
async def pushing(
    monkeypatch: pytest.MonkeyPatch, vtn: FakeVtn, *channels: Any, ven_id: Callable[[], str] = lambda: "V1"
) -> AsyncIterator[tuple[Push, list[float]]]:
    """Run a push with these channels, or its own where none are given; also give when it woke."""
    woken: list[float] = []
    async with vtn.client(retries=0) as client:
        push = Push(client, lambda: woken.append(vtn.clock.monotonic()), vtn.clock, client_name="x")
        if channels:

            def these(*_: Any) -> Sequence[Any]:
                return channels

            monkeypatch.setattr(push, "_channels", these)
        task = asyncio.create_task(push.run(ven_id))
        await vtn.clock.advance(0, settle=100)
        yield push, woken
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def fake_vtn(notifiers: Any = None) -> FakeVtn:
    """Return a VTN that answers /notifiers so."""
    vtn = FakeVtn(ManualClock())
    vtn.handlers["GET", "notifiers"] = lambda _: httpx2.Response(200, json=notifiers or {})
    return vtn


async def test_a_channel_that_is_up_and_lost_at_once_is_tried_less_and_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A flapping broker costs a few tries in an hour, and a few polls, not thousands."""
    vtn = fake_vtn()
    flap = Flap(vtn.clock, 0.1)
    async with pushing(monkeypatch, vtn, flap) as (push, woken):
        await vtn.clock.advance(3600, settle=60)
        assert 10 < len(flap.ups) < 40
        assert len(woken) <= 2 * len(flap.ups)
        gaps = [later - earlier for earlier, later in zip(flap.ups, flap.ups[1:], strict=False)]
        assert gaps[0] < 5
        assert gaps[-1] > 100
        assert push.state == r"polling (flap: lost\n2026-01-01 ERROR forged)"


async def test_after_a_steady_connection_the_next_try_comes_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that held for a while does not wait for the flapping of before."""
    vtn = fake_vtn()
    lasts_s = STEADY_S + 1  # the sum of two floats may be a hair below STEADY_S itself
    steady = Flap(vtn.clock, lasts_s)
    async with pushing(monkeypatch, vtn, steady) as (_, _woken):
        await vtn.clock.advance(1000, settle=60)
        gaps = [later - earlier for earlier, later in zip(steady.ups, steady.ups[1:], strict=False)]
        assert max(gaps) < lasts_s + 5


async def test_a_bug_while_asking_is_told_and_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong with notifications, the gateway goes on and asks again."""
    vtn = fake_vtn()
    async with pushing(monkeypatch, vtn) as (push, _):

        def broken(*_: Any) -> Sequence[Any]:
            raise RuntimeError("out of order")

        monkeypatch.setattr(push, "_channels", broken)
        await vtn.clock.advance(3600, settle=60)
        assert push.state == "polling (unexpected RuntimeError [VEN-VTN-028])"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"MQTT": {"URIS": ["mqtts://[::1"]}}, "VEN-VTN-057"),
        ({"MQTT": {"URIS": ["mqtts://user:s3cret"]}}, "VEN-VTN-057"),
        ({"MQTT": {"URIS": ["mqtts://a:99999"]}}, "VEN-VTN-057"),
        ({"MQTT": {"URIS": ["gopher://a"]}}, "'gopher'"),
        ({"MQTT": {"URIS": ["mqtts://a"]}}, "VEN-VTN-053"),
        ({"MQTT": {"URIS": None}}, str(vtn.PUSH_UNKNOWN())),
        ({"MQTT": 7}, str(vtn.PUSH_NOT_OFFERED())),
        (["nonsense"], str(vtn.PUSH_NOT_OFFERED())),
        ({"WEBHOOK": True}, str(vtn.PUSH_WEBHOOK_ONLY())),
    ],
)
async def test_row_68_nonsense_about_notifiers_is_told_and_we_poll(
    monkeypatch: pytest.MonkeyPatch, answer: Any, said: str
) -> None:
    """An address that is none, a list, a number: the reason is in the state, and no secret with it."""
    async with pushing(monkeypatch, fake_vtn(answer)) as (push, _):
        assert push.state.startswith("polling (")
        assert said in push.state
        assert "s3cret" not in push.state


async def test_only_a_few_of_many_brokers_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VTN cannot keep us busy with ten thousand addresses."""
    vtn = fake_vtn({"MQTT": {"URIS": [f"gopher://{n}" for n in range(10_000)]}})
    async with pushing(monkeypatch, vtn) as (push, _):
        assert push.state.count("gopher") == 4


async def test_a_ven_with_another_id_is_listened_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VTN that lost our VEN knows it by another id: the topics of the old one are silent from then on."""
    vtn = fake_vtn()
    ids = ["V1", "V2"]
    asked: list[str] = []

    def ven_id() -> str:
        asked.append(ids[len(asked)])
        return asked[-1]

    steady = Flap(vtn.clock, 10_000)
    async with pushing(monkeypatch, vtn, steady, ven_id=ven_id) as (push, _):
        push.begin_anew()
        await vtn.clock.advance(0, settle=100)
        assert asked == ["V1", "V2"]
        assert len(steady.ups) == 2
        assert push.working


@pytest.mark.parametrize(
    ("topic", "good"),
    [
        ("openadr3/vens/V1/events/+", True),
        ("vens/V1/#", True),
        ("#", True),
        ("$share/g/vens/V1/events/create", True),
        ("", False),
        ("$SYS/#", False),
        ("a/#/b", False),
        ("a/b#", False),
        ("a/+b", False),
        ("#/#", False),
        ("a\0b", False),
        ("a\nb", False),
        ("x" * 5000, False),
    ],
)
def test_a_topic_that_no_broker_takes_is_left_out(topic: str, *, good: bool) -> None:
    """Wildcards are fine where MQTT has them; else one bad topic would cost all the others."""
    assert is_filter(topic) is good


@pytest.mark.parametrize(
    ("answer", "events"),
    [
        ({"topics": {"CREATE": "e/vens/V1/c", "UPDATE": "u/x"}}, ("e/vens/V1/c", "vens/V1/e/c", "u/x")),
        ({"topics": {"CREATE": "a/#/b", "UPDATE": {"no": "text"}, "DELETE": "d"}}, ("d",)),
        ({"topics": {"ALL": "v/+", "CREATE": "c"}}, ("v/+",)),
        ({"topics": "nonsense"}, ()),
        ({"topics": None}, ()),
        ([1], ()),
    ],
)
async def test_topics_are_taken_as_told_and_nonsense_is_left_out(
    answer: Any, events: tuple[str, ...]
) -> None:
    """Strings of the VTN verbatim, with the other spelling of OpenLEADR's VTN; nothing else."""
    vtn = FakeVtn(ManualClock())
    vtn.handlers["GET", f"{TOPICS}/events"] = lambda _: httpx2.Response(200, json=answer)
    vtn.handlers["GET", f"{TOPICS}/programs"] = lambda _: httpx2.Response(200, json={"topics": {"ALL": "p"}})
    async with vtn.client(retries=0) as client:
        topics = await client.notices.topics("V1")
    assert topics.events == events
    assert topics.others == ("p",)


async def test_without_a_ven_the_topics_of_all_events_are_used() -> None:
    """Where this client has no VEN, changes of events and programs are announced under their own topics."""
    vtn = fake_vtn()
    topics = {
        kind: httpx2.Response(200, json={"topics": {"ALL": f"{kind}/#"}}) for kind in ("events", "programs")
    }
    vtn.handlers["GET", "notifiers/mqtt/topics/events"] = lambda _: topics["events"]
    vtn.handlers["GET", "notifiers/mqtt/topics/programs"] = lambda _: topics["programs"]
    async with vtn.client(retries=0) as client:
        found = await client.notices.topics("")

    assert (found.events, found.others) == (("events/#",), ("programs/#",))


@pytest.mark.parametrize(
    ("message", "about"),
    [
        (b'{"objectType": "RESOURCE", "operation": "UPDATE"}', True),
        ('{"objectType": "VEN", "operation": "UPDATE"}', True),
        (b'{"objectType": "BL_VEN_REQUEST"}', True),
        (b'{"objectType": "EVENT", "object": {"objectType": "VEN"}}', False),
        (b'{"objectType": 7}', False),
        (b"[" * 100_000, False),
        (b"\xff", False),
        (b"", False),
    ],
)
def test_a_notification_says_whether_the_registration_has_changed(message: bytes | str, about: bool) -> None:
    """VEN and RESOURCE count, whatever role wrote them; an event, and what cannot be read, does not."""
    assert is_about_registration(message) is about


def is_up(push: Push) -> bool:
    """Return whether a channel works now."""
    return push.working


async def test_a_subscription_that_the_vtn_lost_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked for every few minutes, and at once when it is doubted; until then it is not claimed."""

    @asynccontextmanager
    async def nothing(*_: Any) -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(push_webhook, "_serving", nothing)
    vtn = fake_vtn({"WEBHOOK": True})
    subscriptions: list[dict[str, Any]] = []

    def post(request: httpx2.Request) -> httpx2.Response:
        subscriptions.append({**vtn.body(request), "id": f"S{len(vtn.calls('POST', 'subscriptions'))}"})
        return httpx2.Response(201, json=subscriptions[-1])

    vtn.handlers["GET", "subscriptions"] = lambda _: httpx2.Response(200, json=subscriptions)
    vtn.handlers["POST", "subscriptions"] = post
    lost: list[float] = []
    async with vtn.client(retries=0) as client:
        address = Webhook(url="https://gw.example/hook", host="127.0.0.1", port=1)
        push = Push(
            *(client, lambda: None, vtn.clock),
            client_name="x",
            webhook=address,
            registration_changed=lambda: lost.append(vtn.clock.monotonic()),
        )
        task = asyncio.create_task(push.run(lambda: "V1"))
        await vtn.clock.advance(1, settle=100)
        assert is_up(push)
        subscriptions.clear()
        await vtn.clock.advance(300, settle=100)
        assert [one["id"] for one in subscriptions] == ["S2"]
        assert len(lost) == 1

        vtn.handlers["GET", "subscriptions"] = lambda _: httpx2.Response(503)
        before = push.state
        push.check_again()
        assert push.state != before
        await vtn.clock.advance(1, settle=100)
        assert not is_up(push)
        vtn.handlers["GET", "subscriptions"] = lambda _: httpx2.Response(200, json=subscriptions)
        await vtn.clock.advance(30, settle=100)
        assert is_up(push)
        count = len(subscriptions)
        push.check_again()
        await vtn.clock.advance(1, settle=100)
        assert is_up(push)
        assert len(subscriptions) == count
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
