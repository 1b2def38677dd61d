"""Notifications of the VTN: over a real mosquitto, over OpenLEADR's WebSocket, by the crate's webhooks.

A poll is an hour away here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.interop.business import Business, Object, intervals, period
from tests.interop.site import RARELY_S, UNASKED_S, Gateway, Site, soon, until
from tests.interop.vtn import Vtn


@pytest.fixture
async def gateway(tmp_path: Path, site: Site, vtn: Vtn, business: Business) -> AsyncIterator[Gateway]:
    """Return a gateway that asks the VTN every hour only."""
    made = Gateway(tmp_path, vtn.url)
    made.settings["vtn"] |= {"poll_s": RARELY_S, "push_poll_s": RARELY_S}
    yield made
    if made.process is not None and made.process.returncode is None:
        await made.stop()


async def told_by(gateway: Gateway, way: str) -> None:
    """Return once the gateway says that the VTN notifies it in this way."""
    await gateway.until(lambda s: way in str(s["vtn"].get("push")), f"told by {way}")


def later(business: Business) -> Object:
    """Return an event of tomorrow, of a new program."""
    return business.add_event(
        business.add_program(), intervalPeriod=period(soon(86_400), 2), intervals=intervals(1)
    )


async def test_row_65_the_token_logs_in_at_the_broker_and_events_wake_the_gateway(
    broker: int, gateway: Gateway, business: Business, tmp_path: Path
) -> None:
    """The topics that the VTN names are subscribed under the client's name, and events are known at once."""
    await gateway.start()
    await gateway.registered()
    await told_by(gateway, "MQTT")
    log = tmp_path / "broker" / "mosquitto.log"
    await until(lambda: "u'interop'" in log.read_text(), "client's name at the broker", log=log.read_text)
    for number in (1, 2, 3):
        later(business)
        await gateway.knows(number)


async def test_row_65_a_deleted_event_wakes_it_too(broker: int, gateway: Gateway, business: Business) -> None:
    """An event that is deleted is forgotten at once, not with the next poll."""
    event = later(business)
    await gateway.start()
    await gateway.knows(1)
    await told_by(gateway, "MQTT")
    business.delete_event(event)

    await gateway.knows(0)


async def test_row_65_a_vtn_that_was_away_is_heard_again(
    broker: int, vtn: Vtn, gateway: Gateway, business: Business
) -> None:
    """After a restart of the VTN, which the broker does not report, notifications still come."""
    await gateway.start()
    await gateway.registered()
    await told_by(gateway, "MQTT")
    vtn.stop()
    vtn.start()
    later(business)

    await gateway.knows(1)


@pytest.mark.only("openleadr")
async def test_without_a_broker_the_websocket_wakes_it(gateway: Gateway, business: Business) -> None:
    """OpenLEADR without a broker notifies subscribers by WebSocket; no log shows the token."""
    gateway.settings["log"] = {"level": "DEBUG"}
    await gateway.start()
    await gateway.registered()
    await told_by(gateway, "WebSocket")
    for number in (1, 2, 3):
        later(business)
        await gateway.knows(number)
    assert "Bearer" not in gateway.log


@pytest.mark.only("openleadr")
async def test_the_websocket_stays_up_though_the_vtn_answers_no_ping(
    gateway: Gateway, business: Business
) -> None:
    """After three quarters of a minute of silence it is the same connection, and announces an event."""
    await gateway.start()
    await gateway.registered()
    await told_by(gateway, "WebSocket")
    await asyncio.sleep(45)  # longer than what clients wait for a pong; the VTN has no clock of ours
    later(business)

    await gateway.knows(1)
    assert gateway.log.count("receiving notifications by WebSocket") == 1


@pytest.mark.only("openleadr")
async def test_the_websocket_is_subscribed_to_once_however_often_it_starts(
    gateway: Gateway, business: Business
) -> None:
    """Three starts later there is one subscription of this client at the VTN."""
    for _ in range(3):
        await gateway.start()
        await gateway.registered()
        await until(lambda: business.say("GET", "/subscriptions"), "subscribed", log=lambda: gateway.log)
        await gateway.stop()

    assert len(business.say("GET", "/subscriptions")) == 1


async def test_row_25_a_target_granted_while_it_runs_is_known_by_mqtt(
    broker: int, gateway: Gateway, business: Business
) -> None:
    """The grant itself wakes the gateway: the event for the target is known without a restart or a poll."""
    await gateway.start()
    await gateway.registered()
    await told_by(gateway, "MQTT")
    for target in ("zone-a", "zone-b"):
        business.add_event(
            business.add_program(),
            targets=[target],
            intervalPeriod=period(soon(86_400), 2),
            intervals=intervals(1),
        )
    business.grant(business.vens()[0], "zone-a")

    await until(
        lambda: (s := gateway.status) and s["events"]["known"] == 1,
        "the event of the granted target known",
        within_s=UNASKED_S,
        log=lambda: gateway.log,
    )
