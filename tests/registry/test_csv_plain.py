"""Tests of rows made a column at a time: they are what the same rows give one by one."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.registry import csv_blocks, csv_plain
from venclient.registry.csv_mapping import CsvMapping
from venclient.registry.csv_sites import CsvSites, Duplicate, Item, Seen, Site
from venclient.registry.meterpoint import (
    derived_ids,
    derived_meter_point_id,
    derived_resource_id,
    identities,
    identity,
)
from venclient.registry.towns import post_town, post_towns

HEADER = "title,address,longitude,latitude,category\n"
ROWS = {
    "plain": '"Hotel Ørnen","Bredgade 1, 7400 Herning, Denmark",8.97,56.13,Hotel\n'
    'Hotel STRASSE ß,"Nygade 2, 7900 Nykøbing Mors",8.86,56.79,Hotel\n',
    "no name": 'N/A,"Bredgade 3, 7400 Herning",8.97,56.13,Hotel\n'
    'Hotel A,"Bredgade 3, 7400 Herning",8.97,56.13,x\n',
    "no address": "Hotel A,-,8.97,56.13,Hotel\nHotel B,,8.97,56.14,Hotel\n",
    "no town": 'Hotel A,"Calle 3, 28001 Madrid",8.97,56.13,Hotel\nHotel B,Somewhere,8.97,56.13,Hotel\n',
    "a long town": f'Hotel A,"Bredgade 3, 7400 {"H" * 140}",8.97,56.13,Hotel\n',
    "spaces": '" Hotel  A ","Bredgade\t3 ,  7400 Herning",8.97,56.13,Hotel\n',
    "a control character": 'Hotel\x07,"Bredgade 3, 7400 Herning",8.97,56.13,Hotel\n'
    'Hotel B,"Bredgade 4, 7400 Herning",8.97,56.13,Hotel\n',
    "other forms of letters": 'Hotel ﬁne ½,"A\u030abygade 3, 7400 Herning",8.97,56.13,Hotel\n',
    "duplicates": 'Hotel A,"Bredgade 3, 7400 Herning",8.97,56.13,Hotel\n'
    'HOTEL A,"Bredgade 3, 7400 Herning",8.97,56.13,Hotel\n'
    'Hotel A,"Bredgade 3, 7400 Herning",8.97,56.13,Other\n',
    "a bad position": 'Hotel A,"Bredgade 3, 7400 Herning",8.97,560,Hotel\n',
}


def items(path: Path, mapping: CsvMapping | None = None) -> tuple[list[Item], list[frozenset[str] | None]]:
    found = list(CsvSites(path, mapping).items(Seen()))
    return found, [item.given for item in found if isinstance(item, Site)]


@pytest.mark.parametrize("mapping", [None, CsvMapping(ven="Area 5", type="EV", sub_type="Chargers")])
@pytest.mark.parametrize("name", [*ROWS, "all"])
def test_rows_are_what_they_are_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, mapping: CsvMapping | None
) -> None:
    """Sites, duplicates and refusals, the fields that rows set, and their lines are the same."""
    path = tmp_path / "hotels-in-denmark.csv"
    path.write_text(HEADER + ("".join(ROWS.values()) if name == "all" else ROWS[name]), encoding="utf-8")
    fast = items(path, mapping)
    monkeypatch.setattr(csv_plain, "TARGETS", frozenset({"nothing"}))
    assert fast == items(path, mapping)


def test_equal_rows_in_two_blocks_are_duplicates(tmp_path: Path) -> None:
    """A row that a block of plain rows had before is known in the next one, by its line."""
    path = tmp_path / "hotels.csv"
    many = "".join(
        f'Hotel {number},"Bredgade {number}, 7400 Herning",8.97,56.13,Hotel\n'
        for number in range(csv_blocks.BLOCK_LINES)
    )
    path.write_text(HEADER + many + many[: many.index("\n") + 1], encoding="utf-8")
    found, _ = items(path)
    assert isinstance(found[0], Site)
    assert found[-1] == Duplicate(csv_blocks.BLOCK_LINES + 2, found[0].resource.resourceID)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: " ".join(text.split()))))
def test_names_derived_together_are_those_derived_alone(texts: list[str]) -> None:
    """Identities, resource ids, meter point ids and post towns of a column are those of its cells."""
    keys = identities(texts, texts[::-1])
    assert keys == [identity(one, other) for one, other in zip(texts, texts[::-1], strict=True)]
    assert derived_ids(keys) == (
        [derived_resource_id(key) for key in keys],
        [derived_meter_point_id(key) for key in keys],
    )
    addresses = [f"{text}, 7400 {text}" for text in texts]
    assert post_towns(addresses) == [post_town(address).town for address in addresses]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text('ab",;\r ', max_size=8), min_size=1, max_size=4), st.sampled_from(",;"))
def test_lines_that_are_taken_as_plain_are_one_record_each(lines: list[str], delimiter: str) -> None:
    """What passes without a closer look is read by the csv module as one row of the header's width."""
    batch = [f"{line}\n" for line in lines]
    header = ["a", "b", "a b"]
    if csv_blocks._is_plain(batch, delimiter, header):
        rows = [list(csv.reader([line], delimiter=delimiter, strict=True)) for line in batch]
        assert [len(row) for row in rows] == [1] * len(batch)
        assert all(len(row[0]) == len(header) and any(cell.strip() for cell in row[0]) for row in rows)
        assert all([" ".join(cell.split()) for cell in row[0]] != header for row in rows)
