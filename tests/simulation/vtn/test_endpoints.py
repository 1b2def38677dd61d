"""Every operation of the YAML, answered right: status, body and metadata."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.simulation.vtn.bodies import GOOD
from tests.simulation.vtn.conftest import PROGRAM, VEN, Api
from tests.simulation.vtn.contract import Contract

KINDS = ("program", "event", "report", "subscription", "ven", "resource")
RFC_3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def stock(api: Api) -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    """Make one object of each kind; gives by kind who made it, the request body and the answer."""
    made: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {}

    async def make(kind: str, who: str, **members: str) -> str:
        body = {name: value for name, value in GOOD[kind].items() if name != "targets"} | members
        made[kind] = (who, body, await api.make(who, f"/{kind}s", body))
        return str(made[kind][2]["id"])

    program = await make("program", "bl")
    event = await make("event", "bl", programID=program)
    ven = await make("ven", "ven")
    await make("resource", "ven", venID=ven)
    await make("report", "ven", eventID=event)
    await make("subscription", "ven", programID=program)
    return made


async def test_every_kind_is_created_with_metadata(api: Api) -> None:
    """A created object carries id, times, type and owner of the VTN beside what was sent."""
    for kind, (_, sent, made) in (await stock(api)).items():
        assert made["objectType"] == kind.upper()
        assert RFC_3339_UTC.fullmatch(made["createdDateTime"])
        assert made["modificationDateTime"] == made["createdDateTime"]
        assert {name: made[name] for name in sent if name != "objectType"} == {
            name: value for name, value in sent.items() if name != "objectType"
        }
        if kind not in ("program", "event"):
            assert made["clientID"] == "ven"


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_is_read_listed_changed_and_deleted(api: Api, kind: str) -> None:
    """The five verbs of an object work in turn, and what was deleted is gone."""
    who, sent, made = (await stock(api))[kind]
    path = f"/{kind}s/{made['id']}"
    assert (await api.call(who, "GET", path)).body == made
    assert (await api.call(who, "GET", f"/{kind}s")).body == [made]
    name = {"report": "reportName", "subscription": "clientName", "event": "eventName"}.get(
        kind, f"{kind}Name"
    )
    changed = await api.call(who, "PUT", path, {**sent, name: "renamed"})
    assert changed.status == 200
    assert changed.body[name] == "renamed"
    assert changed.body["createdDateTime"] == made["createdDateTime"]
    assert changed.body["modificationDateTime"] > made["modificationDateTime"]
    deleted = await api.call(who, "DELETE", path)
    assert (deleted.status, deleted.body) == (200, changed.body)
    for method, body in (("GET", None), ("PUT", sent), ("DELETE", None)):
        assert (await api.call(who, method, path, body)).status == 404
    assert (await api.call(who, "GET", f"/{kind}s")).body == []


async def test_every_operation_of_the_yaml_answers_as_it_lists(api: Api, contract: Contract) -> None:
    """No operation is missing: each gives an answer that the YAML lists, to BL and to a VEN."""
    operations = contract.operations()
    assert len(operations) > 30
    for who in ("bl", "ven"):
        for method, template in operations:
            if template == "/auth/token":
                continue
            path = re.sub(r"\{\w+\}", "unknown-1", template)
            answer = await api.call(who, method.upper(), path, {} if method in ("post", "put") else None)
            assert answer.status in (200, 400, 403, 404)


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/nothing", 404), ("PATCH", "/vens", 405), ("DELETE", "/programs", 405),
    ("GET", "/vens/a%20b", 400),
])  # fmt: skip
async def test_wrong_addresses_get_a_problem(api: Api, method: str, path: str, status: int) -> None:
    """Unknown paths, methods and impossible ids are answered by a problem document."""
    answer = await api.call("bl", method, path)
    assert answer.status == status == answer.body["status"]
    assert answer.body["title"]


async def test_a_body_of_another_type_is_unsupported(api: Api) -> None:
    """A body that is not declared as JSON is refused with 415."""
    answer = await api.call("bl", "POST", "/programs", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status == 415


async def test_a_bad_body_says_where(api: Api) -> None:
    """The problem's detail names the path of the wrong member."""
    answer = await api.call("bl", "POST", "/programs", {"programName": "p", "targets": ["a", 7]})
    assert answer.status == 400
    assert "$.targets[1]" in answer.body["detail"]


