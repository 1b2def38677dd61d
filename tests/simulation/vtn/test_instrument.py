"""What makes the local VTN an instrument: drifting pages, ETags, names that are unique, acts in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from venclient.simulation.vtn import Fault, LocalVtn
from venclient.simulation.vtn.push import Push

pytestmark = pytest.mark.peer

CLIENTS = [{"id": "ven-1", "secret": "s", "role": "ven"}]


@asynccontextmanager
async def ask(vtn: LocalVtn) -> AsyncIterator[httpx2.AsyncClient]:
    """Return an authorised client of the VTN."""
    form = {"grant_type": "client_credentials", "client_id": "ven-1", "client_secret": "s"}
    async with httpx2.AsyncClient(trust_env=False) as http:
        token = (await http.post(f"{vtn.url}/auth/token", data=form)).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield http


def plant(vtn: LocalVtn, names: int) -> list[dict[str, Any]]:
    """Store a program and `names` events."""
    program = vtn.add_program({"programName": "p"})
    return [vtn.add_event({"programID": program["id"], "eventName": f"e{n}"}) for n in range(names)]


async def test_a_known_listing_is_answered_with_304_until_it_changes() -> None:
    """If-None-Match with the listing's ETag costs no body; after a change there is a new one."""
    async with LocalVtn(clients=CLIENTS) as vtn, ask(vtn) as http:
        plant(vtn, 1)
        first = await http.get(f"{vtn.url}/events")
        known = {"If-None-Match": first.headers["ETag"]}
        same = await http.get(f"{vtn.url}/events", headers=known)
        vtn.change_event(vtn.events[0]["id"], eventName="changed")
        other = await http.get(f"{vtn.url}/events", headers=known)
        assert (same.status_code, same.content) == (304, b"")
        assert (other.status_code, other.json()[0]["eventName"]) == (200, "changed")


async def test_a_vtn_without_etags_sends_none() -> None:
    """Switched off, listings are always sent whole."""
    async with LocalVtn(clients=CLIENTS, etags=False) as vtn, ask(vtn) as http:
        assert "ETag" not in (await http.get(f"{vtn.url}/events")).headers


async def test_pages_drift_when_the_newest_come_first_and_one_comes_between() -> None:
    """An event posted between two pages moves the rest: the second page repeats the first one's last."""
    async with LocalVtn(clients=CLIENTS, newest_first=True) as vtn, ask(vtn) as http:
        plant(vtn, 4)
        program_id = vtn.programs[0]["id"]
        vtn.faults.append(
            Fault(
                path="^/events",
                skip=1,
                act=lambda: vtn.add_event({"programID": program_id, "eventName": "e4"}),
            )
        )
        pages = [
            [one["eventName"] for one in (await http.get(f"{vtn.url}/events?skip={skip}&limit=2")).json()]
            for skip in (0, 2)
        ]
        assert pages == [["e3", "e2"], ["e2", "e1"]]


async def test_a_taken_report_name_is_refused_where_names_are_unique() -> None:
    """As OpenLEADR's VTN up to 0.2.7: the second report with a name gets 409."""
    async with LocalVtn(clients=CLIENTS, unique_report_names=True) as vtn, ask(vtn) as http:
        (event,) = plant(vtn, 1)
        report = {"eventID": event["id"], "clientName": "c", "reportName": "r", "resources": []}
        answers = [(await http.post(f"{vtn.url}/reports", json=report)).status_code for _ in range(2)]
        assert answers == [201, 409]


async def test_topics_are_told_for_our_ven_and_refused_for_others(free_port: int) -> None:
    """The topics exist; those of all objects need business logic's scope, unknown ones are 404."""
    async with LocalVtn(clients=CLIENTS, push=Push(websocket=True)) as vtn, ask(vtn) as http:
        ven = {"objectType": "VEN_VEN_REQUEST", "venName": "v"}
        ven_id = (await http.post(f"{vtn.url}/vens", json=ven)).json()["id"]
        vtn.notifier.push = Push(mqtt_uri=f"mqtt://127.0.0.1:{free_port}")  # type: ignore[union-attr]
        base = f"{vtn.url}/notifiers/mqtt/topics"
        response = await http.get(f"{base}/vens/{ven_id}/events")
        assert response.json()["topics"] == {
            "CREATE": f"openadr3/vens/{ven_id}/events/create",
            "UPDATE": f"openadr3/vens/{ven_id}/events/update",
            "DELETE": f"openadr3/vens/{ven_id}/events/delete",
            "ALL": f"openadr3/vens/{ven_id}/events/+",
        }
        others = ["vens/none/events", "events", "vens/x/y"]
        assert [(await http.get(f"{base}/{path}")).status_code for path in others] == [404, 403, 404]
