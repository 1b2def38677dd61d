"""Rows become sites, or say by line, column and reason why not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.errors import ConfigError
from venclient.messages import code_of
from venclient.model.resource import ConnectionType
from venclient.registry.csv_mapping import from_flags, told
from venclient.registry.csv_sites import CsvSites, Duplicate, Rejected, Seen, Site

HEADER = "title,address,longitude,latitude"
HOTEL = 'Hotel A,"Nørregade 1, 7400 Herning, Denmark",8.97,56.14'


def write(folder: Path, *lines: str, name: str = "hotels-in-denmark.csv") -> Path:
    """Write lines to a file of sites and give its path."""
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def only(path: Path, *pairs: str, **values: object) -> Site | Duplicate | Rejected:
    """Return what became of the file's one row."""
    (item,) = CsvSites(path, told("test", columns=from_flags(pairs), **values)).items()
    return item


def rejected(path: Path, *pairs: str) -> Rejected:
    """Return the refusal of the file's one row."""
    item = only(path, *pairs)
    assert isinstance(item, Rejected)
    return item


def site(path: Path, *pairs: str, **values: object) -> Site:
    """Return the site of the file's one row."""
    item = only(path, *pairs, **values)
    assert isinstance(item, Site), item
    return item


def test_a_row_in_the_scraper_layout_becomes_a_resource(tmp_path: Path) -> None:
    """Name, place, VEN and kind come from the row and the file's name; ids and capacities are derived."""
    resource = site(write(tmp_path, HEADER, HOTEL)).resource
    assert (resource.resourceName, resource.resourceType, resource.resourceSubType) == (
        "Hotel A",
        "DSR",
        "Hotels",
    )
    assert resource.ven == "Herning"
    assert resource.location == {"latitude": 56.14, "longitude": 8.97}
    assert resource.capacities == {"P_max_kw": 50, "P_min_kw": -20, "E_max_kwh": 200, "E_min_kwh": 0}
    assert resource.connection.type is ConnectionType.FILEREADER
    assert resource.meterPointId in (resource.connection.file or "")


@pytest.mark.parametrize(
    ("name", "kind", "sub_type", "p_max_kw"),
    [
        ("chargingstations-in-denmark.csv", "EV", "Chargingstations", 22),
        ("swimmingpools-in-denmark.csv", "DSR", "Swimmingpools", 50),
        ("schools-stavanger.csv", "DSR", "Schools", 100),
        ("industry-in-denmark.csv", "DSR", "Industry", 100),
        ("bars.csv", "DSR", "Bars", 25),
    ],
)
def test_kind_and_capacities_follow_from_the_file_name(
    tmp_path: Path, name: str, kind: str, sub_type: str, p_max_kw: float
) -> None:
    """The sub-type is the name's first word, and the capacities are those of the kind."""
    resource = site(write(tmp_path, HEADER, HOTEL, name=name)).resource
    assert (resource.resourceType, resource.resourceSubType) == (kind, sub_type)
    assert resource.capacities["P_max_kw"] == p_max_kw


@pytest.mark.parametrize("null", ["Not Found", "N/A", "-", "", "  ", "NULL"])
def test_scraper_nulls_are_nulls(tmp_path: Path, null: str) -> None:
    """What a scraper writes for nothing is nothing: no address, and no VEN named "Found"."""
    path = write(tmp_path, HEADER, f"Hotel A,{null},8.97,56.14")
    sites = CsvSites(path)
    (item,) = sites.items()
    assert isinstance(item, Site)
    assert (item.resource.address, item.resource.ven) == (None, None)
    ((text, lines),) = sites.warnings.items()
    assert code_of(text) == "VEN-IMP-050"
    assert lines == [2]


@pytest.mark.parametrize(
    ("row", "column", "code"),
    [
        (",x,8.97,56.14", "title", "VEN-IMP-015"),
        ("Hotel A,x,8.97,", "latitude", "VEN-IMP-016"),
        ("Hotel A,x,abc,56.14", "longitude", "VEN-IMP-021"),
        ("Hotel A,x,8.97,156.14", "latitude", "VEN-IMP-025"),
        ("Hotel A,x,532000,6223000", "latitude", "VEN-IMP-024"),
        ("Hotel A,x,0,0", "latitude", "VEN-IMP-029"),
        ('Hotel A,x,"8,97","56,14"', "latitude", "VEN-IMP-022"),
        ("Hotel A,https://example.org/a,8.97,56.14", "address", "VEN-IMP-030"),
        (f"{'A' * 10_000},x,8.97,56.14", "title", "VEN-IMP-032"),
        ("Hotel\x00A,x,8.97,56.14", "title", "VEN-IMP-034"),
    ],
)
def test_a_bad_row_names_line_column_and_reason(tmp_path: Path, row: str, column: str, code: str) -> None:
    """Only the bad row is left out; it says where and why."""
    path = write(tmp_path, HEADER, HOTEL, row, HOTEL.replace("Hotel A", "Hotel B"))
    items = list(CsvSites(path, told("test", decimal=".")).items())
    assert [type(item) for item in items] == [Site, Rejected, Site]
    bad = items[1]
    assert isinstance(bad, Rejected)
    assert (bad.line, bad.column) == (3, column)
    assert code_of(bad.reason) == code


