"""Queries against a brute-force evaluation of the same conditions in plain Python."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, update

from tests.registry.objects import make_connection, make_resource
from venclient.errors import BadQuery
from venclient.messages import Text, code_of
from venclient.model.resource import ConnectionType, Resource
from venclient.registry.database import ResourceDatabase
from venclient.registry.geometry import EARTH_RADIUS_KM, box_around, distance_km
from venclient.registry.query import SORT_KEYS, Query, SortKey
from venclient.registry.query_text import KEYS, as_text, from_pairs, parse
from venclient.registry.schema import reporting_status, resources

NAMES = (
    "Hotel Ørnen",
    "hotel ornen",
    "ÅRHUS Svømmehal",
    "Aarhus Bad",
    "Café Élan",
    "100% grøn_skole",
    "-",
    "Å",
)
ADDRESSES = (None, "", "Bredgade 1, 7400 Herning", "Ørstedsvej 2, 8000 Århus C", "Koebenhavn K", "it's [x]")
CAPACITY_VALUES = (None, -20.5, 0, 49.999, 50, 50.1, 1e9, "fifty", True)
LATITUDES = (None, -90.0, -0.5, 0, 56.14, 56.15, 56.2, 89.9, 90, "56.14")
LONGITUDES = (None, -180.0, -179.95, 0, 8.97, 8.99, 9.3, 179.95, 180)


def maybe(name: str, value: Any) -> dict[str, Any]:
    """Return a dict with the value, or without it."""
    return {} if value is None else {name: value}


def numbers(*names: str, values: tuple[Any, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Return dicts that have some of the names."""
    parts = [st.sampled_from(values).map(partial(maybe, name)) for name in names]
    return st.tuples(*parts).map(lambda found: {key: value for part in found for key, value in part.items()})


resource_lists = st.lists(
    st.builds(
        make_resource,
        resourceID=st.text("aBæ1-", min_size=1, max_size=3),
        resourceName=st.sampled_from(NAMES),
        resourceType=st.sampled_from(("DSR", "BATTERY", "PV", "EV")),
        resourceSubType=st.sampled_from((None, "Hotels", "Skoler")),
        connection=st.builds(make_connection, type=st.sampled_from(ConnectionType), file=st.just("x.csv")),
        capacities=numbers("P_max_kw", "P_min_kw", "E_max_kwh", "E_min_kwh", values=CAPACITY_VALUES),
        location=st.tuples(
            numbers("latitude", values=LATITUDES), numbers("longitude", values=LONGITUDES)
        ).map(lambda pair: pair[0] | pair[1]),
        address=st.sampled_from(ADDRESSES),
        enabled=st.booleans(),
        ven=st.sampled_from((None, "Herning", "Ikast", "ikast", "Århus")),
    ),
    max_size=12,
    unique_by=lambda one: one.resourceID,
)

limits = st.one_of(st.none(), st.sampled_from((-20.5, 0.0, 49.999, 50.0, 50.1, 1e9)))


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Return queries of one to three conditions, in some order."""
    query = Query()
    for kind in draw(st.lists(st.integers(0, 11), min_size=1, max_size=3)):
        least, most = draw(limits), draw(limits)
        if least is not None and most is not None and least > most:
            least, most = most, least
        match kind:
            case 0:
                query = query.of_type(
                    *draw(st.lists(st.sampled_from(("ev", "Demand Response", "PV")), min_size=1))
                )
            case 1:
                query = query.of_sub_type(draw(st.sampled_from(("Hotels", "hotels", "None"))))
            case 2:
                query = query.in_ven(*draw(st.sampled_from((("Herning",), ("Ikast", "Århus"), ("x",)))))
            case 3:
                query = query.enabled(draw(st.booleans()))
            case 4:
                query = query.connected_by(draw(st.sampled_from(("mqtt", "MODBUSTCP", "FileReader"))))
            case 5:
                query = query.p_max_kw(min=least, max=most)
            case 6:
                query = query.e_min_kwh(min=least, max=most)
            case 7 | 8:
                point = draw(st.sampled_from(((56.14, 8.97), (0.0, 180.0), (90.0, 0.0), (-0.5, -179.95))))
                query = query.near(*point, km=draw(st.sampled_from((0.0, 1.2, 10.0, 100.0, 9000.0, 20000.0))))
            case 9:
                west, east = draw(
                    st.sampled_from(((8.97, 9.0), (179.9, -179.9), (-180.0, 180.0), (0.0, 0.0)))
                )
                query = query.in_box(west=west, south=-0.5, east=east, north=56.15)
            case 10:
                query = query.with_text(
                    draw(st.sampled_from(("ØRN", "orn", "aarhus", "å", "%", "_", "hotel herning", "'")))
                )
            case _:
                query = query.never_reported()
    return query


@st.composite
def ordered_queries(draw: st.DrawFn) -> Query:
    """Return queries with an order, by distance too."""
    query = draw(queries()).near(56.14, 8.97)
    return query.sort(draw(st.sampled_from(SORT_KEYS)), descending=draw(st.booleans()))


def is_number(value: object) -> bool:
    """Tell numbers from everything else."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def kilometres(one: Resource, latitude: float, longitude: float) -> float | None:
    """Return the distance of a resource from a point, by vectors and not by the haversine formula."""
    if not (is_number(one.location.get("latitude")) and is_number(one.location.get("longitude"))):
        return None

    def vector(latitude: float, longitude: float) -> tuple[float, float, float]:
        phi, turn = math.radians(latitude), math.radians(longitude)
        return math.cos(phi) * math.cos(turn), math.cos(phi) * math.sin(turn), math.sin(phi)

    here, there = vector(latitude, longitude), vector(one.location["latitude"], one.location["longitude"])
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.dist(here, there) / 2))


