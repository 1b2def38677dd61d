"""The stored form of last imported values: what is written is read again, and the form before it too."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_db import ResourceDatabase
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.batches import Batch
from venclient.registry.csv_import import import_csv
from venclient.registry.imported import Imported, cells_given, merged
from venclient.registry.recorded import NO_VALUES, Recorded, Values, block_of
from venclient.registry.rows import as_row

VALUES = st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=2) | st.just({"template": "x"})
CELLS = st.dictionaries(st.sampled_from("abcd"), VALUES, min_size=1)
KNOWN = st.dictionaries(st.text(max_size=3), CELLS, max_size=6)


@given(KNOWN, KNOWN)
def test_all_cells_are_read_again(first: dict[str, Any], later: dict[str, Any]) -> None:
    """Cells recorded at one import and over them at a later one come back, those of the later one."""
    recorded = Recorded()
    for resource_id, cells in first.items():
        recorded.put(resource_id, cells)
    recorded = Recorded(recorded.encode(set()))
    for resource_id, cells in later.items():
        recorded.put(resource_id, cells)
    read = Recorded(recorded.encode(set()))
    assert {one: read.get(one) for one in first | later} == first | later


def test_a_resource_of_a_large_block_is_recorded_anew() -> None:
    """The other resources of the block keep their cells, and the new ones replace the old."""
    ids = [f"r{number}" for number in range(300)]
    recorded = Recorded()
    recorded.add(block_of(ids, [("host", ["h"] * 300), ("port", list(range(300)))]))
    recorded = Recorded(recorded.encode(set()))
    recorded.put("r7", {"host": "other"})
    recorded.add(block_of(ids[100:250], [("host", ["late"] * 150)]))
    read = Recorded(recorded.encode(set()))
    assert read.get("r6") == {"host": "h", "port": 6}
    assert read.get("r7") == {"host": "other"}
    assert read.get("r100") == read.get("r249") == {"host": "late"}
    assert read.get("r250") == {"host": "h", "port": 250}
    assert read.get("r300") is None


def test_many_small_changes_leave_no_trail_of_blocks() -> None:
    """Each of a hundred imports records one resource: the text does not get a block for each."""
    values = NO_VALUES
    for number in range(100):
        recorded = Recorded(values)
        recorded.put(f"r{number}", {"host": f"h{number}"})
        values = recorded.encode(set())
    assert len(json.loads(values.text or "")) == 1


def test_cells_are_unknown_where_one_is() -> None:
    """Values come of ids of which all asked cells are known; with `no_others` no cell more."""
    recorded = Recorded()
    recorded.put("one", {"host": "h", "port": 1})
    assert recorded.columns(["one", "two"], ["host"], no_others=False) == ([True, False], [["h", None]])
    assert recorded.columns(["one"], ["host"], no_others=True).is_known == [False]
    assert recorded.columns(["one"], ["port", "host"], no_others=True) == ([True], [(1,), ("h",)])
    assert recorded.columns(["one"], ["host", "file"], no_others=False).is_known == [False]


@given(st.permutations([f"r{number}" for number in range(230)]), st.integers(1, 230), st.booleans())
def test_columns_hold_what_is_known_of_each(order: list[str], asked: int, later: bool) -> None:
    """The values of ids in any order, from blocks and single records, are those of each id alone."""
    recorded = Recorded()
    for first in (0, 110):
        ids = [f"r{number}" for number in range(first, first + 110)]
        recorded.add(block_of(ids, [("host", ["h"] * 110), ("port", list(range(first, first + 110)))]))
    for number in range(220, 225):
        recorded.put(f"r{number}", {"host": "single", "port": number})
    if later:
        recorded.put("r3", {"host": "later"})
        recorded.add(block_of([f"r{number}" for number in range(50, 160)], [("port", list(range(110)))]))
    for ids in (order[:asked], sorted(order[:asked])):
        found = recorded.columns(ids, ["port", "host"], no_others=True)
        for at, one in enumerate(ids):
            cells = recorded.get(one)
            assert found.is_known[at] is (cells is not None and cells.keys() == {"port", "host"})
            if found.is_known[at]:
                assert {"port": found.columns[0][at], "host": found.columns[1][at]} == cells


@given(KNOWN, st.booleans())
def test_ids_that_stand_beside_the_text_are_not_in_it(known: dict[str, Any], others: bool) -> None:
    """What is recorded comes back whether the source has just these ids, or others too."""
    ids = [f"site-{number}" for number in range(150)]
    recorded = Recorded()
    recorded.add(block_of(ids, [("port", list(range(150)))]))
    for resource_id, cells in known.items():
        recorded.put(resource_id, cells)
    wanted = {*ids, *known} | ({"another"} if others else set())
    values = recorded.encode(wanted)
    assert set(values.ids) == wanted
    assert len(values.ids) == len(wanted)
    assert ("site-" in (values.text or "")) is others
    read = Recorded(values)
    assert {one: read.get(one) for one in wanted} == {one: recorded.get(one) for one in wanted}


def test_cells_whose_ids_are_gone_are_unknown() -> None:
    """Another number of ids beside the text than it counts on leaves it open whose the cells are."""
    recorded = Recorded()
    recorded.add(block_of([f"r{number}" for number in range(150)], [("port", list(range(150)))]))
    values = recorded.encode({f"r{number}" for number in range(150)})
    assert Recorded(values._replace(ids=values.ids[1:])).get("r5") is None
    assert Recorded(values._replace(ids=[*values.ids, "r150"])).get("r5") is None


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "5",
        '[{"ids": ["a"], "same": {}, "each": {"host": []}}]',
        '[{"ids": ["a"], "same": {}}]',
        '[{"ids": ["a"], "same": {}, "each": {}, "count": 1}]',
        '[{"ids": [], "same": {}, "each": {"host": [1]}, "count": 2}]',
        '[{"ids": [], "same": {}, "each": {}, "count": -1}]',
        '[[["host"], {"a": []}]]',
        '[[["host", "port"], {"a": [1, 2], "b": [1]}]]',
    ],
)
def test_text_that_makes_no_sense_is_unknown(text: str) -> None:
    """What another program wrote is not taken for imported values."""
    assert Recorded(Values(["a"], text)).get("a") is None


def test_blocks_by_row_are_read(tmp_path: Path) -> None:
    """A registry whose imported values were recorded by row follows the three-value rule with them."""
    path = tmp_path / "shops.csv"
    row = "Inn,Vej 1 2800 Lyngby,55.7,12.5,{},10.0.0.1,r1\n"
    header = "title,address,latitude,longitude,p_max_kw,host,resource_id\n"
    path.write_text(header + row.format(11), encoding="utf-8")
    database = str(tmp_path / "r.db")
    with ResourceDatabase(database) as db:
        import_csv(db, path)
        source = str(path.resolve())
        target = db.importing()
        known = Recorded(target.values(source)).get("r1")
        assert known is not None
        by_row = [[list(known), {"r1": list(known.values())}]]
        target.remember(source, Values(["r1"], json.dumps(by_row)))
        db.update_resource("r1", {"capacities.P_max_kw": 20.0})
        assert import_csv(db, path).unchanged == 1
        path.write_text(header + row.format(30), encoding="utf-8")
        report = import_csv(db, path)
    assert [one.cells for one in report.conflicts] == [{"capacities.P_max_kw": (20.0, 30.0)}]


def test_values_that_all_share_are_written_once() -> None:
    """A cell that is the same in a thousand resources is one value in the text."""
    block = block_of([f"r{number}" for number in range(1_000)], [("host", ["broker.example"] * 1_000)])
    recorded = Recorded()
    recorded.add(block)
    assert (recorded.encode(set()).text or "").count("broker.example") == 1


PLAIN = Resource(
    "r1",
    "Inn",
    "DSR",
    "Hotels",
    "707057500000000011",
    Connection(ConnectionType.FILEREADER, ActorType.READER, file="meters/r1.csv"),
    {"P_max_kw": 50.0, "P_min_kw": 0.0, "E_max_kwh": 200.0, "E_min_kwh": 0.0},
    {"latitude": 55.7, "longitude": 12.5},
    address="Vej 1, 2800 Lyngby",
    enabled=True,
    ven="Lyngby",
)
MODBUS = Connection(ConnectionType.MODBUSTCP, ActorType.READER, "h", 502)
OTHERS: tuple[dict[str, Any], ...] = (
    {},
    {"resourceName": "Kro"},
    {"enabled": False},
    {"enabled": None},
    {"capacities": {**PLAIN.capacities, "P_max_kw": 1.5}},
    {"capacities": {**PLAIN.capacities, "P_spare_kw": 1.5}},
    {"location": {}},
    {"location": {"latitude": 55.0, "altitude": 3.0}},
    {"reporting": {"interval_s": 60}},
    {"connection": MODBUS},
    {"connection": replace(MODBUS, password="hush")},
    {"connection": replace(MODBUS, actortype=ActorType.WRITER, options={"template": "x"})},
    {"control_connection": replace(MODBUS, actortype=ActorType.WRITER)},
)
RESOURCES = [replace(PLAIN, **other) for other in OTHERS]
GIVEN = (
    None,
    frozenset({"resourceName", "location", "ven", "address"}),
    frozenset({"resourceName", "capacities.P_max_kw", "enabled"}),
    frozenset({"resourceName", "connection", "connection.type", "connection.host", "connection.options"}),
    frozenset({"resourceName", "connection", "connection.type", "connection.options.template"}),
)


@pytest.mark.parametrize("given_cells", GIVEN)
def test_a_settled_row_is_one_that_the_rule_leaves_alone(given_cells: frozenset[str] | None) -> None:
    """For every triple of values, the quick answer is yes only where the rule changes nothing."""
    settled = 0
    for said, stored, read in product(RESOURCES, repeat=3):
        imported = Imported(digest=lambda text: text)
        imported.put_new([said], given_cells)
        before = imported.own(PLAIN.resourceID)
        if imported.settled([as_row(stored, stored.ven)], [read], given_cells) != [True]:
            continue
        settled += 1
        result = merged(stored, read, given_cells, imported)
        assert (result.resource, result.conflicts, result.kept, result.cells) == (stored, {}, {}, before)
    assert settled or (given_cells is not None and "connection.options.template" in given_cells)


@pytest.mark.parametrize("given_cells", GIVEN[:-1])
@pytest.mark.parametrize("count", [1, 300])
def test_rows_of_an_unchanged_file_are_settled(given_cells: frozenset[str] | None, count: int) -> None:
    """What was recorded of plain resources is found to be what the file says again, many or few."""
    resources = [replace(PLAIN, resourceID=f"r{number}") for number in range(count)]
    imported = Imported()
    imported.put_new(resources, given_cells)
    again = Imported(imported.encode(set()))
    stored = [as_row(one, one.ven) for one in resources]
    assert all(again.settled(stored, resources, given_cells))
    other = [replace(one, resourceName="Kro") for one in resources]
    stored_other = [as_row(one, one.ven) for one in other]
    assert not any(again.settled(stored_other, resources, given_cells))
    assert not any(again.settled(stored_other, other, given_cells))


@pytest.mark.parametrize("given_cells", GIVEN)
def test_many_new_resources_are_recorded_as_each_alone(given_cells: frozenset[str] | None) -> None:
    """A block of resources of all kinds holds the cells that each of them would be recorded with."""
    resources = [
        replace(one, resourceID=f"r{at}-{n}") for at, one in enumerate(RESOURCES) for n in range(200)
    ]
    together = Imported(digest=lambda text: text)
    together.put_new(resources, given_cells)
    plain = [one for one in resources if one.resourceID.startswith(("r0-", "r1-", "r2-", "r9-", "r10-"))]
    batch = Batch.of(plain)
    assert batch is not None
    by_column = Imported(digest=lambda text: text)
    by_column.put_batch(batch, given_cells)
    assert all(by_column.own(one.resourceID) == together.own(one.resourceID) for one in plain)
    for resource in resources[::200]:
        alone = Imported(digest=lambda text: text)
        alone.put_new([resource], given_cells)
        assert Imported(together.encode(set())).own(resource.resourceID) == alone.own(resource.resourceID)
        if given_cells is None:
            expected = alone.recorded(cells_given(resource, None), resource.resourceID)
            assert alone.own(resource.resourceID) == expected
