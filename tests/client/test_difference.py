"""What a VTN should hold against what it holds, and the doing: bounded, resumable, nothing deleted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.fake_vtn import FakeVtn
from venclient.client import Difference, Progress, Wanted, difference, ensure_resource, reconcile
from venclient.client.difference import drifts_of
from venclient.errors import AuthRefused, VenError, VtnProblem, VtnUnreachable
from venclient.openadr.objects import ValuesMap, VenResource

OURS = {"AREA", "DESCRIPTION"}


def area(value: Any) -> ValuesMap:
    return ValuesMap(type="AREA", values=[value])


def held(name: str, *attributes: ValuesMap, ven_id: str | None = "V") -> VenResource:
    return VenResource(
        id=f"id-{name}", resource_name=name, ven_id=ven_id, attributes=list(attributes) or None
    )


def test_row_22_what_is_missing_other_right_and_too_much_is_told_apart() -> None:
    """New ones are created, changed ones updated under their id, equal ones adopted; others untouched."""
    other = ValuesMap(type="X_OPERATOR", values=["kept"])
    there = [
        held("changed", area(1.0), other),
        held("same", area(2)),
        held("stray"),
        held("same", area(9.0)),
        held("new", ven_id="somebody"),
    ]
    wanted = [
        Wanted("new", (area(1.0),)),
        Wanted("changed", (area(5.0),)),
        Wanted("same", (area(2.0000001),)),
    ]
    what = difference(wanted, there, ours=OURS, ven_id="V")

    assert [one.name for one in what.create] == ["new"]
    assert [(one.held.id, one.attributes) for one in what.update] == [("id-changed", (area(5.0), other))]
    assert what.adopt == (there[1],)
    assert what.extra == (there[3], there[2])  # in the order of names
    assert not what.is_empty


def test_object_of_a_renamed_resource_is_renamed() -> None:
    """It is found by its id and keeps what others wrote on it; a name that is held already is not touched."""
    other = ValuesMap(type="X_OPERATOR", values=["kept"])
    there = [held("old", area(1.0), other), held("same", area(2.0)), held("stray")]
    wanted = [Wanted("new", (area(1.0),)), Wanted("same", (area(2.0),)), Wanted("first", ())]
    objects = {"new": "id-old", "same": "id-stray", "first": "id-gone"}
    what = difference(wanted, there, ours=OURS, ven_id="V", objects=objects)

    [update] = what.update
    assert (update.wanted.name, update.held.id, update.attributes) == ("new", "id-old", (area(1.0), other))
    assert [str(one) for one in update.drifts] == ["resourceName: the VTN has old, the registry has new"]
    assert [one.name for one in what.create] == ["first"]
    assert what.adopt == (there[1],)
    assert what.extra == (there[2],)


def test_row_22_drift_is_told_member_by_member() -> None:
    """Each attribute that is lacking, other or left over is named with both sides."""
    text = ValuesMap(type="DESCRIPTION", values=["hotel"])
    flag = ValuesMap(type="X", values=[True])
    drifts = drifts_of([area(5.0), flag], [text, area(4.0), ValuesMap(type="THEIRS", values=[1])], ours=OURS)

    assert [str(one) for one in drifts] == [
        "attributes.AREA: the VTN has 4.0, the registry has 5.0",
        "attributes.DESCRIPTION: the VTN has hotel, the registry has nothing",
        "attributes.X: the VTN has nothing, the registry has True",
    ]
    assert drifts_of([flag], [ValuesMap(type="X", values=[1])], ours=OURS) != ()
    assert drifts_of([area(1.0)], [area("1.0")], ours=OURS) != ()


names = st.sampled_from("abcdef")
maps = st.builds(
    ValuesMap, type=st.sampled_from(["AREA", "DESCRIPTION"]), values=st.lists(st.integers(0, 2), max_size=2)
)


@given(
    st.lists(st.builds(Wanted, name=names, attributes=st.lists(maps, max_size=2).map(tuple)), max_size=6),
    st.lists(
        st.builds(
            VenResource, id=names, resource_name=names, attributes=st.none() | st.lists(maps, max_size=2)
        ),
        max_size=6,
    ),
)
@settings(max_examples=80)
def test_row_21_what_was_done_leaves_no_difference(wanted: list[Wanted], there: list[VenResource]) -> None:
    """After creating and updating as listed, nothing is left to do; each name and object counts once."""
    what = difference(wanted, there, ours=OURS)
    after = [
        *what.adopt,
        *(
            VenResource(id="x", resource_name=one.name, attributes=list(one.attributes))
            for one in what.create
        ),
        *(
            VenResource(id="x", resource_name=one.wanted.name, attributes=list(one.attributes))
            for one in what.update
        ),
    ]

    assert difference(wanted, after, ours=OURS).is_empty
    assert len(what.adopt) + len(what.update) + len(what.extra) == len(there)
    assert len(what.adopt) + len(what.update) + len(what.create) == len({one.name for one in wanted})


class Registrar:
    """A VTN's resources by name; `limit` POSTs are served, then it is away. Counts requests at a time."""

    def __init__(self, limit: float = float("inf")) -> None:
        self.held: dict[str, VenResource] = {}
        self.limit = limit
        self.refuse: dict[str, VenError] = {}
        self.posts = self.now = self.most = 0

    async def create_resource(self, ven_id: str, name: str, attributes: Any = None) -> VenResource:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        self.posts += 1
        if name in self.refuse:
            raise self.refuse[name]
        if len(self.held) >= self.limit:
            raise VtnUnreachable("away", subject="POST")
        if name in self.held:
            raise VtnProblem("exists", status=409)
        self.held[name] = VenResource(
            id=name, resource_name=name, ven_id=ven_id, attributes=list(attributes or ())
        )
        return self.held[name]

    async def update_resource(self, id_: str, ven_id: str, name: str, attributes: Any = None) -> VenResource:
        self.held[name] = VenResource(id=id_, resource_name=name, attributes=list(attributes or ()))
        return self.held[name]

    async def find_resource(self, ven_id: str, name: str) -> VenResource | None:
        return self.held.get(name)