def spellings(text: str) -> set[str]:
    """Return how a search may spell a text, by replacing letters one kind after the other."""
    small = text.casefold()
    bare = out = small
    for letter, left, long in (("æ", "ae", "ae"), ("ø", "o", "oe"), ("å", "a", "aa"), ("é", "e", "e")):
        bare, out = bare.replace(letter, left), out.replace(letter, long)
    return {"b" + bare, "o" + out}


def has_word(one: Resource, word: str) -> bool:
    """Tell whether a word is in a name or address."""
    for text in (one.resourceName, one.address):
        for mine in spellings(text or "") if text is not None else ():
            for its in spellings(word):
                if mine[0] == its[0] and its[1:] in mine[1:]:
                    return True
    return False


def expected(query: Query, one: Resource) -> bool:
    """Evaluate the conditions of a query on one resource."""
    latitude: Any = one.location.get("latitude")
    longitude: Any = one.location.get("longitude")
    located = is_number(latitude) and is_number(longitude)
    checks = [
        not query.types or one.resourceType in query.types,
        not query.sub_types or one.resourceSubType in query.sub_types,
        not query.vens or one.ven in query.vens,
        query.switched_on is None or one.enabled == query.switched_on,
        not query.connection_types or one.connection.type in query.connection_types,
        all(has_word(one, word) for word in query.words),
    ]
    for name, limit in query.ranges:
        value: Any = one.capacities.get({"p_max_kw": "P_max_kw", "e_min_kwh": "E_min_kwh"}[name])
        checks.append(is_number(value) or (limit.least is None and limit.most is None))
        if is_number(value):
            checks.append(limit.least is None or value >= limit.least)
            checks.append(limit.most is None or value <= limit.most)
    if query.box is not None:
        inside = located and query.box.south <= latitude <= query.box.north
        if inside and query.box.west <= query.box.east:
            inside = query.box.west <= longitude <= query.box.east
        elif inside:
            inside = longitude >= query.box.west or longitude <= query.box.east
        checks.append(inside)
    if query.around is not None and query.around.km is not None:
        km = kilometres(one, query.around.latitude, query.around.longitude)
        checks.append(km is not None and km <= query.around.km)
    return all(checks)


def sort_value(key: SortKey, one: Resource) -> Any:
    """Return what a resource is put in order by."""
    if key == "distance":
        return kilometres(one, 56.14, 8.97)
    text = {
        "name": one.resourceName,
        "id": one.resourceID,
        "type": one.resourceType,
        "sub_type": one.resourceSubType,
        "ven": one.ven,
    }
    if key in text:
        value = text[key]
        return value if key in ("id", "type") or value is None else value.casefold()
    value = one.capacities.get(key[0].upper() + key[1:])
    return value if is_number(value) else None


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def db(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ResourceDatabase]:
    """Yield an empty database of each kind, which examples fill for themselves."""
    folder = tmp_path_factory.mktemp("queries")
    url: str = str(folder / "q.db")
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server")
    with ResourceDatabase(url, key_file=folder / "key") as found:
        yield found


