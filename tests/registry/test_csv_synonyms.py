"""Headers and words that people type, and files as odd programs write them."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from typer.testing import CliRunner

from venclient.cli import app
from venclient.errors import ConfigError
from venclient.messages import code_of
from venclient.model.resource import ConnectionType, Resource
from venclient.registry.csv_import import import_csv
from venclient.registry.csv_report import ImportReport
from venclient.registry.csv_synonyms import BY_NAME, SYNONYMS, TYPE_WORDS, loose
from venclient.registry.database import ResourceDatabase


def imported(path: Path, content: str | bytes) -> tuple[ImportReport, list[Resource]]:
    """Import a file into a new registry, its good rows, and return the report and the resources."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with ResourceDatabase(path.with_suffix(".db")) as db:
        report = import_csv(db, path, keep_good=True)
        return report, db.get_all_resources()


def test_no_header_has_two_meanings() -> None:
    """Each name stands for one meaning, whatever its case and punctuation."""
    names = {(loose(name), meaning) for meaning, all_ in SYNONYMS.items() for name in (meaning, *all_)}
    assert len(names) == len(BY_NAME)
    words = [loose(word) for kinds in TYPE_WORDS.values() for word in kinds]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize(
    "header",
    [
        *("P_max", "pmax_kw", "Max power (kW)", "Rated power [kW]", "nominal_power_kw", "installed-power"),
        *("Installed capacity (kW)", "capacity_kW", "kW", "kWp", "Maks. effekt", "Leistung (kW)"),
        *("Nennleistung", "Effekt [kW]", "peak power", "POWER"),
    ],
)
def test_headers_of_the_greatest_power(tmp_path: Path, header: str) -> None:
    """Case, underscores, brackets and units in a header do not matter."""
    _, (site,) = imported(tmp_path / "sites.csv", f"{header};name;lat;lon\n30;A;55.7;12.5\n")
    assert site.capacities["P_max_kw"] == 30


@pytest.mark.parametrize("header", ["capacity", "Power (W)", "power MW", "energy", "kWh"])
def test_headers_of_an_unclear_unit_are_listed_as_unused(tmp_path: Path, header: str) -> None:
    """A number that may be watts, or a year's consumption, is not taken for a capacity in kW or kWh."""
    report, (site,) = imported(tmp_path / "sites.csv", f"name;lat;lon;{header}\nA;55.7;12.5;30\n")
    assert report.unused == [header]
    assert (site.capacities["P_max_kw"], site.capacities["E_max_kwh"]) == (25, 100)


@pytest.mark.parametrize(
    ("header", "word", "kind"),
    [
        *(("type", "solar", "PV"), ("Type", "Solar PV", "PV"), ("asset_type", "Photovoltaics", "PV")),
        *(("type", "EV charger", "EV"), ("kind", "Charging station", "EV"), ("Typ", "Wallbox", "EV")),
        *(("type", "Battery storage", "BATTERY"), ("technology", "BESS", "BATTERY")),
        *(("type", "Storage", "BATTERY"), ("type", "load", "DSR"), ("category", "pv", "PV")),
        *(("Anlægstype", "Solceller", "PV"), ("anlagentyp", "Batteriespeicher", "BATTERY")),
    ],
)
def test_words_of_types(tmp_path: Path, header: str, word: str, kind: str) -> None:
    """Common words for the four types are understood, in English, Danish and German."""
    report, (site,) = imported(tmp_path / "sites.csv", f"name;lat;lon;{header}\nA;55.7;12.5;{word}\n")
    assert site.resourceType == kind
    assert not {"VEN-IMP-008", "VEN-IMP-009"} & {code_of(text) for text in report.assumptions}


