"""What columns mean: synonyms, flags and TOML files, and how mistakes in them are reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from venclient.errors import ConfigError
from venclient.model.resource import ConnectionType
from venclient.registry.csv_mapping import CsvMapping, beside, from_flags, load, resolve, told


def toml(folder: Path, text: str) -> Path:
    """Write a mapping and give its path."""
    path = folder / "sites.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_mapping_beside_the_file_is_found(tmp_path: Path) -> None:
    """sites.toml belongs to sites.csv."""
    assert beside(tmp_path / "sites.csv") is None
    path = toml(tmp_path, "")
    assert beside(tmp_path / "sites.csv") == path


def test_a_mapping_file_says_columns_defaults_and_connection(tmp_path: Path) -> None:
    """All that a file can say arrives."""
    mapping = load(
        toml(
            tmp_path,
            """
            type = "EV"
            sub_type = "Charging stations"
            ven = "Köln"
            duplicates = "number"
            header_line = 3
            [columns]
            title = ["Betreiber", "Ort"]
            p_max_kw = "Anschlussleistung"
            [connection]
            type = "mqtt"
            host = "broker"
            topic = "meters/{meterpoint_id}"
            [connection.options]
            values = [{path = "/power", quantity = "power_kw"}]
            """,
        )
    )
    assert (mapping.type, mapping.sub_type, mapping.ven) == ("EV", "Charging stations", "Köln")
    assert mapping.columns == {"title": ("Betreiber", "Ort"), "p_max_kw": ("Anschlussleistung",)}
    assert mapping.connection is not None
    assert mapping.connection.type is ConnectionType.MQTT
    assert mapping.connection.options == {"values": [{"path": "/power", "quantity": "power_kw"}]}


def test_all_mistakes_of_a_mapping_are_told_at_once(tmp_path: Path) -> None:
    """Each wrong key and value is named, with what is known."""
    path = toml(
        tmp_path,
        'type = "BOILER"\ndecimal = ";"\ncolour = "red"\nven = 7\nheader_line = true\n'
        '[columns]\nnaam = "x"\ntitle = 3\n[connection]\ntype = "smoke"\nspeed = 1\n',
    )
    with pytest.raises(ConfigError) as caught:
        load(path)
    problems = "\n".join(caught.value.problems)
    for part in (
        "BOILER",
        "decimal",
        "colour",
        "ven 7",
        "header_line",
        "naam",
        "title 3",
        "smoke",
        "speed",
    ):
        assert part in problems, part
    assert all(str(path) in problem for problem in caught.value.problems)


@pytest.mark.parametrize("text", ["[columns", "\xff", "type ="])
def test_a_mapping_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    """A broken TOML file is reported with its path."""
    path = tmp_path / "sites.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match="VEN-IMP-061"):
        load(path)


def test_flags_win_over_the_file() -> None:
    """What is typed is put over what the mapping file says, key by key."""
    file = told("file", columns={"title": ("A",), "key": ("K",)}, ven="X", type="EV")
    flags = told("flags", columns=from_flags(["title=B"]), ven="Y")
    both = flags.over(file)
    assert both.columns == {"title": ("B",), "key": ("K",)}
    assert (both.ven, both.type) == ("Y", "EV")


@pytest.mark.parametrize("pair", ["title", "title=", "=x", "name=x"])
def test_bad_flags_are_refused(pair: str) -> None:
    """A --map that says nothing known is refused with its text."""
    with pytest.raises(ConfigError, match=r"VEN-IMP-0(59|60)"):
        told("flags", columns=from_flags([pair]))


def test_column_names_match_whatever_case_spacing_and_underscores() -> None:
    """Headers are people's: "Postal_Code" is "postal code"."""
    found = resolve(["NAME ", "Postal_Code", "LAT", "Lng"], CsvMapping(), "f")
    assert found == {"title": (0,), "post_code": (1,), "latitude": (2,), "longitude": (3,)}


def test_a_told_column_that_is_not_there_is_named() -> None:
    """Every missing column is reported, beside what the file has."""
    mapping = told("flags", columns=from_flags(["title=Navn", "p_max_kw=kW+extra"]))
    with pytest.raises(ConfigError) as caught:
        resolve(["Name", "kW"], mapping, "sites.csv")
    assert len(caught.value.problems) == 2
    assert "'Navn'" in caught.value.problems[0]
    assert "'extra'" in caught.value.problems[1]


def test_a_flag_for_several_files_serves_those_that_have_its_column() -> None:
    """Where the column is absent, the file's own mapping or a synonym takes its place."""
    flags = replace(told("flags", columns=from_flags(["title=Navn"])), where_present=frozenset({"title"}))
    assert resolve(["Name", "Navn"], flags, "f")["title"] == (1,)
    assert resolve(["Name", "Other"], flags, "f")["title"] == (0,)
    own = flags.over(told("file", columns={"title": ("Other",)}))
    assert resolve(["Name", "Other"], own, "f")["title"] == (1,)
    with pytest.raises(ConfigError, match="VEN-IMP-066"):
        resolve(["Other"], flags, "f")


def test_a_plus_joins_columns_unless_it_is_in_a_name() -> None:
    """ "A+B" is two columns, or the one that is called so."""
    mapping = told("flags", columns=from_flags(["title=A+B"]))
    assert resolve(["A", "B"], mapping, "f")["title"] == (0, 1)
    assert resolve(["A", "A+B"], mapping, "f")["title"] == (1,)


def test_an_unknown_field_is_answered_with_the_one_that_was_meant(tmp_path: Path) -> None:
    """Before the list of all fields, a misspelt one has its correction."""
    (tmp_path / "sites.toml").write_text('[columns]\ntitel = "Skolenavn"\n')
    with pytest.raises(ConfigError, match=r"did you mean 'title'\?.*VEN-IMP-059"):
        load(tmp_path / "sites.toml")
