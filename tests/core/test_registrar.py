"""What a VTN holds against the registry: shown, brought in line, cleaned up when asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.codes import raises_code
from venclient.client import Progress, VenClient
from venclient.clock import SystemClock
from venclient.errors import ConfigError
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registrar import Served, compare, register, remove, served_resources, side_of
from venclient.registry.database import ResourceDatabase
from venclient.settings import Settings, load_settings
from venclient.simulation.vtn import Fault, LocalVtn
from venclient.vtn_link import account_of

pytestmark = pytest.mark.peer


def resource(number: int, **changes: Any) -> Resource:
    """Return a resource with a place and a power."""
    connection = Connection(ConnectionType.MQTT, ActorType.READER, host="h", topic=f"t/{number}")
    place = {"latitude": 56.125, "longitude": 8.9375}
    known: dict[str, Any] = {"capacities": {"P_max_kw": 5.5 + number}, "location": place}
    members = known | changes
    return Resource(
        f"r{number}", f"Hotel {number}", "DSR", None, f"m{number}", connection, ven="Herning", **members
    )


class Site:
    """A folder with settings and a registry, and the VTN that it registers at."""

    def __init__(self, folder: Path, vtn: LocalVtn) -> None:
        self.folder = folder
        self.vtn = vtn
        (folder / "ven.toml").write_text(
            f'[ven]\nname = "hotel-7"\n[vtn]\nurl = "{vtn.url}"\nallow_http = true\nclient_id = "ven-1"\n'
            'client_secret = "env:SECRET"\n[registry]\ndatabase = "resources.db"\n'
        )
        self.settings: Settings = load_settings(folder / "ven.toml")

    def keep(self, *resources: Resource) -> None:
        """Make the registry hold these resources."""
        with ResourceDatabase(self.folder / "resources.db") as registry:
            registry.clear_all_resources()
            registry.bulk_upsert(resources)

    @property
    def served(self) -> Served:
        """Return what the VTN is to hear of."""
        return served_resources(self.settings)

    def client(self) -> VenClient:
        """Return a client that does not try again."""
        return VenClient(replace(account_of(self.settings), retries=0), SystemClock())

    def sent(self, method: str) -> list[str]:
        """Return the paths of requests on resources with a method."""
        return [
            one.path
            for one in self.vtn.exchanges
            if one.method == method and one.path.startswith("/resources")
        ]


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """Return a site with an empty registry at a VTN that knows nothing of it."""
    monkeypatch.setenv("SECRET", "made-up")
    async with LocalVtn(clients=[{"id": "ven-1", "secret": "made-up"}]) as vtn:
        yield Site(tmp_path, vtn)


async def test_row_22_changed_resource_is_put_and_removed_one_deleted(site: Site) -> None:
    """Change the registry: PUT of that one; take one away: it is extra, and DELETE only when asked."""
    site.keep(resource(1), resource(2))
    async with site.client() as client:
        await register(client, site.settings, site.served)
        site.keep(resource(1, capacities={"P_max_kw": 9.25}))
        seen = await compare(client, site.settings, site.served)
        site.vtn.exchanges.clear()

        found, done = await register(client, site.settings, site.served)

        assert [str(drift) for one in seen.what.update for drift in one.drifts] == [
            "attributes.MAX_POWER_CONSUMPTION: the VTN has 6.5, the registry has 9.25"
        ]
        assert (done.created, done.updated, len(site.sent("PUT")), site.sent("DELETE")) == (0, 1, 1, [])
        assert [one.resource_name for one in found.what.extra] == ["Hotel 2"]

        gone = await remove(client, found.ven.id if found.ven else None, found.what.extra)

    assert (gone.deleted, len(site.sent("DELETE"))) == (1, 1)
    assert [one["resourceName"] for one in site.vtn.resources] == ["Hotel 1"]


@pytest.mark.parametrize(("order", "place"), [("lon_lat", [8.9375, 56.125]), ("lat_lon", [56.125, 8.9375])])
async def test_row_23_attributes_are_typed_at_the_vtn(site: Site, order: str, place: list[float]) -> None:
    """Floats arrive as they are, LOCATION in the order that is set."""
    site.keep(resource(1, capacities={"P_max_kw": 7.0, "P_min_kw": -2.5}))
    own = load_settings(site.folder / "ven.toml", flags={"vtn.location_order": order})
    async with site.client() as client:
        await register(client, own, site.served)
        again = await compare(client, own, site.served)

    (held,) = site.vtn.resources
    attributes = {one["type"]: one["values"] for one in held["attributes"]}
    assert attributes == {
        "LOCATION": place,
        "MAX_POWER_CONSUMPTION": [7.0],
        "MAX_POWER_EXPORT": [2.5],
        "DESCRIPTION": ["DSR; meter point m1"],
    }
    assert again.what.is_empty


async def test_resources_that_the_vtn_knows_are_adopted(site: Site) -> None:
    """Whoever registered them: nothing is sent for those that fit."""
    site.keep(resource(1), resource(2))
    async with site.client() as client:
        await register(client, site.settings, site.served)
        site.vtn.exchanges.clear()
        found, done = await register(client, site.settings, site.served)

    assert (len(found.what.adopt), done.created, done.updated) == (2, 0, 0)
    assert site.sent("POST") == site.sent("PUT") == []


async def test_comparing_changes_nothing_at_the_vtn(site: Site) -> None:
    """Where the VTN knows nothing of us all is to be created, and stays so."""
    site.keep(resource(1), resource(2))
    async with site.client() as client:
        found = await compare(client, site.settings, site.served)

    assert found.ven is None
    assert [one.name for one in found.what.create] == ["Hotel 1", "Hotel 2"]
    assert site.vtn.vens == site.vtn.resources == []
    assert {one.method for one in site.vtn.exchanges if not one.path.startswith("/auth")} == {"GET"}


async def test_three_hundred_are_registered_resumed_after_the_vtn_went(site: Site) -> None:
    """Progress counts them; a VTN that stops on the way is reported, and the next call does the rest."""
    site.keep(*(resource(n) for n in range(300)))
    steps: list[Progress] = []
    async with site.client() as client:
        site.vtn.faults.append(Fault(method="POST", path="^/resources", status=503, skip=120, times=50))
        _, first = await register(client, site.settings, site.served, progress=steps.append)
        assert first.stopped is not None
        assert 120 <= first.created < 130
        site.vtn.faults.clear()
        _, second = await register(client, site.settings, site.served, progress=steps.append)

    assert (second.stopped, first.created + second.created) == (None, 300)
    assert len({one["resourceName"] for one in site.vtn.resources}) == len(site.vtn.resources) == 300
    assert steps[-1] == Progress(second.created, second.created, 0)


async def test_removing_goes_on_past_refusals_and_ends_when_the_vtn_goes(site: Site) -> None:
    """One that is refused is named; one that is gone already counts; a VTN that went ends it."""
    site.keep(resource(1), resource(2), resource(3))
    async with site.client() as client:
        found, _ = await register(client, site.settings, site.served)
        held = (await compare(client, site.settings, site.served)).what.adopt
        site.vtn.faults.append(Fault(method="DELETE", path="^/resources", status=409))
        removed = await remove(client, None, held, at_once=1)
        site.vtn.faults.append(Fault(method="DELETE", path="^/resources", status=503))
        stopped = await remove(client, None, held, at_once=1)

    assert found.ven is not None
    assert (removed.deleted, list(removed.refused)) == (2, ["Hotel 1"])
    assert stopped.stopped is not None


async def test_disabled_resources_are_not_served(site: Site) -> None:
    """What is switched off in the registry is not the VTN's business."""
    site.keep(resource(1), resource(2, enabled=False))

    assert set(site.served.resources) == {"r1"}


async def test_an_unknown_vtn_or_registry_is_named(site: Site) -> None:
    """The error lists the valid names, and says how to make a database."""
    with raises_code(ConfigError, "VEN-GWY-077"):
        side_of(site.settings, "grid")
    with raises_code(ConfigError, "VEN-GWY-032"):
        _ = site.served
