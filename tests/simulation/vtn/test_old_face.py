"""The local VTN as one of 3.0.1: its answers are what that YAML says, and our client talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from tests.places import SHARED
from tests.simulation.vtn.contract import load_contract
from venclient.client import VenClient, VtnAccount, ensure_ven
from venclient.clock import SystemClock
from venclient.openadr.objects import Interval, Report, ReportResource, ValuesMap
from venclient.simulation.vtn import LocalVtn

pytestmark = pytest.mark.peer

CLIENTS = [{"id": "ven-1", "secret": "s", "role": "ven"}, {"id": "bl-1", "secret": "s", "role": "bl"}]
YAML = SHARED / "openadr" / "3.0.1" / "openadr3.yaml"


@asynccontextmanager
async def old(version: str = "3.0.1") -> AsyncIterator[tuple[LocalVtn, VenClient]]:
    """Run a local VTN of 3.0.1 and our client of it."""
    async with LocalVtn(clients=CLIENTS, version="3.0.1") as vtn:
        account = VtnAccount(
            url=vtn.url, client_id="ven-1", client_secret="s", allow_http=True, version=version
        )
        async with VenClient(account, SystemClock()) as client:
            yield vtn, client


def plant(vtn: LocalVtn) -> dict[str, Any]:
    """Store a program and an event with targets, in 3.1's own words."""
    attributes = [{"type": "RETAILER_NAME", "values": ["ACME"]}, {"type": "BINDING_EVENTS", "values": [True]}]
    program = vtn.add_program({"programName": "flex", "attributes": attributes})
    return vtn.add_event(
        {
            "programID": program["id"],
            "targets": ["zone-a"],
            "intervalPeriod": {"start": "0001-01-01T00:00:00Z", "duration": "PT1H"},
            "intervals": [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]}],
            "reportDescriptors": [
                {"payloadType": "USAGE", "reportIntervals": "OPEN_INTERVALS", "targets": ["zone-a"]}
            ],
        }
    )


async def ask(vtn: LocalVtn, path: str, method: str = "GET", body: object = None) -> httpx2.Response:
    """Ask as the VEN."""
    form = {"grant_type": "client_credentials", "client_id": "ven-1", "client_secret": "s"}
    async with httpx2.AsyncClient(base_url=vtn.url, trust_env=False) as http:
        token = (await http.post("/auth/token", data=form)).json()["access_token"]
        return await http.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})


async def test_row_71_answers_are_what_the_yaml_of_3_0_1_says() -> None:
    """Programs, events, vens, resources and reports pass the official schemas of the older version."""
    if not YAML.exists():
        pytest.skip("the official openadr3.yaml is not in ../shared")
    contract = load_contract(YAML)
    async with old() as (vtn, client):
        event = plant(vtn)
        ven = await ensure_ven(client, "gateway")
        resource = await client.create_resource(ven.id or "", "meter", [ValuesMap(type="AREA", values=["x"])])
        await client.events()
        await client.create_report(a_report(event["id"]))
        for path, schema in (
            ("/programs", "program"),
            ("/events", "event"),
            ("/vens", "ven"),
            (f"/vens/{ven.id}/resources", "resource"),
            ("/reports", "report"),
        ):
            (found,) = (await ask(vtn, path)).json()
            errors = contract.schema_errors(schema, found, "answer")
            # The older text names this for "now", and its own schema does not take it.
            assert [one for one in errors if one != "'0000-00-00' is not a 'date-time'"] == [], path
        assert resource.ven_id == ven.id


def a_report(event_id: str) -> Report:
    """Build a report of one value."""
    values = [ValuesMap(type="USAGE", values=[1.0])]
    interval = Interval(id=0, payloads=values)
    part = ReportResource(resource_name="meter", intervals=[interval])
    return Report(event_id=event_id, client_name="gateway", report_name="r-1", resources=[part])


@pytest.mark.parametrize("version", ["3.0.1", "probe"])
async def test_row_71_our_client_reads_and_writes_the_older_version(version: str) -> None:
    """Targets, sentinel, program members and nested resources come out as the objects of 3.1."""
    async with old(version) as (vtn, client):
        event = plant(vtn)
        (program,) = (await client.programs()).items
        (read,) = (await client.events()).items
        ven = await ensure_ven(client, "gateway")
        held = await client.create_resource(ven.id or "", "meter", None)
        await client.update_resource(
            held.id or "", ven.id or "", "meter", [ValuesMap(type="AREA", values=["y"])]
        )
        (again,) = (await client.resources(ven.id)).items
        stored = await client.create_report(a_report(event["id"]))

        assert {one.type: one.values for one in program.attributes or ()} == {
            "RETAILER_NAME": ["ACME"],
            "BINDING_EVENTS": [True],
        }
        assert (read.targets, (read.report_descriptors or [])[0].targets) == (["zone-a"], ["zone-a"])
        assert (again.resource_name, again.attributes) == ("meter", [ValuesMap(type="AREA", values=["y"])])
        assert (await client.dialect()).version == "3.0.1"
        assert [one["reportName"] for one in vtn.reports] == ["r-1"]
        assert stored.program_id == event["programID"]


async def test_what_3_0_1_does_not_have_is_not_found() -> None:
    """Discovery of the token service, notifiers and top-level resources came with 3.1."""
    async with old() as (vtn, _):
        answers = [await ask(vtn, path) for path in ("/auth/server", "/notifiers", "/resources")]
        assert [one.status_code for one in answers] == [404, 404, 404]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/reports", {"eventID": "e", "clientName": "c", "resources": []}),
        ("POST", "/vens", {"venName": "v", "targets": ["plain"]}),
        ("POST", "/vens", ["no object"]),
    ],
)
async def test_shapes_of_3_1_are_refused(method: str, path: str, body: object) -> None:
    """A report without programID, plain targets and no object at all get 400."""
    async with old() as (vtn, _):
        assert (await ask(vtn, path, method, body)).status_code == 400
