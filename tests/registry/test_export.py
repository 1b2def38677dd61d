"""Exports: CSV comes back exactly, JSON and GeoJSON are what they say, and no secret is in any of them."""

from __future__ import annotations

import csv
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.registry.objects import make_connection, make_resource
from venclient.errors import Conflict, RegistryError
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry import columns
from venclient.registry.database import ResourceDatabase
from venclient.registry.export import (
    FORMATS,
    as_dict,
    as_feature,
    csv_text,
    export_file,
    geojson_text,
    json_text,
)

# All that UTF-8 can hold; and more often what spreadsheets and CSV readers stumble over.
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(
        ("=1+1", "+45 1", "-x", "@a", "'", "''=", '"', '"a"', " a", "a\n", "a,b", "a;b", "\t", "\x00", "N/A",
         "-", "null", "true", "1.5", "7.07057E+17", "123456789012.0", "\ufeff", "\u2028", "***", "æøå", "＝1")
    ),
)  # fmt: skip
names = texts.filter(bool)
maybe_texts = st.none() | texts
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
objects = st.dictionaries(texts, values, max_size=2)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


def with_known(*known: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return dicts with some of the known names, mostly numbers, and some others."""
    named = st.dictionaries(st.sampled_from(known), numbers | numbers | numbers | values)
    return st.tuples(objects, named).map(lambda pair: pair[0] | pair[1])


references = st.none() | st.sampled_from(("env:NAME", "file:/run/x y", "credential:a,b"))
connections = st.builds(
    Connection,
    st.sampled_from(ConnectionType),
    st.sampled_from(ActorType),
    maybe_texts,
    st.none() | st.integers(0, 65535),
    maybe_texts,
    maybe_texts,
    references,
    references,
    st.none() | objects,
)
resources = st.builds(
    Resource,
    names,
    texts,
    st.sampled_from(("DSR", "BATTERY", "PV", "EV")),
    maybe_texts,
    texts,
    connections,
    with_known("P_max_kw", "P_min_kw", "E_max_kwh", "E_min_kwh"),
    with_known("latitude", "longitude"),
    maybe_texts,
    st.booleans(),
    st.none() | objects,
    maybe_texts,
    st.none() | connections,
)


def read_back(text: str) -> list[Resource]:
    """Return the resources of an export, read with the standard library's reader."""
    lines = csv.reader(text.split("\n")[:-1])
    header = next(lines)
    assert columns.is_own(header)
    return [columns.decode(dict(zip(header, cells, strict=True))) for cells in lines]


@settings(max_examples=150, deadline=None)
@given(found=st.lists(resources, max_size=3))
def test_csv_comes_back_exactly(found: list[Resource]) -> None:
    """Any resource is the same after being written and read, and takes exactly one line."""
    text = "".join(csv_text(found))

    assert text.count("\n") == len(found) + 1
    assert text.splitlines() == text.split("\n")[:-1]
    assert read_back(text) == found


@settings(max_examples=150, deadline=None)
@given(one=resources)
def test_no_cell_is_a_formula(one: Resource) -> None:
    """No cell begins as a formula does, unless it is a number."""
    for name, cell in zip(columns.COLUMNS, columns.encode(one), strict=True):
        if cell[:1] in ("=", "+", "@", "\t", "\r") or (cell[:1] == "-" and name not in _NUMERIC):
            pytest.fail(f"{name}: {cell!r}")


_NUMERIC = {"latitude", "longitude", "p_max_kw", "p_min_kw", "e_max_kwh", "e_min_kwh"}


@settings(max_examples=100, deadline=None)
@given(found=st.lists(resources, max_size=3))
def test_json_comes_back_exactly(found: list[Resource]) -> None:
    """The JSON export is one document with every field."""
    document = json.loads("".join(json_text(found)))

    assert (document["format"], document["version"]) == ("venclient-resources", 1)
    made = []
    for fields in document["resources"]:
        for name in ("connection", "control_connection"):
            fields[name] = fields[name] and Connection(**fields[name])
        made.append(Resource(**fields))
    assert made == found


def test_secrets_are_in_no_export() -> None:
    """A username or password itself is *** in every format; a reference is what it is."""
    hidden = make_resource(control_connection=make_connection(username="env:WHO", password="hunter3"))

    for write in FORMATS.values():
        text = "".join(write([hidden]))
        assert "hunter" not in text
    exported = as_dict(hidden)
    assert (exported["connection"]["username"], exported["connection"]["password"]) == ("***", "***")
    assert exported["control_connection"]["username"] == "env:WHO"


def test_hidden_secrets_are_kept_when_read_back() -> None:
    """Reading an export over the same resource keeps its secrets; over nothing it says which are lost."""
    stored = make_resource(control_connection=make_connection(password="env:PASS", actortype="writer"))
    [read] = read_back("".join(csv_text([stored])))

    assert read != stored
    assert columns.keep_secrets(read, stored) == (stored, [])
    alone, lost = columns.keep_secrets(read, None)
    assert lost == ["connection username", "connection password", "control connection username"]
    assert alone.connection.password is None
    assert alone.control_connection is not None
    assert alone.control_connection.password == "env:PASS"


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("latitude", "56,14", "VEN-IMP-046"),
        ("p_max_kw", "NaN", "VEN-IMP-046"),
        ("enabled", "maybe", "VEN-IMP-045"),
        ("type", "HEAT", "VEN-REG-012"),
        ("type", "", "VEN-IMP-043"),
        ("connection_type", "", "VEN-IMP-043"),
        ("connection_port", "80x", "VEN-IMP-004"),
        ("connection_options", "{", "VEN-IMP-047"),
        ("reporting", "[1]", "VEN-IMP-048"),
        ("resource_id", "", "VEN-IMP-043"),
        ("meter_point_id", "7,07058E+17", "VEN-IMP-020"),
        ("name", '"half', "VEN-IMP-044"),
    ],
)
def test_a_spoilt_cell_is_named(column: str, cell: str, code: str) -> None:
    """What an editor made of a cell is reported by column and reason."""
    cells = dict(zip(columns.COLUMNS, columns.encode(make_resource()), strict=True))

    with pytest.raises(columns.BadCells, match=code) as caught:
        columns.decode(cells | {column: cell})

    assert [name for name, _ in caught.value.problems] == [column]