def test_another_classification_is_no_type(tmp_path: Path) -> None:
    """Of several columns the one that holds types is taken; a category "Storage" alone is none."""
    report, sites = imported(
        tmp_path / "a.csv", "name,category,type,lat,lon\nA,Hotel,PV,55.7,12.5\nB,Bar,solar,55.7,12.6\n"
    )
    assert ([site.resourceType for site in sites], report.unused) == (["PV", "PV"], ["category"])
    report, (site,) = imported(tmp_path / "b.csv", "name,category,lat,lon\nA,Storage,55.7,12.5\n")
    assert (site.resourceType, report.unused) == ("DSR", ["category"])
    report, _ = imported(tmp_path / "c.csv", "name,type,lat,lon\nA,PV,55.7,12.5\nB,Slar,55.7,12.6\n")
    assert [(row.line, code_of(row.reason)) for row in report.rejected] == [(3, "VEN-REG-012")]


def test_the_better_header_is_taken(tmp_path: Path) -> None:
    """ "name" is the site's name though a column "company" comes first; latitude and longitude are enough."""
    report, sites = imported(
        tmp_path / "a.csv", "company,gps,name,lat,lon\nX A/S,north,A,55.7,12.5\nX A/S,south,B,55.7,12.6\n"
    )
    assert {site.resourceName for site in sites} == {"A", "B"}
    assert report.unused == ["company", "gps"]


def test_connections_in_common_words(tmp_path: Path) -> None:
    """Headers and types of connections are understood however they are spaced."""
    _, sites = imported(
        tmp_path / "a.csv",
        "Site name,Latitude (deg),Longitude (deg),Protocol,IP-address,TCP port,MQTT topic,active\n"
        "A,55.7,12.5,Modbus TCP,10.0.0.7,1502,,yes\nB,55.7,12.6,mqtt,10.0.0.8,1883,a/b,inactive\n",
    )
    found = {one.resourceName: (one.connection.type, one.connection.port, one.enabled) for one in sites}
    assert found == {"A": (ConnectionType.MODBUSTCP, 1502, True), "B": (ConnectionType.MQTT, 1883, False)}


TEXT = "name;address;lat;lon\nØ;Vej 1, 2800 Lyngby;55,7;12,5\n"


@pytest.mark.parametrize(
    "content",
    [
        *(TEXT.encode("utf-16"), codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), TEXT.encode("utf-32")),
        *(TEXT.encode("utf-16-le"), TEXT.encode("utf-16-be"), TEXT.encode("utf-8-sig")),
        TEXT.replace(";", "\t").replace("\n", "\r\n").encode("utf-16"),
        ("sep=;\n" + TEXT).encode(),
    ],
)
def test_files_of_wide_characters(tmp_path: Path, content: bytes) -> None:
    """UTF-16 and UTF-32 are found with or without a byte order mark."""
    _, (site,) = imported(tmp_path / "sites.csv", content)
    assert (site.resourceName, site.ven, site.location["longitude"]) == ("Ø", "Lyngby", 12.5)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("bad", [1, 3, 20])
def test_nul_bytes_cost_their_lines_alone(tmp_path: Path, end: bytes, bad: int) -> None:
    """Below a header of text each line with NUL bytes is rejected, however many there are."""
    rows = [b"A,x,55.7,12.5", *(b"B%d\0\0\0\0\0\0,x,55.7,12.6" % n for n in range(bad)), b"C,x,55.7,12.7"]
    report, sites = imported(tmp_path / "sites.csv", end.join([b"name,address,lat,lon", *rows, b""]))
    assert [site.resourceName for site in sites] == ["A", "C"]
    assert [row.line for row in report.rejected] == [*range(3, bad + 3)]
    assert {code_of(row.reason) for row in report.rejected} == {"VEN-IMP-034"}


def test_a_file_that_ends_in_nul_bytes_loses_no_other_row(tmp_path: Path) -> None:
    """What a power cut leaves at the end of a file is one bad row."""
    content = b"name,lat,lon\nA,55.7,12.5\nB,55.7,12.6\n" + b"\0" * 4096
    report, sites = imported(tmp_path / "sites.csv", content)
    assert (len(sites), [row.line for row in report.rejected]) == (2, [4])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("surplus", ["{0}", "{0}{0}{0}", "{0} {0}  ", '{0}""{0}" "'])