class _Undone(Exception):
    """Ends a transaction without keeping it."""


@contextmanager
def filled(db: ResourceDatabase, found: list[Resource]) -> Iterator[None]:
    """Let the database hold these resources for a while, as an older program may have left them.

    Nothing is kept, so nothing has to be written to the disk.
    """
    with suppress(_Undone), db._link.transaction() as driver:
        db.bulk_insert_resources(replace(one, capacities={}, location={}) for one in found)
        for one in found:
            values = {"capacities": json.dumps(one.capacities), "location": json.dumps(one.location)}
            wanted = resources.c.resource_id == one.resourceID
            driver.execute(*db._sql.bound(update(resources).where(wanted).values(values)))
        yield
        raise _Undone


checked = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@checked
@given(found=resource_lists, query=queries())
def test_conditions_are_what_they_say(db: ResourceDatabase, found: list[Resource], query: Query) -> None:
    """Any conditions together find what plain Python finds, in the order of storing, however it is asked."""
    wanted = [one for one in found if expected(query, one)]

    with filled(db, found):
        result = db.query(query)
        assert result.all() == wanted
        assert list(result) == wanted
        assert result.ids() == [one.resourceID for one in wanted]
        assert result.count() == len(wanted)


@checked
@given(found=resource_lists, query=ordered_queries())
def test_order_is_stable_with_unknown_values_last(
    db: ResourceDatabase, found: list[Resource], query: Query
) -> None:
    """Each order goes by its value, unknown ones last, equal ones by id."""
    wanted = sorted((one for one in found if expected(query, one)), key=lambda one: one.resourceID)
    if query.order not in ("created", "updated", None):
        key = query.order
        known = [one for one in wanted if sort_value(key, one) is not None]
        unknown = [one for one in wanted if sort_value(key, one) is None]
        wanted = sorted(known, key=lambda one: sort_value(key, one), reverse=query.is_descending)
        wanted += unknown  # `reverse` keeps the order of equal ones, which is by id

    with filled(db, found):
        assert db.query(query).ids() == [one.resourceID for one in wanted]


