"""What is exported to CSV and imported into an empty registry is the same registry."""

from __future__ import annotations

import csv
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.registry.objects import make_connection, make_resource
from tests.registry.test_export import references, values
from tests.registry.test_export import texts as any_texts
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.model.slips import is_clean, near_miss
from venclient.registry.csv_import import import_csv
from venclient.registry.database import ResourceDatabase
from venclient.registry.export import csv_text, export_file
from venclient.registry.query import Query

# What the registry takes: no control characters, no invisible ones, no name that is nearly a known one.
texts = any_texts.map(lambda text: "".join(filter(is_clean, text)))
maybe_texts = st.none() | texts
KNOWN = ("P_max_kw", "P_min_kw", "E_max_kwh", "E_min_kwh")
filled_texts = texts.map(lambda text: text if text.strip() else f"{text}x")
hosts = filled_texts.map(lambda text: "".join(text.split()))


def cleaned(value: Any) -> Any:
    """Return a JSON value without the characters that the registry refuses."""
    if isinstance(value, str):
        return "".join(filter(is_clean, value))
    if isinstance(value, list):
        return [cleaned(one) for one in value]
    if isinstance(value, dict):
        return {cleaned(name) or "x": cleaned(one) for name, one in value.items()}
    return value


objects = st.dictionaries(
    filled_texts.map(lambda name: f"{name} x" if near_miss(name, KNOWN) else name),
    values.map(cleaned),
    max_size=2,
)
kilowatts = st.integers(-(10**12), 10**12) | st.floats(-1e12, 1e12)


@st.composite
def ranges(draw: st.DrawFn) -> dict[str, Any]:
    """Return capacities that the registry takes, some of them unknown, with others that it does not know."""
    found: dict[str, Any] = draw(objects)
    for least, most in (("P_min_kw", "P_max_kw"), ("E_min_kwh", "E_max_kwh")):
        pair = sorted((draw(kilowatts), draw(kilowatts)))
        found |= draw(st.sampled_from(({}, {least: pair[0]}, {least: pair[0], most: pair[1]}, {most: None})))
    return found


def connections(actor: ActorType) -> st.SearchStrategy[Connection]:
    """Return connections that have what each type needs, and anything beyond."""
    return st.builds(
        Connection,
        st.sampled_from(ConnectionType),
        st.just(actor),
        hosts,
        st.none() | st.integers(1, 65535),
        filled_texts,
        filled_texts,
        references,
        references,
        st.none() | objects,
    )


resources = st.builds(
    Resource,
    filled_texts.map(lambda text: text.strip()),
    filled_texts,
    st.sampled_from(("DSR", "BATTERY", "PV", "EV")),
    maybe_texts,
    texts,
    connections(ActorType.READER),
    ranges(),
    st.fixed_dictionaries({}, optional={"latitude": st.floats(-90, 90), "longitude": st.floats(-180, 180)}),
    maybe_texts,
    st.booleans(),
    st.sampled_from((None, {"interval": "PT15M"}, {"payload_types": ["USAGE", "DEMAND"]})),
    maybe_texts,
    st.none() | connections(ActorType.WRITER),
)


def unchecked(_: Resource) -> list[str]:
    """Take options as they are: any JSON, not only what a connector understands."""
    return []


def ids(found: list[Resource]) -> list[str]:
    """Return the ids of resources."""
    return [one.resourceID for one in found]


