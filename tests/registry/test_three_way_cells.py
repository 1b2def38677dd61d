"""The three-way rule over several kinds of cells, and on either kind of database."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import prepare_samples
from resource_db import ResourceDatabase
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry import columns
from venclient.registry.csv_import import import_csv
from venclient.registry.imported import Imported

HEADER = "title;address;latitude;longitude;resource_id;enabled;host;port"
#: cell -> column, and three values: as text in the file, and as stored.
CELLS: dict[str, tuple[str, tuple[tuple[str, Any], ...]]] = {
    "resourceName": ("title", (("Shop", "Shop"), ("Store", "Store"), ("Mall", "Mall"))),
    "address": ("address", tuple((f"Vej {n}, 2800 Lyngby",) * 2 for n in (1, 2, 3))),
    "connection.host": ("host", tuple((f"10.0.0.{n}",) * 2 for n in (7, 8, 9))),
    "enabled": ("enabled", (("ja", True), ("nej", False), ("1", True))),
}


def write(path: Path, **cells: str) -> Path:
    """Write a file of one site; `cells` are column -> text."""
    row = {
        "title": "Shop",
        "address": "Vej 1, 2800 Lyngby",
        "latitude": "55.7",
        "longitude": "12.5",
        "resource_id": "r1",
        "enabled": "ja",
        "host": "10.0.0.7",
        "port": "1502",
    } | cells
    path.write_text(f"{HEADER}\n{';'.join(row[name] for name in HEADER.split(';'))}\n", encoding="utf-8")
    return path


def value_of(resource: Resource, cell: str) -> Any:
    """Return the value of a cell."""
    group, _, part = cell.partition(".")
    return getattr(getattr(resource, group), part) if part else getattr(resource, group)


def changed(resource: Resource, cell: str, value: Any) -> Resource:
    """Return the resource with one cell changed."""
    if cell == "connection.host":
        return replace(resource, connection=replace(resource.connection, host=value))
    return replace(resource, **{cell: value})


@pytest.mark.parametrize("cell", CELLS)
def test_every_triple_of_values_follows_the_rule(db: ResourceDatabase, tmp_path: Path, cell: str) -> None:
    """For each (imported, stored, file) of a cell, the rule says what is stored and what is a conflict."""
    column, values = CELLS[cell]
    path = tmp_path / "shops.csv"
    for (old, was), (_, edited), (new, sent), overwrite in product(values, values, values, (False, True)):
        import_csv(db, write(path, **{column: old}), overwrite=True)
        first = db.get_resource("r1")
        assert first is not None
        assert value_of(first, cell) == was
        other = changed(first, cell, edited)
        if other != first:
            db.upsert_resource(other)

        report = import_csv(db, write(path, **{column: new}), overwrite=overwrite)

        after = db.get_resource("r1")
        assert after is not None
        conflict = sent not in (was, edited) and edited != was and not overwrite
        assert [list(one.cells) for one in report.conflicts] == ([[cell]] if conflict else [])
        expected = edited if sent in (was, edited) or conflict else sent
        assert value_of(after, cell) == expected
        assert changed(after, cell, was) == first
        # back to the start: the stored value is the one that the file said last
        if after != first:
            db.upsert_resource(first)
        import_csv(db, write(path, **{column: old}), overwrite=True)


@pytest.mark.parametrize(
    ("port", "topic", "expected"),
    [
        ("502", "", ConnectionType.MODBUSTCP),
        ("802", "", ConnectionType.MODBUSTCP),
        ("1502", "", ConnectionType.MODBUSTCP),
        ("5020", "", ConnectionType.MODBUSTCP),
        ("", "", ConnectionType.MODBUSTCP),
        ("1883", "a/b", ConnectionType.MQTT),
        ("8883", "a/b", ConnectionType.MQTT),
        ("9000", "a/b", ConnectionType.MQTT),
        ("8080", "", None),
        ("65535", "", None),
    ],
)
def test_a_port_stands_for_a_type_or_the_column_is_named(
    tmp_path: Path, port: str, topic: str, expected: ConnectionType | None
) -> None:
    """Well-known ports need no connection type; for others the missing column is named."""
    path = tmp_path / "sites.csv"
    path.write_text(
        f"name,lat,lon,host,port,topic\nInn,55.7,12.5,10.0.0.7,{port},{topic}\n", encoding="utf-8"
    )
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        report = import_csv(db, path)
        found = [one.connection.type for one in db.get_all_resources()]
    assert found == ([] if expected is None else [expected])
    assert all("connection_type" in row.reason for row in report.rejected)
    assert len(report.rejected) == (expected is None)


@pytest.mark.parametrize("header", ["coordinates", "gps", "lat/lon", "koordinater"])
@pytest.mark.parametrize("cell", ["55.7, 12.5", "55.7 12.5", "(55.7, 12.5)"])
def test_coordinates_may_stand_in_one_cell(tmp_path: Path, header: str, cell: str) -> None:
    """A column with both coordinates is found by its usual names."""
    path = tmp_path / "sites.csv"
    path.write_text(f"name;{header}\nInn;{cell}\n", encoding="utf-8")
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        import_csv(db, path)
        (site,) = db.get_all_resources()
    assert site.location == {"latitude": 55.7, "longitude": 12.5}


def test_prepare_samples_lists_what_it_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed sample is printed with its cells and stays; a rejected row is an exit status of 1."""
    assets = tmp_path / "config" / "exampleassets"
    assets.mkdir(parents=True)
    path = assets / "hotels-in-denmark.csv"
    row = 'Inn,"Vej 1, 2800 Lyngby",12.5,55.7\n'
    path.write_text(f"title,address,longitude,latitude\n{row}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert prepare_samples.main() == 0
    assert "left alone" not in capsys.readouterr().out
    with ResourceDatabase("config/resources.db") as db:
        (site,) = db.get_all_resources()
        db.upsert_resource(replace(site, capacities={**site.capacities, "P_max_kw": 7.0}))

    path.write_text(f"title,address,longitude,latitude\n{row}Bad,x,12.5,north\n", encoding="utf-8")
    assert prepare_samples.main() == 1

    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if "left alone" in line]
    assert "Inn" in line
    assert site.resourceID in line
    assert "capacities.P_max_kw is 7.0, the sample has 50.0" in line
    with ResourceDatabase("config/resources.db") as db:
        assert [one.capacities["P_max_kw"] for one in db.get_all_resources()] == [7.0]


