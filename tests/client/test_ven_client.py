"""What a VEN says and hears: objects, reports, notifiers."""

from __future__ import annotations

import httpx2
import pytest
from msgspec.structs import replace

from tests.client.fake_vtn import FakeVtn, problem
from venclient.errors import VtnProblem, VtnUnreachable
from venclient.openadr.objects import Interval, Report, ReportResource, ValuesMap


def report(value: float) -> Report:
    interval = Interval(id=0, payloads=[ValuesMap(type="USAGE", values=[value])])
    return Report(
        event_id="E1",
        client_name="gw",
        report_name="E1-0",
        resources=[ReportResource(resource_name="main", intervals=[interval])],
    )


async def test_row_63_a_report_is_created_and_corrected(vtn: FakeVtn) -> None:
    """POST creates, PUT replaces the whole report, and the listing gives it back."""
    async with vtn.client() as client:
        stored = await client.create_report(report(1))
        assert stored.id is not None
        await client.update_report(stored.id, report(2.5))
        (held,) = (await client.reports("E1", "gw")).items

    assert held.resources[0].intervals[0].payloads[0].values == [2.5]
    assert b'"values":[1.0]' in vtn.calls("POST", "reports")[0].content
    assert set(vtn.body(vtn.calls("PUT", "reports/R1")[0])) == {
        "eventID",
        "clientName",
        "reportName",
        "resources",
    }


async def test_reports_are_asked_for_by_event_and_client(vtn: FakeVtn) -> None:
    """The query carries eventID and clientName."""
    async with vtn.client() as client:
        await client.reports("E 1", "gw&x")

    params = vtn.calls("GET", "reports")[0].url.params
    assert (params["eventID"], params["clientName"]) == ("E 1", "gw&x")


async def test_of_very_many_reports_only_those_asked_for_are_kept(vtn: FakeVtn) -> None:
    """With names, the whole list is read, and no other report is given; without, all of them are."""
    async with vtn.client() as client:
        for number in range(120):
            await client.create_report(replace(report(number), report_name=f"E1-{number}"))
        found = await client.reports("E1", "gw", names={"E1-7", "E1-115", "E1-999"})
        everything = await client.reports("E1", "gw")

    assert [one.report_name for one in found.items] == ["E1-7", "E1-115"]
    assert found.complete
    assert found.ids == everything.ids
    assert len(everything.items) == 120


async def test_ids_stay_one_part_of_the_path(vtn: FakeVtn) -> None:
    """An id with a slash cannot reach another place of the VTN."""
    async with vtn.client() as client:
        with pytest.raises(VtnProblem):
            await client.update_report("../vens/1", report(1))

    assert vtn.requests[-1].url.raw_path.endswith(b"/reports/..%2Fvens%2F1")


async def test_row_22_resources_are_created_updated_and_deleted(vtn: FakeVtn) -> None:
    """The three verbs reach the VTN; deleting what is gone already is not an error."""
    async with vtn.client() as client:
        created = await client.create_resource(
            "V1", "main", [ValuesMap(type="MAX_POWER_CONSUMPTION", values=[11])]
        )
        assert created.id is not None
        updated = await client.update_resource(
            created.id, "V1", "main", [ValuesMap(type="AREA", values=[1.5])]
        )
        (listed,) = (await client.resources("V1")).items
        assert listed == updated
        assert await client.delete_resource(created.id)
        assert not await client.delete_resource(created.id)

    assert vtn.collections["resources"] == []


async def test_updates_send_neither_targets_nor_client_id(vtn: FakeVtn) -> None:
    """PUT of a VEN leaves what the VTN's operator owns alone."""
    vtn.collections["vens"] = [{"id": "V1", "venName": "gw", "clientID": "gw-1", "targets": ["zone-a"]}]
    async with vtn.client() as client:
        ven = await client.update_ven("V1", "gw", [ValuesMap(type="DESCRIPTION", values=["site 7"])])

    assert ven.targets == ["zone-a"]
    assert set(vtn.body(vtn.requests[-1])) == {"objectType", "venName", "attributes"}


@pytest.mark.parametrize(
    "answer",
    [
        problem(403),
        problem(404),
        problem(501),
        httpx2.Response(200, text="no"),
        httpx2.Response(200, json={"MQTT": 1}),
    ],
)
async def test_row_68_without_notifiers_there_is_polling(vtn: FakeVtn, answer: httpx2.Response) -> None:
    """A VTN that does not list its notifiers, or not in words we know, has none."""
    vtn.handlers["GET", "notifiers"] = lambda request: answer
    async with vtn.client() as client:
        assert await client.notifiers() is None
        assert client.status.failures == 0


async def test_notifiers_are_told(vtn: FakeVtn) -> None:
    """The MQTT binding is read, an authentication method of a private name as well."""
    listed = {
        "WEBSOCKET": {"x": 1},
        "MQTT": {
            "URIS": ["mqtt://b"],
            "serialization": "JSON",
            "authentication": {"method": "OAUTH2BEARERTOKEN"},
        },
    }
    vtn.handlers["GET", "notifiers"] = lambda request: httpx2.Response(200, json=listed)
    async with vtn.client() as client:
        notifiers = await client.notifiers()

    assert notifiers is not None
    assert notifiers.mqtt is not None
    assert notifiers.mqtt.uris == ["mqtt://b"]
    assert not notifiers.webhook


async def test_a_vtn_that_is_away_is_not_one_without_notifiers(vtn: FakeVtn) -> None:
    """An outage is raised, not mistaken for the absence of notifiers."""
    vtn.faults = [httpx2.ConnectError("refused")] * 4
    async with vtn.client() as client:
        with pytest.raises(VtnUnreachable):
            await client.notifiers()


async def test_row_72_two_vtns_are_isolated(vtn: FakeVtn) -> None:
    """One VTN's outage and its request for patience do not touch the client of another."""
    other = FakeVtn(vtn.clock, path="/openadr3/3.1.0")
    vtn.faults = [httpx2.Response(429, headers={"Retry-After": "600"})]
    async with vtn.client() as ill, other.client() as well:
        with pytest.raises(VtnProblem):
            await ill.events()
        assert (await well.events()).complete
        assert well.status.failures == 0