@checked
@given(found=resource_lists, query=ordered_queries(), size=st.integers(1, 5))
def test_pages_have_everything_once(
    db: ResourceDatabase, found: list[Resource], query: Query, size: int
) -> None:
    """The pages one after the other are the whole; the count does not depend on the page."""
    with filled(db, found):
        whole = db.query(query).ids()

        pages = [db.query(query.page(number, size)) for number in range(1, len(whole) // size + 2)]

        assert [one for page in pages for one in page.ids()] == whole
        assert [one.resourceID for page in pages for one in page.iterate()] == whole
        assert {page.count() for page in pages} == {len(whole)}


@settings(max_examples=200)
@given(query=ordered_queries() | queries(), size=st.none() | st.integers(0, 9), start=st.integers(0, 9))
def test_text_of_a_query_reads_back(query: Query, size: int | None, start: int) -> None:
    """What `as_text` writes, `parse` understands."""
    query = replace(query, size=size, start=start)

    assert parse(as_text(query)) == query


@settings(max_examples=200)
@given(
    latitude=st.floats(-90, 90), longitude=st.floats(-180, 180), km=st.floats(0, 20000),
    bearing=st.floats(0, 2 * math.pi), share=st.floats(0, 1),
)  # fmt: skip
def test_box_around_loses_no_point(
    latitude: float, longitude: float, km: float, bearing: float, share: float
) -> None:
    """A point within the distance is within the box."""
    angle, phi = km * share / EARTH_RADIUS_KM, math.radians(latitude)
    sine = math.sin(phi) * math.cos(angle) + math.cos(phi) * math.sin(angle) * math.cos(bearing)
    there = math.degrees(math.asin(max(-1.0, min(1.0, sine))))
    turn = math.atan2(
        math.sin(bearing) * math.sin(angle) * math.cos(phi),
        math.cos(angle) - math.sin(phi) * math.sin(math.radians(there)),
    )
    beside = (longitude + math.degrees(turn) + 540) % 360 - 180
    if distance_km(latitude, longitude, there, beside) > km:
        return  # rounding put it outside

    box = box_around(latitude, longitude, km)

    assert box.south <= there <= box.north
    assert any(west <= beside <= east for west, east in box.ranges())


def test_distance_of_two_towns() -> None:
    """Herning to Aarhus is 76 km as the crow flies."""
    assert distance_km(56.1361, 8.9766, 56.1572, 10.2107) == pytest.approx(76.2, abs=0.3)


def test_an_unknown_place_is_last_by_distance(db: ResourceDatabase) -> None:
    """Who has half a position has no distance, and does not count as far away."""
    found = [make_resource("half", location={"longitude": 9.0}), make_resource("there")]

    with filled(db, found):
        for descending in (False, True):
            query = Query().near(0, 0).sort("distance", descending=descending)
            assert db.query(query).ids() == ["there", "half"]
        assert db.query(Query().near(0, 0, km=20_038)).ids() == ["there"]


def test_never_reported(db: ResourceDatabase) -> None:
    """A resource whose reporting never got as far as a report was never reported."""
    with filled(db, [make_resource("r-1"), make_resource("r-2"), make_resource("r-3")]):
        now = "2026-06-01T12:00:00Z"
        for resource_id, last in (("r-1", now), ("r-2", None)):
            row = {"resource_id": resource_id, "state": "waiting", "last_report_at": last, "updated_at": now}
            db._link.driver().execute(*db._sql.bound(insert(reporting_status).values(row)))

        assert db.query(Query().never_reported()).ids() == ["r-2", "r-3"]


def test_iterating_holds_one_page(tmp_path: Path) -> None:
    """Ten times as many resources take no more memory to iterate, and may be changed meanwhile."""
    peaks = []
    for count in (1_000, 5_000):
        with ResourceDatabase(tmp_path / f"{count}.db") as db:
            db.bulk_insert_resources(make_resource(f"r-{number}") for number in range(count))
            for _ in db.query(Query().limit(1)).iterate():
                pass
            tracemalloc.start()
            seen = 0
            for one in db.query(Query().sort("id", descending=True)).iterate():
                if seen == 0:
                    db.set_enabled(one.resourceID, False)
                seen += 1
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert seen == count
    assert peaks[1] < peaks[0] * 2


def test_iterating_skips_what_is_deleted_meanwhile(tmp_path: Path) -> None:
    """What is deleted before its turn does not come, and stops nothing."""
    with ResourceDatabase(tmp_path / "q.db") as db:
        db.bulk_insert_resources(make_resource(f"r-{number:04}") for number in range(600))
        stream = db.query(Query().sort("id")).iterate()
        first = next(stream)
        db.delete_resource("r-0599")

        assert [first.resourceID, *(one.resourceID for one in stream)] == [f"r-{n:04}" for n in range(599)]


def test_bad_rows_are_set_aside(tmp_path: Path) -> None:
    """JSON that is none, or has the first generation's NaN, neither stops a query nor hides others."""
    with ResourceDatabase(tmp_path / "q.db") as db:
        db.bulk_insert_resources(make_resource(f"r-{number}") for number in range(3))
        with db.get_connection() as connection:
            connection.execute("UPDATE resources SET capacities = 'oops' WHERE resource_id = 'r-0'")
            nan = '{"P_max_kw": 50, "P_min_kw": NaN}'
            connection.execute("UPDATE resources SET capacities = ? WHERE resource_id = 'r-1'", (nan,))

        found = db.query(Query().p_max_kw(min=50).sort("p_max_kw"))

        assert [one.resourceID for one in found.all()] == ["r-1", "r-2"]
        assert [one.resourceID for one in db.query(Query().in_ven("Herning"))] == ["r-1", "r-2"]
        assert [reject.place for reject in db.rejects] == ["resources row 1 (r-0)"]


def test_every_key_has_its_condition() -> None:
    """Each key that is documented is understood."""
    given = {
        "type": "EV,pv", "sub_type": "Hotels", "ven": ["Herning", "Ikast"], "enabled": "no",
        "connection": "mqtt", "near": "56.14, 8.97, 500m", "bbox": "8.9,56.1,9.1,56.2", "text": "hotel",
        "never-reported": "true", "min_p_max": "50", "max_p_max": "60", "min_p_min": "-5", "max_p_min": "0",
        "min_e_max": "1", "max_e_max": "2", "min_e_min": "0", "max_e_min": "1", "sort": "-distance",
        "limit": "10", "page": "3", "offset": "0",
    }  # fmt: skip
    assert {key.replace("-", "_") for key in given} == set(KEYS)
    del given["offset"]

    query = Query.parse(given)

    assert query == (
        Query()
        .of_type("EV", "PV")
        .of_sub_type("Hotels")
        .in_ven("Herning", "Ikast")
        .enabled(False)
        .connected_by("MQTT")
        .near(56.14, 8.97, km=0.5)
        .in_box(west=8.9, south=56.1, east=9.1, north=56.2)
        .with_text("hotel")
        .never_reported()
        .p_max_kw(min=50, max=60)
        .p_min_kw(min=-5, max=0)
        .e_max_kwh(min=1, max=2)
        .e_min_kwh(min=0, max=1)
        .sort("distance", descending=True)
        .page(3, 10)
    )


def test_all_mistakes_are_told_at_once() -> None:
    """A query of text says everything that is wrong with it, each by the name that the reader used."""
    with pytest.raises(BadQuery) as caught:
        parse(
            {"type": "HEAT", "near": "8.97,156.14,10 miles", "bbox": "1,2,3", "min_p_max": "much",
             "sort": "distance", "limit": "-1", "colour": "red", "ven": ["", "x"], "enabled": "maybe"},
            lambda key: f"--{key}",
        )  # fmt: skip

    problems = caught.value.problems
    assert len(problems) == 8
    assert "--type: unknown resource type 'HEAT': use DSR, BATTERY, PV or EV" in problems
    assert {code_of(problem) for problem in problems} == {
        *("VEN-REG-012", "VEN-REG-179", "VEN-REG-180", "VEN-REG-177", "VEN-REG-176", "VEN-REG-170"),
        *("VEN-REG-174", "VEN-REG-175"),
    }
    assert caught.value.code == "VEN-REG-160"
    unknown = next(one for one in problems if code_of(one) == "VEN-REG-170")
    assert isinstance(unknown, Text)
    assert unknown.params["name"] == "--colour"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"near": "8.97,156.14,10km"}, "VEN-REG-167"),
        ({"near": "156.14,8.97,10km"}, "VEN-REG-166"),
        ({"near": "56.14"}, "VEN-REG-178"),
        ({"near": "56.14,8.97,-3km"}, "VEN-REG-179"),
        ({"near": "56.14,nan,3km"}, "VEN-REG-167"),
        ({"bbox": "9,57,8,56"}, "VEN-REG-162"),
        ({"min_p_max": "60", "max_p_max": "50"}, "VEN-REG-165"),
        ({"min_p_max": "nan"}, "VEN-REG-164"),
        ({"sort": "colour"}, "VEN-REG-163"),
        ({"sort": "distance"}, "VEN-REG-171"),
        ({"page": "0"}, "VEN-REG-168"),
        ({"page": "1", "offset": "3"}, "VEN-REG-172"),
        ({"limit": "ten"}, "VEN-REG-176"),
        ({"sort": ["name", "id"]}, "VEN-REG-173"),
        ({"type": " "}, "VEN-REG-174"),
    ],
)
def test_a_mistake_has_its_code(wrong: dict[str, Any], code: str) -> None:
    """Each kind of mistake has the code of its message, and not that of the query."""
    if wrong == {"near": "8.97,156.14,10km"}:
        assert parse(wrong).around is not None  # far away, but on Earth
        return
    with pytest.raises(BadQuery) as caught:
        parse(wrong)
    assert caught.value.code == code
    assert str(caught.value).startswith(f"{next(iter(wrong))}: ") or len(wrong) > 1


def test_conditions_as_pairs() -> None:
    """`key=value` texts make a query; a key may be repeated."""
    assert from_pairs(["ven=Herning", "ven=Ikast", "type=EV"]) == Query().of_type("EV").in_ven(
        "Herning", "Ikast"
    )
    with pytest.raises(BadQuery, match="VEN-REG-169"):
        from_pairs(["type"])


def test_distance_order_needs_a_point(tmp_path: Path) -> None:
    """An order by distance without a point is refused when it is run."""
    with ResourceDatabase(tmp_path / "q.db") as db, pytest.raises(BadQuery, match="VEN-REG-171"):
        db.query(Query().sort("distance")).all()