@settings(max_examples=12, deadline=None)
@given(found=st.lists(resources, max_size=4, unique_by=lambda one: one.resourceID), pandas=st.booleans())
def test_export_and_import_give_the_same_registry(found: list[Resource], pandas: bool) -> None:
    """Any resources that a registry takes come out of the file as they went in; again changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "export.csv"
        with ResourceDatabase(Path(folder) / "from.db", check_options=unchecked) as source:
            source.bulk_insert_resources(found)
            before = source.get_all_resources()
            export_file(file, csv_text(source.query()))
        with ResourceDatabase(Path(folder) / "to.db", check_options=unchecked) as target:
            report = import_csv(target, file, pandas=pandas)

            assert (report.rejected, report.created) == ([], len(found))
            assert target.get_all_resources() == before
            assert import_csv(target, file).unchanged == len(found)


def test_import_over_the_source_keeps_its_secrets(tmp_path: Path) -> None:
    """Hidden logins stay what they are, though other cells of the file were edited."""
    file = tmp_path / "export.csv"
    control = make_connection(actortype="writer", password="other")
    with ResourceDatabase(tmp_path / "from.db") as db:
        db.upsert_resource(make_resource(control_connection=control))
        before = db.get_all_resources()
        export_file(file, csv_text(db.query()))
        assert "hunter2" not in file.read_text()
        file.write_text(file.read_text().replace("Hotel Ørnen", "Hotel Svanen"))

        report = import_csv(db, file)

        assert report.updated == 1
        assert db.get_all_resources() == [replace(before[0], resourceName="Hotel Svanen")]
        assert db.get_all_resources()[0].connection.password == "hunter2"


def test_import_elsewhere_tells_lost_secrets(tmp_path: Path) -> None:
    """Where nothing is stored yet, what the file hides is missing, and said to be."""
    file = tmp_path / "export.csv"
    with ResourceDatabase(tmp_path / "from.db") as db:
        db.upsert_resource(make_resource())
        export_file(file, csv_text(db.query()))
    with ResourceDatabase(tmp_path / "to.db") as db:
        report = import_csv(db, file)

        assert any("connection password" in warning for warning in report.warnings)
        assert db.get_all_resources()[0].connection.password is None


@pytest.mark.parametrize("edit", ["semicolons", "bom", "order"])
def test_a_spreadsheet_may_have_saved_it(tmp_path: Path, edit: str) -> None:
    """Another delimiter, a byte order mark or another order of columns is still our layout."""
    import csv

    file = tmp_path / "export.csv"
    with ResourceDatabase(tmp_path / "from.db") as source:
        source.bulk_insert_resources(
            make_resource(f"r-{n}", connection=make_connection(username="env:U", password="env:P"))
            for n in range(3)
        )
        before = source.get_all_resources()
        rows = list(csv.reader("".join(csv_text(source.query())).splitlines()))
    with file.open("w", encoding="utf-8-sig" if edit == "bom" else "utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=";" if edit == "semicolons" else ",", lineterminator="\r\n")
        writer.writerows(row[::-1] if edit == "order" else row for row in rows)

    with ResourceDatabase(tmp_path / "to.db") as target:
        report = import_csv(target, file)

        assert report.rejected == []
        assert target.get_all_resources() == before


def test_a_part_of_a_registry_can_be_exported(tmp_path: Path) -> None:
    """A query says which resources are in the file, and in what order."""
    with ResourceDatabase(tmp_path / "from.db") as source, ResourceDatabase(tmp_path / "to.db") as target:
        source.bulk_insert_resources(
            make_resource(f"r-{n}", resourceType=kind) for n, kind in enumerate(("EV", "DSR", "EV"))
        )
        file = tmp_path / "export.csv"
        export_file(file, csv_text(source.query(Query().of_type("EV").sort("id", descending=True))))
        import_csv(target, file)

        assert ids(target.get_all_resources()) == ["r-2", "r-0"]


@pytest.mark.parametrize("cell", ["[" * 100_000, '{"a":' * 20_000, "9" * 5_000])
def test_a_number_nested_deeper_than_python_follows_rejects_its_row(tmp_path: Path, cell: str) -> None:
    """A cell of an export that was changed by hand is named; the import goes on."""
    header, row = "".join(csv_text([make_resource()])).splitlines()
    exported = tmp_path / "sites.csv"
    names = next(csv.reader([header]))
    cells = next(csv.reader([row]))
    cells[names.index("p_max_kw")] = cell
    with exported.open("w", newline="") as file:
        csv.writer(file).writerows([names, cells])
    with ResourceDatabase(tmp_path / "b.db") as other:
        report = import_csv(other, exported)
    assert report.rejected_rows == 1