async def test_auth_server_names_the_token_endpoint(api: Api) -> None:
    """The token URL is absolute, keeps the base path, and needs no token to be read."""
    answer = await api.call(None, "GET", "/auth/server")
    assert answer.body == {"tokenURL": "http://vtn.test/openadr3/3.1.1/auth/token"}


async def test_notifiers_admit_that_nothing_is_pushed(api: Api) -> None:
    """Business logic learns that webhooks and MQTT topics are missing."""
    assert (await api.call("bl", "GET", "/notifiers")).body == {"WEBHOOK": False}
    assert (await api.call("bl", "GET", "/notifiers/mqtt/topics/events")).status == 404


@pytest.mark.parametrize("kind", ["program", "ven"])
async def test_names_are_unique(api: Api, kind: str) -> None:
    """A second program or ven of the same name is a conflict, also by renaming."""
    who, body = ("bl", PROGRAM) if kind == "program" else ("ven", VEN)
    first = await api.make(who, f"/{kind}s", body)
    assert (await api.call(who, "POST", f"/{kind}s", body)).status == 409
    second = await api.make(who, f"/{kind}s", {**body, f"{kind}Name": "second"})
    assert (await api.call(who, "PUT", f"/{kind}s/{second['id']}", body)).status == 409
    assert (await api.call(who, "PUT", f"/{kind}s/{first['id']}", body)).status == 200


async def test_resource_names_are_unique_within_a_ven(api: Api) -> None:
    """The same resource name is a conflict in one ven and fine in another."""
    vens = [await api.make("ven", "/vens", {**VEN, "venName": name}) for name in ("a", "b")]
    body = {"objectType": "VEN_RESOURCE_REQUEST", "resourceName": "meter", "venID": vens[0]["id"]}
    await api.make("ven", "/resources", body)
    assert (await api.call("ven", "POST", "/resources", body)).status == 409
    await api.make("ven", "/resources", {**body, "venID": vens[1]["id"]})


async def test_what_points_to_nothing_is_refused(api: Api) -> None:
    """Events need their program, reports their event, resources their ven."""
    assert (await api.call("bl", "POST", "/events", {"programID": "no"})).status == 409
    report = {"eventID": "no", "clientName": "gateway", "resources": []}
    assert (await api.call("ven", "POST", "/reports", report)).status == 409
    resource = {"objectType": "VEN_RESOURCE_REQUEST", "resourceName": "meter", "venID": "no"}
    assert (await api.call("ven", "POST", "/resources", resource)).status == 404


async def test_reports_outlive_their_event(api: Api) -> None:
    """A report stays, and may be corrected, when its event was withdrawn."""
    made = await stock(api)
    await api.call("bl", "DELETE", f"/events/{made['event'][2]['id']}")
    _, sent, report = made["report"]
    assert (await api.call("ven", "GET", f"/reports?programID={made['program'][2]['id']}")).body == [report]
    assert (await api.call("ven", "PUT", f"/reports/{report['id']}", sent)).status == 200
    assert (await api.call("ven", "POST", "/reports", sent)).status == 409


async def test_parts_go_with_their_whole(api: Api) -> None:
    """Deleting a program deletes its events, deleting a ven its resources."""
    made = await stock(api)
    await api.call("bl", "DELETE", f"/programs/{made['program'][2]['id']}")
    await api.call("ven", "DELETE", f"/vens/{made['ven'][2]['id']}")
    assert (await api.call("bl", "GET", "/events")).body == []
    assert (await api.call("bl", "GET", "/resources")).body == []
