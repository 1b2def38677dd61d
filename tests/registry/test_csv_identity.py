"""Ids, check digits and post towns: what makes a row the same site every time."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.registry.meterpoint import (
    SAMPLE_PREFIX,
    check_digit,
    derived_meter_point_id,
    derived_resource_id,
    gs1_doubt,
    identity,
    is_gs1,
)
from venclient.registry.towns import post_town


@pytest.mark.parametrize(
    ("digits", "digit"),
    [("37610425002123456", "9"), ("00614141123456789", "0"), ("629104150021", "3"), ("0" * 17, "0")],
)
def test_check_digit_of_published_numbers(digits: str, digit: str) -> None:
    """The check digit is the one that published GS1 examples have (SSCC, GTIN-13)."""
    assert check_digit(digits) == digit


@given(st.text("0123456789", min_size=17, max_size=17))
def test_a_number_with_its_check_digit_is_valid(digits: str) -> None:
    """Any 17 digits with their check digit are a GS1 number."""
    assert is_gs1(digits + check_digit(digits))


@given(st.text("0123456789", min_size=17, max_size=17), st.integers(0, 17), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(digits: str, place: int, by: int) -> None:
    """No single wrong digit goes unnoticed, and the doubt names the number."""
    number = digits + check_digit(digits)
    wrong = number[:place] + str((int(number[place]) + by) % 10) + number[place + 1 :]
    assert not is_gs1(wrong)
    assert wrong in (gs1_doubt(wrong) or "")


@pytest.mark.parametrize(
    "text", ["", "70705750000000000", "7070575004830439460", "70705750000000000x", "７" * 18]
)
def test_other_texts_are_no_gs1_number(text: str) -> None:
    """Only 18 ASCII digits can be one."""
    assert not is_gs1(text)


@given(st.text(min_size=1), st.text())
@settings(max_examples=60)
def test_ids_follow_from_the_identity_alone(name: str, address: str) -> None:
    """The same name and address give the same ids, of the promised form, whatever the spacing and case."""
    key = identity(name, address)
    again = identity(f"  {name.strip()} ", address)
    if key == again:
        assert derived_resource_id(key) == derived_resource_id(again)
    resource_id = derived_resource_id(key)
    meter_point_id = derived_meter_point_id(key)
    assert UUID(resource_id).version == 5
    assert is_gs1(meter_point_id)
    assert meter_point_id.startswith(SAMPLE_PREFIX)
    assert derived_meter_point_id(key) == meter_point_id


def test_ids_never_change_between_releases() -> None:
    """These very ids are in databases in the field."""
    key = identity("Hotel Lærkelund", "Nørregade 1, 7400 Herning, Denmark")
    assert derived_resource_id(key) == "81254b00-aedf-554b-8280-e48f2e15f16e"
    assert derived_meter_point_id(key) == "707057500483043946"


def test_identity_ignores_case_spacing_and_unicode_form() -> None:
    """Two spellings of one address are one site; other parts are another."""
    assert identity("Hotel  Lærke", "NØRREGADE 1") == identity(" hotel lærke ", "Nørregade\u00a01")
    assert identity("Hotel", "A\u030abyen") == identity("Hotel", "Åbyen")
    assert identity("a", "b c") != identity("a b", "c")


@pytest.mark.parametrize(
    ("address", "town"),
    [
        ("Vestvejen 153, 6200 Aabenraa, Denmark", "Aabenraa"),
        ("Østerbrogade 1, 2100 København Ø, Denmark", "København Ø"),
        ("Algade 2, 7900 Nykøbing Mors, Denmark", "Nykøbing Mors"),
        ("Stenbukken 6A, 9200 Aalborg SV, Denmark", "Aalborg SV"),
        ("Vestre Ringgade 27, 29, 8000 Aarhus, Denmark", "Aarhus"),
        ("N, Skelagervej 9, 8200 Aarhus, Denmark", "Aarhus"),
        ("Butik 4, Centret, Torvet 1, 5000 Odense C, Danmark", "Odense C"),
        ("7400 Herning", "Herning"),
        ("Nørregade 1, DK-7400  Herning", "Herning"),
        ("9990 Skagen, Denmark", "Skagen"),
    ],
)
def test_the_post_town_is_taken_whole(address: str, town: str) -> None:
    """One to five comma parts, two-word towns and house numbers that look like parts are read right."""
    assert post_town(address).town == town


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "Not Found",
        "Duesvei 35",
        "Kennedyplatz 1, 50569 Köln",
        "Drottninggatan 5, 111 51 Stockholm, Sweden",
        "Karl Johans gate 1, 0154 Oslo, Norway",
        "10 Downing Street, London SW1A 2AA, United Kingdom",
        "1 Main St, Springfield, IL 62701, USA",
        ", ,",
    ],
)
def test_no_town_is_made_up(address: str | None) -> None:
    """Where there is no Danish post code the town is None, with the reason."""
    found = post_town(address)
    assert found.town is None
    assert found.doubt


_words = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzæøåÆØÅ"), min_size=1, max_size=12)
_town_names = st.lists(_words, min_size=1, max_size=3).map(" ".join)


@given(_words, st.integers(1, 999), st.integers(1000, 9999), _town_names, st.booleans())
def test_any_danish_address_gives_its_town(
    street: str, house: int, code: int, town: str, doubled: bool
) -> None:
    """Whatever the words are, the town after the post code comes back whole."""
    numbers = f"{house}, {house + 2}" if doubled else str(house)
    assert post_town(f"{street} {numbers}, {code} {town}, Denmark").town == town


@given(st.text(max_size=80))
def test_no_text_breaks_the_town_parser(text: str) -> None:
    """Any text gives a town or a doubt, never both and never an exception."""
    found = post_town(text)
    assert (found.town is None) == (found.doubt is not None)