def test_bytes_that_are_no_utf_8_cost_one_row(tmp_path: Path) -> None:
    """One broken byte in a UTF-8 file rejects its row and leaves the spelling of the others alone."""
    path = tmp_path / "hotels.csv"
    good = "Kro Ø,æøå,8.97,56.14\n".encode()
    path.write_bytes(HEADER.encode() + b"\n" + good + b"Kro \xff,x,8.9,56.1\n")
    first, second = CsvSites(path).items()
    assert isinstance(first, Site)
    assert first.resource.resourceName == "Kro Ø"
    assert isinstance(second, Rejected)
    assert (second.line, second.column, code_of(second.reason)) == (3, "title", "VEN-IMP-033")


def test_a_shifted_row_of_the_right_width_is_refused(tmp_path: Path) -> None:
    """Text in number columns and a number in a text column show that cells slid, whatever their count."""
    rows = [f"School {n},{n},{1000 + n},Bygning,8.{n:02},56.1" for n in range(1, 40)]
    rows.append("Bygning,School X,Street,7,8.1,56.1")
    path = write(tmp_path, "title,id,municipality,object,longitude,latitude", *rows)
    items = list(CsvSites(path).items())
    assert Counter(type(item) for item in items) == {Site: 39, Rejected: 1}
    assert isinstance(items[-1], Rejected)
    assert code_of(items[-1].reason) == "VEN-IMP-031"


def test_equal_rows_are_one_site(tmp_path: Path) -> None:
    """A row that says the same again is a duplicate, however it is spaced."""
    path = write(tmp_path, HEADER, HOTEL, HOTEL.replace("Hotel A", " Hotel  A "))
    assert [type(item) for item in CsvSites(path).items()] == [Site, Duplicate]


def test_equal_sites_with_other_values_are_refused_and_said(tmp_path: Path) -> None:
    """Which of two rows is right cannot be known: the later is rejected, naming the earlier."""
    path = write(tmp_path, HEADER, HOTEL, HOTEL.replace("8.97", "9.97"))
    _, second = CsvSites(path).items()
    assert isinstance(second, Rejected)
    assert f"{path.name}:2" in second.reason


def test_files_of_one_import_know_each_other(tmp_path: Path) -> None:
    """A site that stands in two files of one run is taken from the first."""
    seen = Seen()
    first = list(CsvSites(write(tmp_path, HEADER, HOTEL)).items(seen))
    second = list(CsvSites(write(tmp_path, HEADER, HOTEL, name="hotels-2.csv")).items(seen))
    assert [type(item) for item in first + second] == [Site, Duplicate]


def test_equal_rows_may_be_numbered(tmp_path: Path) -> None:
    """Where equal rows are devices of their own, each gets an id that the next import finds again."""
    path = write(tmp_path, HEADER, HOTEL, HOTEL, HOTEL)
    sites = CsvSites(path, told("test", duplicates="number"))
    resources = [item.resource for item in sites.items() if isinstance(item, Site)]
    assert [resource.resourceName for resource in resources] == ["Hotel A", "Hotel A (2)", "Hotel A (3)"]
    again = [item.resource.resourceID for item in sites.items() if isinstance(item, Site)]
    assert again == [resource.resourceID for resource in resources]
    assert len(set(again)) == 3


def test_a_key_column_is_the_identity(tmp_path: Path) -> None:
    """With a key column a site stays itself when its name changes."""
    before = site(write(tmp_path, f"{HEADER},nr", f"{HOTEL},17"), "key=nr").resource
    after = site(write(tmp_path, f"{HEADER},nr", f"{HOTEL.replace('Hotel A', 'New')},17"), "key=nr").resource
    assert before.resourceID == after.resourceID


def test_ids_in_columns_are_used_as_they_are(tmp_path: Path) -> None:
    """Given ids win over derived ones; a wrong check digit is a warning and no more."""
    path = write(tmp_path, f"{HEADER},meterpoint_id,resource_id", f"{HOTEL},571313174200000001,site-1")
    sites = CsvSites(path)
    (item,) = sites.items()
    assert isinstance(item, Site)
    assert (item.resource.meterPointId, item.resource.resourceID) == ("571313174200000001", "site-1")
    assert [code_of(text) for text in sites.warnings] == ["VEN-IMP-051"]


@pytest.mark.parametrize("number", ["5.71313E+17", "571313174200000001.0"])
def test_a_meter_point_id_that_a_spreadsheet_rounded_is_refused(tmp_path: Path, number: str) -> None:
    """Digits that were lost cannot be made up."""
    path = write(tmp_path, f"{HEADER},meterpoint_id", f"{HOTEL},{number}")
    assert code_of(rejected(path).reason) == "VEN-IMP-020"


