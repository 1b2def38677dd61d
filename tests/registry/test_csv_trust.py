"""Imports worth trusting: all or nothing, what disappeared, refused rows in a file, our own export."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.registry.test_csv_import import HEADER, ROWS, counts, dump, written
from venclient.errors import ConfigError
from venclient.messages import code_of
from venclient.messages import importing as imp
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.model.slips import is_clean
from venclient.registry import columns
from venclient.registry.csv_import import import_csv
from venclient.registry.csv_mapping import from_flags, told
from venclient.registry.csv_own import decode_block
from venclient.registry.csv_rejects import RejectsFile, beside
from venclient.registry.database import ResourceDatabase


@pytest.fixture
def registry(db: ResourceDatabase) -> ResourceDatabase:
    """Return a registry with one resource that is in no file."""
    db.upsert_resource(resource("mine"))
    return db


def resource(resource_id: str, **changes: Any) -> Resource:
    """Return a resource."""
    made = Resource(
        resource_id,
        f"Site {resource_id}",
        "DSR",
        "Hotels",
        "707057500483043946",
        Connection(ConnectionType.MODBUSTCP, ActorType.READER, "10.0.0.7", 502),
        {"P_max_kw": 50.0, "P_min_kw": -20.0, "E_max_kwh": 200.0, "E_min_kwh": 0.0},
        {"latitude": 56.1, "longitude": 8.9},
        enabled=True,
    )
    return replace(made, **changes)


BAD_FILES = {
    "empty": (b"", "VEN-IMP-073"),
    "binary": (b"\x7fELF" + bytes(range(32)) * 40, "VEN-IMP-074"),
    "no names": (b"a,b\n1,2\n", "VEN-IMP-066"),
    "nothing but blank lines": (b"\n\n\n", "VEN-IMP-077"),
}
BAD_ROWS = {
    "two headers": (f"{HEADER}\n", "VEN-IMP-039"),
    "a long cell": (f"{'A' * 10_000},x,8.9,56.1\n", "VEN-IMP-032"),
    "a NUL": ("Hotel\x00X,x,8.9,56.1\n", "VEN-IMP-034"),
    "an open quote": ('"Hotel X,x,8.9,56.1\n', "VEN-IMP-036"),
    "another decimal mark": ('Hotel X,x,"8,9","56,1"\n', "VEN-IMP-022"),
    "the same site, moved": (ROWS[0].replace("56.1", "57.1") + "\n", "VEN-IMP-041"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_table_is_named_and_nothing_is_lost(
    registry: ResourceDatabase, tmp_path: Path, name: str
) -> None:
    """It ends in a sentence with its path, and what was stored is there as before."""
    content, code = BAD_FILES[name]
    before = dump(registry)
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=code) as caught:
        import_csv(registry, path)
    assert "bad.csv" in str(caught.value)
    assert dump(registry) == before


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_named_and_nothing_is_lost(
    registry: ResourceDatabase, tmp_path: Path, name: str
) -> None:
    """Its line and the reason are reported; neither the file nor what was stored is touched."""
    text, code = BAD_ROWS[name]
    before = dump(registry)
    path = written(tmp_path, *ROWS)
    with path.open("a", encoding="utf-8", newline="") as stream:
        stream.write(text)
    report = import_csv(registry, path)
    assert [item.line for item in report.rejected] == [len(ROWS) + 2]
    assert code_of(report.rejected[0].reason) == code
    assert not report.stored
    assert dump(registry) == before
    assert counts(import_csv(registry, path, keep_good=True)) == (5, 0, 0, 0, 1)


def test_quoted_newlines_are_spaces(registry: ResourceDatabase, tmp_path: Path) -> None:
    """A line break in a cell makes no second row."""
    report = import_csv(
        registry, written(tmp_path, '"Hotel\nA","Nørregade 1,\n7400 Herning",8.9,56.1', *ROWS)
    )
    assert counts(report) == (6, 0, 0, 0, 0)
    assert {one.resourceName for one in registry.get_resources(ven="Herning")} >= {"Hotel A", "Hotel B"}


def test_an_id_twice_in_a_file_is_refused(registry: ResourceDatabase, tmp_path: Path) -> None:
    """Two rows of one id that differ: the later is refused, naming the earlier."""
    rows = ["Hotel A,x,8.9,56.1,site-1", "Hotel B,y,8.8,56.2,site-1"]
    report = import_csv(registry, written(tmp_path, *rows, header=f"{HEADER},resource_id"))
    (item,) = report.rejected
    assert (item.line, item.column) == (3, "resource_id")
    assert item.reason == imp.ID_TWICE(resource_id="site-1", place="hotels-in-denmark.csv:2")


def test_an_id_of_the_database_is_updated(registry: ResourceDatabase, tmp_path: Path) -> None:
    """An id that is stored but was never imported keeps its values unless they are to be overwritten."""
    path = written(tmp_path, "Hotel A,x,8.9,56.1,mine", header=f"{HEADER},resource_id")
    report = import_csv(registry, path)
    assert counts(report) == (0, 0, 1, 0, 0)
    assert report.conflicts[0].cells["resourceName"] == ("Site mine", "Hotel A")
    report = import_csv(registry, path, overwrite=True)
    assert counts(report) == (0, 1, 0, 0, 0)
    assert report.changes[0].fields["resourceName"] == ("Site mine", "Hotel A")
    assert registry.count() == 1


def test_a_meter_point_of_two_sites_is_doubted(registry: ResourceDatabase, tmp_path: Path) -> None:
    """The same meter point in two rows, or in a row and with another stored resource, is a warning."""
    rows = [f"Hotel {n},x,8.{n},56.1,707057500483043946" for n in (1, 2)]
    report = import_csv(registry, written(tmp_path, *rows, header=f"{HEADER},meterpoint_id"))
    assert counts(report) == (2, 0, 0, 0, 0)
    doubts = {code_of(text): lines for text, lines in report.warnings.items()}
    assert doubts["VEN-IMP-055"] == [2]
    assert doubts["VEN-IMP-054"] == [3]


def test_a_column_that_changes_its_decimal_mark_is_not_misread(
    registry: ResourceDatabase, tmp_path: Path
) -> None:
    """ "1,234" is a thousand only in a column that never writes a comma for the decimals."""
    rows = [f"Hotel {n},x,8.{n},56.{n},2{n}.5" for n in range(1, 8)]
    flags = told("test", columns=from_flags(["p_max_kw=kW"]))
    header = f"{HEADER},kW"
    thousand = 'Hotel X,x,8.9,56.9,"1,234"'
    report = import_csv(
        registry, written(tmp_path, *rows, thousand, header=header), flags=flags, dry_run=True
    )
    assert counts(report) == (8, 0, 0, 0, 0)
    path = written(tmp_path, *rows, thousand, 'Hotel Y,x,8.8,56.8,"22,5"', header=header)
    report = import_csv(registry, path, flags=flags, keep_good=True)
    assert [item.line for item in report.rejected] == [9, 10]
    assert report.rejected[0].reason == imp.AMBIGUOUS_NUMBER(value="1,234", one=1234, other=1.234)


def test_what_disappeared_is_told_until_somebody_decides(registry: ResourceDatabase, tmp_path: Path) -> None:
    """A row that is gone is listed at each import, nothing is deleted, and on demand it is switched off."""
    import_csv(registry, written(tmp_path, *ROWS))
    path = written(tmp_path, *ROWS[1:])
    for _ in range(2):
        report = import_csv(registry, path)
        assert [one.name for one in report.disappeared] == ["Hotel A"]
    assert import_csv(registry, path, dry_run=True, disable_missing=True).disabled == 1
    gone = report.disappeared[0].resource_id
    assert _enabled(registry, gone)
    assert import_csv(registry, path, disable_missing=True).disabled == 1
    assert not _enabled(registry, gone)
    assert import_csv(registry, path).disappeared == []
    assert registry.count() == 6


def _enabled(registry: ResourceDatabase, resource_id: str) -> bool | None:
    found = registry.get_resource(resource_id)
    assert found is not None
    return found.enabled


def test_a_refused_row_is_no_reason_to_switch_off(registry: ResourceDatabase, tmp_path: Path) -> None:
    """With refused rows the missing ones are unknown: nothing is switched off, and it stays known."""
    import_csv(registry, written(tmp_path, *ROWS))
    path = written(tmp_path, ROWS[0].replace("56.1", "x"), *ROWS[2:])
    report = import_csv(registry, path, keep_good=True, disable_missing=True)
    assert (report.disabled, report.disappeared_count) == (0, 2)
    assert report.left_on
    report = import_csv(registry, written(tmp_path, ROWS[0], *ROWS[2:]), disable_missing=True)
    assert [one.name for one in report.disappeared] == ["Hotel B"]


def test_files_at_other_places_are_other_sources(registry: ResourceDatabase, tmp_path: Path) -> None:
    """Nothing disappears from a file because another one lacks it, unless both are set to be one source."""
    other = tmp_path / "other"
    other.mkdir()
    import_csv(registry, written(tmp_path, *ROWS))
    path = written(other, *ROWS[:2])
    assert import_csv(registry, path).disappeared_count == 0
    import_csv(registry, written(tmp_path, *ROWS), source="hotels")
    assert import_csv(registry, path, source="hotels").disappeared_count == 3


def test_a_stored_row_that_makes_no_sense_is_replaced(registry: ResourceDatabase, tmp_path: Path) -> None:
    """A damaged row stops no import: what the file says takes its place, and that is said."""
    path = written(tmp_path, *ROWS)
    import_csv(registry, path)
    with registry.get_connection() as connection:
        connection.execute("UPDATE resources SET capacities = '{' WHERE resource_name = 'Hotel C'")
    report = import_csv(registry, path)
    assert counts(report) == (0, 1, 4, 0, 0)
    ((text, lines),) = report.warnings.items()
    assert code_of(text) == "VEN-IMP-057"
    assert lines == [4]
    assert counts(import_csv(registry, path)) == (0, 0, 5, 0, 0)


def test_what_the_registry_refuses_is_a_refused_row(registry: ResourceDatabase, tmp_path: Path) -> None:
    """A rule of the registry that the reader does not know costs the row, with its line."""
    path = written(tmp_path, *ROWS, "Hotel X,x,8.9,56.1", header=HEADER)
    flags = told("test", connection=Connection(ConnectionType.MQTT, ActorType.READER, topic="meters/1"))
    report = import_csv(registry, path, flags=flags, keep_good=True)
    assert report.rejected_rows == 6
    assert code_of(report.rejected[0].reason) == "VEN-IMP-005"
    assert registry.count() == 1


def test_refused_rows_go_to_a_file_with_their_text(registry: ResourceDatabase, tmp_path: Path) -> None:
    """Line, column, reason and what stood there; the file is its owner's, and goes when all is good."""
    path = written(tmp_path, *ROWS, 'Hotel X,"Gade 1,\nsomewhere",8.9,z', "short,row")
    for keep_good in (True, False):
        rejects = RejectsFile(beside(path))
        report = import_csv(registry, path, rejects=rejects, keep_good=keep_good)
        rejects.close()
    assert report.rejects_file == f"{path}.rejects.csv"
    assert beside(path).stat().st_mode & 0o777 == 0o600
    with beside(path).open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream))
    assert [(row["line"], row["column"]) for row in found] == [("7", "latitude"), ("9", "")]
    assert found[0]["original"] == 'Hotel X,"Gade 1,\nsomewhere",8.9,z'
    assert found[1]["reason"].endswith("[VEN-IMP-035]")
    rejects = RejectsFile(beside(path))
    import_csv(registry, written(tmp_path, *ROWS), rejects=rejects)
    rejects.close()
    assert not beside(path).exists()


