"""One rule per cell: last imported, stored, in the file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from resource_db import ResourceDatabase
from venclient.cli import app
from venclient.messages import code_of
from venclient.model.resource import ConnectionType
from venclient.registry.csv_import import import_csv
from venclient.registry.csv_report import ImportReport
from venclient.registry.samples import generate_resources

HEADER = "title;address;latitude;longitude;resource_id;p_max_kw;connection_type;host;port"
ROW = "Shop;Vej 1, 2800 Lyngby;55.7;12.5;r1;{power};MODBUSTCP;{host};502"


def write(path: Path, power: object = 30, host: str = "10.0.0.7") -> Path:
    path.write_text(f"{HEADER}\n{ROW.format(power=power, host=host)}\n", encoding="utf-8")
    return path


def test_the_same_file_again_wipes_nothing(tmp_path: Path) -> None:
    """Options, username and password that no column names stay."""
    path = write(tmp_path / "shops.csv")
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        import_csv(db, path)
        stored = db.get_resource("r1")
        assert stored is not None
        link = replace(
            stored.connection, options={"template": "eastron-sdm630"}, username="u", password="env:METER"
        )
        db.upsert_resource(replace(stored, connection=link))
        report = import_csv(db, path)
        assert (report.updated, report.unchanged, report.conflicts) == (0, 1, [])
        assert import_csv(db, write(path, host="10.0.0.8")).updated == 1
        after = db.get_resource("r1")
        assert after is not None
        assert after.connection == replace(link, host="10.0.0.8")


def test_both_changed_is_a_conflict_until_overwritten(tmp_path: Path) -> None:
    """The stored value stays and is listed at each import; --overwrite takes the file's."""
    path = write(tmp_path / "shops.csv")
    database = str(tmp_path / "r.db")
    with ResourceDatabase(database) as db:
        import_csv(db, path)
        stored = db.get_resource("r1")
        assert stored is not None
        db.upsert_resource(replace(stored, capacities={**stored.capacities, "P_max_kw": 40.0}))
    write(path, power=50)
    for _ in range(2):
        result = CliRunner().invoke(app, ["import", str(path), "--db", database, "--json"])
        (report,) = json.loads(result.stdout)["files"]
        assert report["conflicts"][0]["cells"] == {"capacities.P_max_kw": [40.0, 50.0]}
    assert "VEN-IMP-001" in CliRunner().invoke(app, ["import", str(path), "--db", database]).stdout
    CliRunner().invoke(app, ["import", str(path), "--db", database, "--overwrite"])
    with ResourceDatabase(database) as db:
        after = db.get_resource("r1")
        assert after is not None
        assert after.capacities["P_max_kw"] == 50


def test_a_renamed_file_changes_nothing(tmp_path: Path) -> None:
    """The sub-type that was assumed from the file's name stays; a file of another name has the same base."""
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        import_csv(db, write(tmp_path / "shops.csv"))
        report = import_csv(db, write(tmp_path / "stores.csv", power=31))
        assert (report.updated, report.conflicts) == (1, [])
        after = db.get_resource("r1")
        assert after is not None
        assert (after.resourceSubType, after.capacities["P_max_kw"]) == ("Shops", 31)


def test_a_new_column_wins_over_what_was_assumed(tmp_path: Path) -> None:
    """A file that says a capacity for the first time replaces the default, and the expected meter file."""
    path = tmp_path / "shops.csv"
    path.write_text("title;latitude;longitude;resource_id\nShop;55.7;12.5;r1\n", encoding="utf-8")
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        import_csv(db, path)
        assert import_csv(db, write(path)).conflicts == []
        after = db.get_resource("r1")
        assert after is not None
        assert after.capacities["P_max_kw"] == 30
        assert (after.connection.type, after.connection.file) == (ConnectionType.MODBUSTCP, None)


def test_secrets_of_a_mapping_are_not_recorded(tmp_path: Path) -> None:
    """The last imported password is compared by a short checksum; its text is not in the table."""
    path = write(tmp_path / "shops.csv")
    mapping = tmp_path / "shops.toml"
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        for word in ("hush-hush-1", "hush-hush-2"):
            mapping.write_text(f'[connection]\ntype = "modbustcp"\npassword = "{word}"\n', encoding="utf-8")
            assert import_csv(db, path).conflicts == []
        after = db.get_resource("r1")
        assert after is not None
        assert after.connection.password == "hush-hush-2"
        with db.get_connection() as connection:
            row = connection.execute("SELECT imported_values FROM import_sources").fetchone()
        assert "hush" not in str(row["imported_values"])


STEPS = st.lists(
    st.tuples(st.sampled_from(("api", "set", "import", "overwrite", "other", "rename")), st.integers(1, 3)),
    max_size=8,
)