def test_capacities_come_from_columns_where_there_are_some(tmp_path: Path) -> None:
    """A mapped column gives its capacity; the others keep the kind's."""
    path = write(tmp_path, f"{HEADER},kW", f"{HOTEL},30")
    found = site(path, "p_max_kw=kW")
    assert found.resource.capacities == {"P_max_kw": 30, "P_min_kw": -20, "E_max_kwh": 200, "E_min_kwh": 0}
    assert found.given is not None
    assert "P_max_kw" in found.given
    assert "P_min_kw" not in found.given


def test_capacities_that_contradict_are_refused(tmp_path: Path) -> None:
    """A least power above the greatest is not a capacity."""
    path = write(tmp_path, f"{HEADER},kW", f"{HOTEL},-30")
    assert code_of(rejected(path, "p_max_kw=kW").reason) == "VEN-IMP-017"


def test_connections_come_from_columns_or_a_pattern(tmp_path: Path) -> None:
    """Host, port and topic are taken; a pattern's topic may hold the meter point."""
    path = write(tmp_path, f"{HEADER},connection_type,host,port", f"{HOTEL},MODBUSTCP,10.0.0.7,1502")
    connection = site(path).resource.connection
    assert (connection.type.name, connection.host, connection.port) == ("MODBUSTCP", "10.0.0.7", 1502)


@pytest.mark.parametrize(
    ("cells", "column", "code"),
    [
        ("MODBUSTCP,,502", "host", "VEN-IMP-005"),
        ("MODBUSTCP,10.0.0.7,x", "port", "VEN-IMP-004"),
        ("MODBUSTCP,10.0.0.7,70000", "port", "VEN-IMP-004"),
        ("MODBUS,10.0.0.7,502", "connection_type", "VEN-REG-012"),
        ("MQTT,10.0.0.7,1883", "topic", "VEN-IMP-005"),
    ],
)
def test_a_bad_connection_is_refused(tmp_path: Path, cells: str, column: str, code: str) -> None:
    """A connection that could not be opened is said at once, with its column."""
    item = rejected(write(tmp_path, f"{HEADER},connection_type,host,port", f"{HOTEL},{cells}"))
    assert item.column == column
    assert code_of(item.reason) == code


def test_address_parts_are_put_together(tmp_path: Path) -> None:
    """Street, number, post code and town in columns make one address; the town is the VEN, whole."""
    path = write(
        tmp_path,
        "navn;gade;husnr;postnr;by;breddegrad;længdegrad",
        "Bar;Algade;3 B;4800;Nykøbing F;54,77;11,87",
    )
    resource = site(path).resource
    assert (resource.address, resource.ven) == ("Algade 3 B, 4800 Nykøbing F", "Nykøbing F")
    assert resource.location == {"latitude": 54.77, "longitude": 11.87}


def test_one_column_may_hold_both_coordinates(tmp_path: Path) -> None:
    """A pair of coordinates in one cell is taken apart."""
    path = write(tmp_path, "title,koordinater", 'Skola,"(59.85,17.64)"')
    assert site(path, ven="Uppsala").resource.location == {"latitude": 59.85, "longitude": 17.64}


def test_missing_coordinates_are_taken_only_when_allowed(tmp_path: Path) -> None:
    """A site without a position is refused, unless that is allowed."""
    path = write(tmp_path, HEADER, "Hotel A,x,,")
    (item,) = CsvSites(path, allow_missing_location=True).items()
    assert isinstance(item, Site)
    assert item.resource.location == {}
    with pytest.raises(ConfigError, match="VEN-IMP-069"):
        CsvSites(write(tmp_path, "title", "Hotel A"))


def test_a_file_that_nothing_names_is_refused_with_its_columns(tmp_path: Path) -> None:
    """Without a column of names the file is refused; the sentence shows the columns and what to type."""
    path = write(tmp_path, "Skole,Latitude,Longitude", "A,1,2")
    with pytest.raises(ConfigError, match="VEN-IMP-066") as caught:
        CsvSites(path)
    assert "--map title=<column>" in caught.value.hint
    assert "Skole" in caught.value.hint


_rows = st.lists(
    st.tuples(
        st.text("abcæøå -N/A", max_size=6),
        st.sampled_from(["", "Gade 1, 7400 Herning, Denmark", "Not Found", "5"]),
        st.sampled_from(["8.97", "", "x", "1e999", "-200"]),
        st.sampled_from(["56.14", "abc", "91"]),
    ),
    max_size=12,
)


@given(_rows)
@settings(max_examples=30, deadline=None)
def test_every_row_has_one_fate_and_ids_are_stable(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    """Each row becomes a site, a duplicate or a refusal; a second reading gives the very same."""
    path = tmp_path_factory.mktemp("rows") / "hotels.csv"
    lines = [",".join(f'"{cell}"' for cell in row) for row in rows]
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    sites = CsvSites(path)
    first = list(sites.items())
    filled = [n for n, row in enumerate(rows, 2) if any(cell.strip() for cell in row)]
    assert [item.line for item in first] == filled
    assert list(sites.items()) == first