async def test_row_22_five_thousand_resources_are_registered_and_resumed() -> None:
    """Broken off three times, the rest is done each time; none twice, eight at a time, with progress."""
    wanted = [Wanted(f"r{n}", (area(float(n)),)) for n in range(5000)]
    vtn = Registrar()
    seen: list[Progress] = []
    for limit in (1200, 1201, 3000, float("inf")):
        vtn.limit = limit
        what = difference(wanted, vtn.held.values(), ours=OURS)
        done = await reconcile(vtn, "V", what, progress=seen.append)
        assert (done.stopped is None) == (limit == float("inf"))
        assert len(vtn.held) == min(limit, 5000)

    assert vtn.most == 8
    assert vtn.posts <= 5000 + 3 * 8
    assert set(done.held) == {one.name for one in wanted}
    assert seen[-1] == Progress(2000, 2000, 0)
    assert [one.done for one in seen[-2000:]] == list(range(1, 2001))
    assert difference(wanted, vtn.held.values(), ours=OURS).is_empty


async def test_a_refused_resource_stops_no_other_and_is_named() -> None:
    """A 400 for one leaves the others registered; a refusal of the token ends it."""
    vtn = Registrar()
    vtn.refuse["r1"] = VtnProblem("no", status=400)
    what = Difference(create=tuple(Wanted(f"r{n}") for n in range(20)))
    done = await reconcile(vtn, "V", what)
    assert set(done.refused) == {"r1"}
    assert (len(done.held), done.created, done.stopped) == (19, 19, None)

    vtn = Registrar()
    vtn.refuse = {one.name: AuthRefused("scope") for one in what.create}
    done = await reconcile(vtn, "V", what)
    assert isinstance(done.stopped, AuthRefused)
    assert vtn.posts <= 8
    assert done.held == {}


async def test_row_21_a_resource_that_exists_already_is_adopted_and_brought_up_to_date() -> None:
    """409 means to look: what fits is taken, what differs is updated with the attributes of others kept."""
    vtn = Registrar()
    theirs = ValuesMap(type="X_OPERATOR", values=["kept"])
    vtn.held["a"] = held("a", area(1.0), theirs)
    what = Difference(create=(Wanted("a", (area(2.0),)),))
    done = await reconcile(vtn, "V", what)

    assert done.held["a"].attributes == [area(2.0), theirs]
    assert await ensure_resource(vtn, "V", "a", [area(2.0)]) == vtn.held["a"]


async def test_a_name_that_the_vtn_refuses_and_does_not_list_is_said() -> None:
    """A conflict that cannot be seen names the name."""
    vtn = Registrar()
    vtn.refuse["a"] = VtnProblem("exists", status=409)
    with pytest.raises(VtnProblem, match="VEN-VTN-038"):
        await ensure_resource(vtn, "V", "a")


async def test_row_22_the_difference_is_done_over_http(vtn: FakeVtn) -> None:
    """Against a VTN: one created, one updated by PUT, one left alone, none deleted."""
    vtn.collections["resources"] = [
        {
            "id": "R1",
            "venID": "V",
            "resourceName": "changed",
            "attributes": [{"type": "AREA", "values": [1]}],
        },
        {"id": "R2", "venID": "V", "resourceName": "same", "attributes": [{"type": "AREA", "values": [2]}]},
        {"id": "R3", "venID": "V", "resourceName": "stray"},
    ]
    wanted = [Wanted(name, (area(2.0),)) for name in ("new", "changed", "same")]
    async with vtn.client() as client:
        listed = (await client.resources("V")).items
        done = await reconcile(client, "V", difference(wanted, listed, ours=OURS))
        again = difference(wanted, (await client.resources("V")).items, ours=OURS)

    assert (done.created, done.updated, done.refused) == (1, 1, {})
    assert again.is_empty
    assert [request.method for request in vtn.requests if request.method != "GET"] == ["POST"] * 2 + ["PUT"]
    assert [one["resourceName"] for one in vtn.collections["resources"]] == [
        "changed",
        "same",
        "stray",
        "new",
    ]