@settings(deadline=None, max_examples=10)
@given(STEPS)
def test_all_routes_of_change_follow_the_rule(steps: list[tuple[str, int]]) -> None:
    """Whatever changes a cell, in whatever order, three remembered values say what is stored."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        path, other = folder / "shops.csv", folder / "second.csv"
        last: dict[str, int] = {}
        order: list[str] = []
        with ResourceDatabase(str(folder / "r.db")) as db:
            import_csv(db, write(path, 1))
            stored, renamed = 1, 0
            last[str(path)] = 1
            order.append(str(path))
            for step, value in steps:
                resource = db.get_resource("r1")
                assert resource is not None
                if step == "api":
                    db.upsert_resource(
                        replace(resource, capacities={**resource.capacities, "P_max_kw": value})
                    )
                    stored = value
                    continue
                if step == "set":
                    command = [
                        "resources",
                        "set",
                        "--all",
                        f"capacities.P_max_kw={value}",
                        "--db",
                        db.db_path,
                    ]
                    assert CliRunner().invoke(app, command).exit_code == 0
                    stored = value
                    continue
                if step == "rename":
                    renamed += 1
                    path = path.rename(folder / f"shops-{renamed}.csv")
                file = other if step == "other" else path
                source = str(file)
                base = last.get(source, last[order[-1]])
                conflict = value not in (stored, base) and stored != base and step != "overwrite"
                if value != stored and value != base and not conflict:
                    stored = value
                report = import_csv(db, write(file, value), overwrite=step == "overwrite")
                assert bool(report.conflicts) == conflict
                now = base if conflict else value
                if last.get(source) != now:
                    last[source] = now
                    order = [one for one in order if one != source] + [source]
                after = db.get_resource("r1")
                assert after is not None
                assert after.capacities["P_max_kw"] == stored


def codes(report: ImportReport) -> list[str]:
    """Return the codes of a report's warnings."""
    return [code_of(text) for text in report.warnings]


def test_a_deleted_site_that_comes_again_is_reported(tmp_path: Path) -> None:
    """The file still has it, so it is created; that this undoes a deletion is a warning with its line."""
    file = tmp_path / "list.csv"
    file.write_text("name,address,latitude,longitude,ven\nA,Vej 1,56.1,9.1,V\nB,Vej 2,56.1,9.1,V\n")
    with ResourceDatabase(tmp_path / "r.db") as db:
        assert "VEN-IMP-111" not in codes(import_csv(db, file))
        [b] = [one for one in db.get_all_resources() if one.resourceName == "B"]
        db.delete_resource(b.resourceID)

        dry = import_csv(db, file, dry_run=True)
        report = import_csv(db, file)
        assert codes(dry) == codes(report)
        assert [lines for text, lines in report.warnings.items() if code_of(text) == "VEN-IMP-111"] == [[3]]
        assert report.created == 1
        assert "VEN-IMP-111" not in codes(import_csv(db, file))


@pytest.mark.parametrize(("address", "moved"), [("", ",56.2"), ("Vej 1", "Vej 9,56.2")])
def test_a_site_that_moved_is_reported_as_another_one(tmp_path: Path, address: str, moved: str) -> None:
    """Address, or position without one, is its identity; a column resource_id makes it the same."""
    file = tmp_path / "list.csv"
    file.write_text(f"name,address,latitude,longitude,ven\nA,{address},56.1,9.1,V\n")
    with ResourceDatabase(tmp_path / "r.db") as db:
        assert "VEN-IMP-112" not in codes(import_csv(db, file))
        [a] = db.get_all_resources()

        file.write_text(f"name,address,latitude,longitude,ven\nA,{moved},9.1,V\nOther,Vej 3,56.1,9.1,V\n")
        report = import_csv(db, file, dry_run=True)
        assert [lines for text, lines in report.warnings.items() if code_of(text) == "VEN-IMP-112"] == [[2]]

        file.write_text(f"name,address,latitude,longitude,ven,resource_id\nA,{moved},9.1,V,{a.resourceID}\n")
        report = import_csv(db, file)
        assert (report.created, report.updated) == (0, 1)
        assert "VEN-IMP-112" not in codes(report)
        assert [one.location["latitude"] for one in db.get_all_resources()] == [56.2]


def test_samples_leave_a_changed_site_alone(tmp_path: Path) -> None:
    """A second preparation changes nothing that a user changed, and a renamed file no sub-type."""
    assets = tmp_path / "exampleassets"
    assets.mkdir()
    path = assets / "hotels-in-denmark.csv"
    path.write_text("title,address,longitude,latitude\nH,Vej 1 2800 Lyngby,12.5,55.7\n", encoding="utf-8")
    with generate_resources(tmp_path) as db:
        (site,) = db.get_all_resources()
        changed = replace(site, resourceName="Mine", capacities={**site.capacities, "P_max_kw": 7.0})
        db.upsert_resource(changed)
    path.rename(assets / "inns-in-denmark.csv")
    with generate_resources(tmp_path, quiet=False) as db:
        assert db.get_all_resources() == [changed]