def test_a_rejects_file_that_cannot_be_written_changes_nothing(
    registry: ResourceDatabase, tmp_path: Path
) -> None:
    """Where refused rows cannot go the import ends with a sentence, and nothing is stored."""
    before = dump(registry)
    with pytest.raises(ConfigError, match="VEN-IMP-080"):
        import_csv(
            registry, written(tmp_path, *ROWS, "x"), rejects=RejectsFile(tmp_path / "no/such"), keep_good=True
        )
    assert dump(registry) == before


def exported(path: Path, resources: list[Resource]) -> Path:
    """Write resources in our own layout."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns.COLUMNS)
        writer.writerows(map(columns.encode, resources))
    return path


_names = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=12
).filter(is_clean)
_resources = st.builds(
    resource,
    st.just("one"),
    resourceName=_names,
    resourceSubType=st.none() | _names,
    # PostgreSQL has no NUL in text and says so; that it comes back from a file is tested with the export.
    address=st.none()
    | st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12).filter(
        is_clean
    ),
    ven=st.none() | _names,
    enabled=st.booleans(),
    connection=st.builds(
        Connection,
        st.just(ConnectionType.MQTT),
        st.just(ActorType.READER),
        _names,
        st.none() | st.integers(1, 65_535),
        _names,
        password=st.none() | st.just("env:METER_PASSWORD"),
        options=st.none() | st.just({"values": [{"path": "/p", "quantity": "power_kw"}]}),
    ),
)


@given(_resources)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_our_own_export_comes_back_exactly(registry: ResourceDatabase, tmp_path: Path, one: Resource) -> None:
    """What was exported is imported as it was: ids, connections, options, every character."""
    registry.clear_all_resources()
    path = exported(tmp_path / "export.csv", [one])
    assert counts(import_csv(registry, path)) == (1, 0, 0, 0, 0)
    assert registry.get_all_resources() == [one]
    assert counts(import_csv(registry, path)) == (0, 0, 1, 0, 0)


@given(st.lists(_resources, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_block_of_our_own_is_read_as_its_rows_are(resources: list[Resource]) -> None:
    """Reading by columns gives what reading row by row does, or leaves it to that."""
    rows = [columns.encode(one) for one in resources]
    cells = dict(zip(columns.COLUMNS, zip(*rows, strict=True), strict=True))
    by_row = [columns.decode(dict(zip(columns.COLUMNS, row, strict=True))) for row in rows]
    assert decode_block(cells) in (None, by_row)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("name", "'=1+1"),
        ("address", '"a\\nb"'),
        ("name", ""),
        ("p_max_kw", "1,2"),
        ("p_max_kw", "NaN"),
        ("p_max_kw", "true"),
        ("p_max_kw", ""),
        ("latitude", "[1"),
        ("enabled", "yes"),
        ("meter_point_id", "7.07E+17"),
        ("connection_type", ""),
        ("connection_port", "x"),
        ("connection_options", "[1]"),
        ("reporting", "{"),
        ("control_host", "10.0.0.8"),
        ("type", "Electric Vehicle"),
        ("capacities_other", '{"more": 1}'),
    ],
)
def test_a_cell_that_is_not_plain_leaves_its_block_to_the_rows(column: str, cell: str) -> None:
    """Nothing is guessed: what the fast way does not know is looked at cell by cell."""
    rows = [dict(zip(columns.COLUMNS, columns.encode(resource(name)), strict=True)) for name in "ab"]
    assert decode_block({name: [row[name] for row in rows] for name in columns.COLUMNS}) is not None
    rows[1][column] = cell
    assert decode_block({name: [row[name] for row in rows] for name in columns.COLUMNS}) is None


def test_an_edited_export_changes_just_that(registry: ResourceDatabase, tmp_path: Path) -> None:
    """A value that was changed in the export is updated; a hidden password stays the stored one."""
    wired = Connection(ConnectionType.MQTT, ActorType.READER, "broker", 1883, "t", password="hush")
    registry.upsert_resource(resource("mine", connection=wired))
    path = exported(tmp_path / "export.csv", registry.get_all_resources())
    assert "hush" not in path.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace("50.0", "75.5"), encoding="utf-8")
    report = import_csv(registry, path)
    assert report.changes[0].fields == {"capacities.P_max_kw": (50.0, 75.5)}
    kept = registry.get_resource("mine")
    assert kept is not None
    assert kept.connection.password == "hush"


def test_bad_cells_of_an_export_are_named(registry: ResourceDatabase, tmp_path: Path) -> None:
    """Every invalid cell is reported, with its line, and nothing is stored."""
    path = exported(tmp_path / "export.csv", [resource("a"), resource("b", enabled=False)])
    path.write_text(
        path.read_text(encoding="utf-8").replace("false", "maybe").replace("MODBUSTCP", "SMOKE"),
        encoding="utf-8",
    )
    report = import_csv(registry, path)
    assert report.rejected_rows == 2
    assert "maybe" in report.rejected[1].reason
    assert "SMOKE" in report.rejected[1].reason
    assert registry.count() == 1


def test_secrets_do_not_show_in_a_report(registry: ResourceDatabase, tmp_path: Path) -> None:
    """A changed password is shown as ***."""
    flags = [
        told("t", connection=Connection(ConnectionType.MQTT, ActorType.READER, "b", topic="t", password=word))
        for word in ("hush-1", "hush-2")
    ]
    path = written(tmp_path, *ROWS)
    import_csv(registry, path, flags=flags[0])
    report = import_csv(registry, path, flags=flags[1])
    assert report.updated == 5
    assert "hush" not in json.dumps(report.as_dict())