def test_surplus_blank_cells_lose_nothing(tmp_path: Path, delimiter: str, surplus: str) -> None:
    """Blank cells after the last column are accepted, quoted or not, in all rows or in one."""
    more = surplus.format(delimiter)
    rows = [f"A|{delimiter}55.7|12.5", "B|x|55.7|12.6"]
    for number, ends in enumerate(((more, more), (more, ""), ("", more))):
        lines = [f'"{row.split("|")[0]}"|"{row.split("|")[1]}"|55.7|12.{at}' for at, row in enumerate(rows)]
        text = "\n".join(["name|address|lat|lon", *(a + b for a, b in zip(lines, ends, strict=True)), ""])
        report, sites = imported(tmp_path / f"{number}.csv", text.replace("|", delimiter))
        assert (len(sites), report.rejected) == (2, [])


def test_blank_headers_that_no_row_has_are_no_columns(tmp_path: Path) -> None:
    """A header that ends in blank cells fits rows that do not; a row with more to say is rejected."""
    report, sites = imported(
        tmp_path / "a.csv", "name,lat,lon,,\nA,55.7,12.5\nB,55.7,12.6\nC,55.7,12.7,,x\nD,55.7,12.8,,\n"
    )
    assert [site.resourceName for site in sites] == ["A", "B", "D"]
    assert [(row.line, code_of(row.reason)) for row in report.rejected] == [(4, "VEN-IMP-035")]


def test_names_with_dots_and_web_addresses_are_names(tmp_path: Path) -> None:
    """A web address as a name alone does not show a shift."""
    names = ["www.shop.dk", "https://a.dk/x?q=1", "shop.dk", "St. John's", "A.B.C.", "www.x.dk Shop"]
    rows = "".join(f'{name},"Vej 1, 2800 Lyngby",55.7,12.5\n' for name in names)
    report, sites = imported(tmp_path / "a.csv", f"name,address,lat,lon\n{rows}")
    assert report.rejected == []
    assert sorted(site.resourceName for site in sites) == sorted(names)


def test_a_file_without_rows_is_no_error_and_an_empty_one_is(tmp_path: Path) -> None:
    """A header alone is a warning; a file with nothing, or a byte order mark alone, cannot be used."""
    report, sites = imported(tmp_path / "a.csv", "name,lat,lon")
    assert (sites, [code_of(text) for text in report.warnings]) == ([], ["VEN-IMP-053"])
    for content, code in ((b"", "073"), (b"  \n\n", "077"), (codecs.BOM_UTF8, "077"), (b"\xff\xfe", "077")):
        with pytest.raises(ConfigError, match=f"VEN-IMP-{code}"):
            imported(tmp_path / "b.csv", content)


def test_a_failing_mapping_file_keeps_rejects_and_makes_no_folder(tmp_path: Path) -> None:
    """Whatever fails, the rejects of before stay, and a mistyped database leaves no folder behind."""
    path = tmp_path / "sites.csv"
    path.write_text("name,lat,lon\nA,x,12.5\nB,55.7,y\n", encoding="utf-8")
    database = tmp_path / "confg" / "deep" / "resources.db"
    words = ["import", str(path), "--db", str(database)]
    assert CliRunner().invoke(app, [*words, "--keep-good"]).exit_code == 1
    rejects = path.with_name("sites.csv.rejects.csv")
    before = rejects.read_text(encoding="utf-8")
    path.with_suffix(".toml").write_text("type = 3\n", encoding="utf-8")
    assert CliRunner().invoke(app, words).exit_code == 2
    path.with_suffix(".toml").unlink()
    path.write_bytes(b"")
    assert CliRunner().invoke(app, words).exit_code == 2
    path.unlink()
    assert CliRunner().invoke(app, words).exit_code == 2
    assert rejects.read_text(encoding="utf-8") == before
    assert not database.parent.parent.exists()
