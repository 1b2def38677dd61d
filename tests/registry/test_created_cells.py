"""Raw rows against resources of a file: the quick answer is that of the resources that the rows make."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_db import ResourceDatabase
from tests.counted import calls
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.model.slips import is_printable
from venclient.registry.csv_import import import_csv
from venclient.registry.imported import Imported
from venclient.registry.rows import MOST_NESTED, BadRow, Row, as_row, json_object, json_objects, words
from venclient.registry.schema import RESOURCE_COLUMNS

PLAIN = Resource(
    "r1",
    "Inn",
    "DSR",
    "Hotels",
    "707057500000000011",
    Connection(ConnectionType.MQTT, ActorType.READER, "broker", 1883, "site/1"),
    {"P_max_kw": 50.0, "P_min_kw": 0.0, "E_max_kwh": 200.0, "E_min_kwh": 0.0},
    {"latitude": 55.7, "longitude": 12.5},
    address="Vej 1, 2800 Lyngby",
    enabled=True,
    ven="Lyngby",
)
NAMED = frozenset({"resourceName", "ven", "address", "location"})
CELLS = st.one_of(
    st.none(),
    st.sampled_from(['{"a": 1}', '{"a":\n1}', "{}", "", "[]", "{", '{"a": NaN}', "{}\n{}", "5", " {}"]),
    st.just('{"a": ' + "[" * MOST_NESTED + "]" * MOST_NESTED + "}"),
    st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2).map(json.dumps),
)


def changed(row: Row, column: str, value: Any) -> Row:
    """Return a row with another value in a column of the table of resources."""
    at = 1 + RESOURCE_COLUMNS.index(column)
    return (*row[:at], value, *row[at + 1 :])


def is_settled(stored: Row, given_cells: frozenset[str] | None) -> bool:
    """Return whether a file that said PLAIN and says it again is done with."""
    imported = Imported()
    imported.put_new([PLAIN], given_cells)
    return imported.settled([stored], [PLAIN], given_cells)[0]


@given(st.lists(CELLS, max_size=5))
def test_objects_of_a_column_are_those_of_its_cells(texts: list[str | None]) -> None:
    """Read at once or one by one, the cells give the same, or the same kind of refusal."""
    try:
        expected = [None if text is None else json_object(text, "options") for text in texts]
    except BadRow:
        with pytest.raises(BadRow):
            json_objects(texts, "options")
    else:
        assert json_objects(texts, "options") == expected


def test_words_are_read_in_every_spelling() -> None:
    """Names and values in any case are one member; another word is refused by its column."""
    assert words(ConnectionType, ["MQTT", "mqtt", "Mqtt"], "connections.type") == ["MQTT"] * 3
    with pytest.raises(BadRow):
        words(ConnectionType, ["MQTT", "smoke"], "connections.type")


@given(st.text())
def test_printable_is_as_python_has_it(text: str) -> None:
    """The quick look at a text finds what `str.isprintable` finds."""
    assert is_printable(text) is text.isprintable()


@pytest.mark.parametrize("given_cells", [None, NAMED])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("resource_type", "Demand Response"),
        ("location", '{ "longitude": 12.50, "latitude": 55.7 }'),
        ("capacities", '{"P_min_kw": 0, "P_max_kw": 50, "E_max_kwh": 200, "E_min_kwh": 0}'),
    ],
)
def test_other_spellings_of_the_same_are_settled(
    given_cells: frozenset[str] | None, column: str, value: str
) -> None:
    """What another program wrote in another form is what the file says."""
    assert is_settled(changed(as_row(PLAIN, PLAIN.ven), column, value), given_cells)


@pytest.mark.parametrize("given_cells", [None, NAMED])
@pytest.mark.parametrize(
    ("column", "value"),
    [("resource_type", "hotel"), ("capacities", "{"), ("reporting", "[]"), ("location", "5")],
)
def test_a_row_that_makes_no_sense_is_not_settled(
    given_cells: frozenset[str] | None, column: str, value: str
) -> None:
    """It is left to the full look, which replaces it, even when the file does not name the cell."""
    assert not is_settled(changed(as_row(PLAIN, PLAIN.ven), column, value), given_cells)


@pytest.mark.parametrize("given_cells", [None, NAMED])
def test_a_row_without_its_connection_is_not_settled(given_cells: frozenset[str] | None) -> None:
    """A resource whose connection is gone is broken, whatever the file names."""
    row = as_row(PLAIN, PLAIN.ven)
    at = len(RESOURCE_COLUMNS) + 2
    assert not is_settled((*row[:at], *([None] * 10), *row[at + 10 :]), given_cells)


def test_cells_that_the_file_does_not_name_may_differ() -> None:
    """A connection or a size that a user changed does not keep a row of names from being settled."""
    other = Connection(ConnectionType.MODBUSTCP, ActorType.READER, "10.0.0.1", 502, password="env:P")
    stored = replace(PLAIN, connection=other, capacities={}, enabled=False, reporting={"interval_s": 60})
    assert is_settled(as_row(stored, stored.ven), NAMED)
    assert not is_settled(as_row(stored, stored.ven), None)


def test_a_file_that_is_imported_again_makes_no_resource_of_a_row(tmp_path: Path) -> None:
    """Rows that are as the file says are compared as they are stored; only another one is decoded."""
    path = tmp_path / "shops.csv"
    rows = [f"Inn {at},Vej {at} 2800 Lyngby,55.7,12.5\n" for at in range(300)]
    path.write_text("title,address,latitude,longitude\n" + "".join(rows), encoding="utf-8")
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        assert import_csv(db, path).created == 300
        assert calls(lambda: import_csv(db, path), "decode_resource") == 0
        first = db.get_all_resources()[0].resourceID
        db.update_resource(first, {"resourceName": "Kro"})
        reports = []
        assert calls(lambda: reports.append(import_csv(db, path)), "decode_resource") == 1
        assert (reports[0].unchanged, reports[0].kept_cells) == (300, 1)