def test_all_spoilt_cells_are_named_at_once() -> None:
    """All mistakes of a row are reported at once."""
    cells = dict(zip(columns.COLUMNS, columns.encode(make_resource()), strict=True))

    with pytest.raises(columns.BadCells) as caught:
        columns.decode(cells | {"latitude": "x", "enabled": "y", "control_host": "h"})

    assert {name for name, _ in caught.value.problems} == {
        "latitude",
        "enabled",
        "control_type",
        "control_actor",
    }


def test_columns_in_any_order_are_ours() -> None:
    """The names in the header decide, not their order; one column more or less is another layout."""
    assert columns.is_own(reversed(columns.COLUMNS))
    assert not columns.is_own(columns.COLUMNS[1:])
    assert not columns.is_own((*columns.COLUMNS, "name"))


def test_geojson_is_longitude_first_and_null_where_nothing_is_known() -> None:
    """A feature is as RFC 7946 has it."""
    document = json.loads("".join(geojson_text([make_resource(), make_resource("r-2", location={})])))

    assert document["type"] == "FeatureCollection"
    first, second = document["features"]
    assert (first["type"], first["id"]) == ("Feature", "r-1")
    assert first["geometry"] == {"type": "Point", "coordinates": [8.97, 56.14]}
    assert first["properties"]["capacities"]["P_min_kw"] == -20.5
    assert "connection" not in first["properties"]
    assert second["geometry"] is None


@pytest.mark.parametrize(
    "location", [{"latitude": 656000.0, "longitude": 9.0}, {"latitude": "56", "longitude": 9}]
)
def test_what_is_no_place_on_earth_has_no_geometry(location: dict[str, Any]) -> None:
    """UTM metres in the latitude would put a point outside the map's world."""
    assert as_feature(make_resource(location=location))["geometry"] is None


def test_nothing_is_still_a_document() -> None:
    """No resources give a header, and valid JSON."""
    assert read_back("".join(csv_text([]))) == []
    assert json.loads("".join(json_text([])))["resources"] == []
    assert json.loads("".join(geojson_text([])))["features"] == []


def test_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """An export that fails half-way leaves the file before it, and nothing beside it."""
    path = tmp_path / "out.csv"
    export_file(path, ["old"])

    def broken() -> Iterator[str]:
        yield "new"
        raise RegistryError("the database went away")

    with suppress(RegistryError):
        export_file(path, broken(), overwrite=True)

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_is_not_replaced_unasked(tmp_path: Path) -> None:
    """An existing file is kept by default; a new one has the mode of any new file."""
    path = tmp_path / "out.csv"
    before = os.umask(0o027)
    try:
        export_file(path, ["old"])
    finally:
        os.umask(before)

    with pytest.raises(Conflict, match="VEN-REG-220"):
        export_file(path, ["new"])

    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    export_file(path, ["new"], overwrite=True)
    assert path.read_text() == "new"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A path that cannot be written is named with the reason."""
    with pytest.raises(RegistryError, match="VEN-REG-221"):
        export_file(tmp_path / "none" / "out.csv", [])


def test_export_from_a_database_is_in_its_order(tmp_path: Path) -> None:
    """The resources of a query stream into an export."""
    with ResourceDatabase(tmp_path / "r.db") as db:
        db.bulk_insert_resources(make_resource(f"r-{number}") for number in (3, 1, 2))
        lines = "".join(csv_text(db.query())).splitlines()

    assert [line.partition(",")[0] for line in lines] == ["resource_id", "r-3", "r-1", "r-2"]