def test_synonyms_and_assumed_connections(tmp_path: Path) -> None:
    """Common headers are understood; a host with a Modbus port needs no type."""
    path = tmp_path / "sites.csv"
    path.write_text(
        "name;lattitude;longtitude;type;power;zipcode;city;host;port\n"
        "Roof;55.7;12.5;PV;30;2800;Lyngby;10.0.0.7;502\n",
        encoding="utf-8",
    )
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        report = import_csv(db, path)
        (site,) = db.get_all_resources()
    assert (report.rejected, site.resourceType, site.capacities["P_max_kw"]) == ([], "PV", 30)
    assert (site.connection.type, site.ven) == (ConnectionType.MODBUSTCP, "Lyngby")
    path.write_text("name;lat;lon;type\nInn;55.7;12.5;restaurant\n", encoding="utf-8")
    with ResourceDatabase(str(tmp_path / "r2.db")) as db:
        assert import_csv(db, path).unused == ["type"]


def test_a_failed_mapping_keeps_the_rejects_file(tmp_path: Path) -> None:
    """The rejects of an earlier import stay when a later one cannot read its file."""
    path = tmp_path / "sites.csv"
    path.write_text("name,lat,lon\nInn,55.7,12.5\nBad,x,12.5\n", encoding="utf-8")
    arguments = ["import", str(path), "--db", str(tmp_path / "r.db")]
    assert CliRunner().invoke(app, arguments).exit_code == 1
    assert CliRunner().invoke(app, [*arguments, "--map", "title=nowhere"]).exit_code == 2
    assert (tmp_path / "sites.csv.rejects.csv").exists()


def test_odd_rows_cost_no_other_row(tmp_path: Path) -> None:
    """Blank surplus cells and a web address as a name are accepted; NUL bytes reject their line alone."""
    path = tmp_path / "sites.csv"
    path.write_bytes(
        b'name,address,lat,lon\nShop,"Vej 1, 2800 Kongens Lyngby, Denmark",55.7,12.5,\n'
        b'www.shop.dk,"Vej 2, 2800 Kongens Lyngby, Denmark",55.7,12.5\n'
        b"Bad\0\0\0\0\0\0,x,55.7,12.5\nMore,x,55.7,12.5,y\n"
    )
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        report = import_csv(db, path, keep_good=True)
    assert (report.created, [row.line for row in report.rejected]) == (2, [4, 5])


def test_a_template_column_fills_one_option_by_the_same_rule(tmp_path: Path) -> None:
    """The template is a separate cell: other options stay, and a template changed by a user is kept."""
    path = tmp_path / "sites.csv"

    def write_template(name: str) -> None:
        path.write_text(
            f"name,lat,lon,host,port,template\nInn,55.7,12.5,10.0.0.7,1503,{name}\n", encoding="utf-8"
        )

    def change(options: dict[str, object]) -> None:
        (site,) = db.get_all_resources()
        db.upsert_resource(replace(site, connection=replace(site.connection, options=options)))

    def stored() -> object:
        (site,) = db.get_all_resources()
        return site.connection.options

    write_template("eastron-sdm630")
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        assert import_csv(db, path).rejected == []
        (site,) = db.get_all_resources()
        assert (site.connection.type, site.connection.port) == (ConnectionType.MODBUSTCP, 1503)
        change({"template": "eastron-sdm630", "unit": 5})
        assert import_csv(db, path).unchanged == 1
        write_template("abb-b23")
        assert import_csv(db, path).updated == 1
        assert stored() == {"template": "abb-b23", "unit": 5}
        change({"template": "eastron-sdm630", "unit": 5})
        assert import_csv(db, path).unchanged == 1
        write_template("eastron-sdm120")
        conflicts = import_csv(db, path).conflicts
        assert [list(one.cells) for one in conflicts] == [["connection.options.template"]]
        assert import_csv(db, path, overwrite=True).updated == 1
        assert stored() == {"template": "eastron-sdm120", "unit": 5}


def test_an_unknown_template_rejects_its_row(tmp_path: Path) -> None:
    """The reason names templates that are spelled alike; a blank cell names no template."""
    path = tmp_path / "sites.csv"
    path.write_text(
        "name,lat,lon,host,template\nA,55.7,12.5,10.0.0.7,eastron-sdm36\nB,55.71,12.5,10.0.0.8,\n",
        encoding="utf-8",
    )
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        report = import_csv(db, path, keep_good=True)
        (site,) = db.get_all_resources()
    assert [row.line for row in report.rejected] == [2]
    assert "eastron-sdm630" in report.rejected[0].reason
    assert site.connection.options is None