def test_an_edited_password_is_never_taken_for_the_imported_one(tmp_path: Path) -> None:
    """The remembered digests of many passwords differ, none is that of another registry or a plain hash."""
    words = [f"hush-{number}" for number in range(20_000)]
    marks = []
    for name in ("one.db", "two.db"):
        with ResourceDatabase(str(tmp_path / name)) as db:
            imported = Imported(digest=partial(db.importing().digest, make=True))
            marks += [imported.mark("connection.password", word, "r1") for word in words]
    assert len(set(marks)) == 2 * len(words)
    plain = sha256(b"r1\0connection.password\0hush-0").hexdigest()
    assert not any(plain[:16] in mark or "hush" in mark for mark in marks)


def test_a_password_that_was_taken_away_and_edited_in_the_file_is_a_conflict(tmp_path: Path) -> None:
    """Both changed: the stored value stays, also where it is none; no secret is in the report."""
    path = write(tmp_path / "shops.csv")
    mapping = path.with_suffix(".toml")
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        for word, cleared in (("hush-1", True), ("hush-2", False)):
            mapping.write_text(f'[connection]\ntype = "modbustcp"\npassword = "{word}"\n', encoding="utf-8")
            report = import_csv(db, path)
            if cleared:
                db.update_resource("r1", {"connection.password": None})
        after = db.get_resource("r1")
    assert after is not None
    assert after.connection.password is None
    assert [one.cells for one in report.conflicts] == [{"connection.password": (None, "***")}]


def test_a_dry_run_makes_no_key_file(tmp_path: Path) -> None:
    """To look what an import would do leaves nothing behind."""
    path = write(tmp_path / "shops.csv")
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        import_csv(db, path)
        mapping = '[connection]\ntype = "modbustcp"\npassword = "hush"\n'
        path.with_suffix(".toml").write_text(mapping, encoding="utf-8")
        assert import_csv(db, path, dry_run=True).updated == 1
    assert not (tmp_path / "r.db.key").exists()


def test_a_column_enabled_that_is_new_in_the_file_wins(tmp_path: Path) -> None:
    """A site without a word about it is enabled: that is the imported value, and "no" wins over it."""
    path = tmp_path / "shops.csv"
    path.write_text("title;latitude;longitude\nShop;55.7;12.5\n", encoding="utf-8")
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        import_csv(db, path)
        path.write_text("title;latitude;longitude;enabled\nShop;55.7;12.5;no\n", encoding="utf-8")
        assert import_csv(db, path).conflicts == []
        (site,) = db.get_all_resources()
    assert site.enabled is False


def test_an_edited_cell_of_an_imported_export_wins(tmp_path: Path) -> None:
    """All cells of our own export are remembered when its sites are created, such as reporting."""
    path = tmp_path / "export.csv"
    link = Connection(ConnectionType.FILEREADER, ActorType.READER, file="a.csv")
    site = Resource(
        "r1", "Inn", "DSR", None, "m-1", link, {}, {}, enabled=True, reporting={"interval": "PT5M"}
    )

    def export(resource: Resource) -> None:
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([columns.COLUMNS, columns.encode(resource)])

    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        export(site)
        import_csv(db, path)
        export(replace(site, reporting={"interval": "PT15M"}))
        report = import_csv(db, path)
        after = db.get_resource("r1")
    assert after is not None
    assert (report.updated, report.conflicts, after.reporting) == (1, [], {"interval": "PT15M"})
