"""Numbers in tables: decimal marks, thousands and positions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venclient.messages import code_of, text_of
from venclient.registry.csv_numbers import coordinate, coordinate_pair, find_decimal, number


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("22", ".", 22.0),
        ("-3.5", ".", -3.5),
        ("3,5", ",", 3.5),
        ("1.234,5", ",", 1234.5),
        ("1,234.5", ".", 1234.5),
        ("1 234,5", ",", 1234.5),
        ("1e3", ".", 1000.0),
        (" 7 ", ",", 7.0),
    ],
)
def test_numbers_in_either_notation(text: str, decimal: str, value: float) -> None:
    """A number is read with the file's decimal mark, thousands grouped or not."""
    assert number(text, decimal) == value


@pytest.mark.parametrize(
    ("text", "decimal", "code"),
    [
        ("22.5", ",", "VEN-IMP-022"),
        ("22,5", ".", "VEN-IMP-022"),
        ("1,2,3", ",", "VEN-IMP-021"),
        ("nan", ".", "VEN-IMP-021"),
        ("inf", ".", "VEN-IMP-021"),
        ("1e999", ".", "VEN-IMP-023"),
        ("12,34.5", ".", "VEN-IMP-021"),
        ("", ".", "VEN-IMP-021"),
        ("22 kW", ".", "VEN-IMP-021"),
    ],
)
def test_bad_numbers_say_why(text: str, decimal: str, code: str) -> None:
    """Text that is not a number in this notation is refused with its reason."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        number(text, decimal)
    assert code_of(text_of(caught.value)) == code


@given(st.floats(-1e9, 1e9).map(lambda value: round(value, 3)), st.sampled_from(".,"))
def test_grouped_numbers_come_back(value: float, decimal: str) -> None:
    """A number written with thousands groups reads as itself."""
    text = f"{value:,.3f}"
    if decimal == ",":
        text = text.translate(str.maketrans(",.", ".,"))
    assert number(text, decimal) == value


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["50,937417", "6,97069", ""], ","),
        (["50.937417", "6.97069"], "."),
        (["1.234,5", "2.345"], ","),
        (["1.234", "5.678"], None),
        (["22", "44"], None),
        (["1,234.50"], "."),
    ],
)
def test_the_decimal_mark_is_found(cells: list[str], mark: str | None) -> None:
    """Cells that can only be read one way decide; a lone thousand does not."""
    assert find_decimal(cells) == mark


@pytest.mark.parametrize(
    ("text", "name", "code"),
    [
        ("6540811.35", "latitude", "VEN-IMP-024"),
        ("120.5", "latitude", "VEN-IMP-025"),
        ("181", "longitude", "VEN-IMP-026"),
        ("x", "longitude", "VEN-IMP-021"),
    ],
)
def test_impossible_positions_say_what_they_look_like(text: str, name: str, code: str) -> None:
    """Metres and swapped values are distinguished from plain nonsense."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        coordinate(text, ".", name)
    assert code_of(text_of(caught.value)) == code


def test_positions_never_have_thousands() -> None:
    """A decimal dot in a decimal-comma file is refused, not taken for a group of thousands."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        coordinate("50.937", ",", "latitude")
    assert code_of(text_of(caught.value)) == "VEN-IMP-022"


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("(59.85,17.64)", "."),
        ("59.85, 17.64", "."),
        ("[59.85 17.64]", "."),
        ("59,85; 17,64", ","),
        ("59,85 17,64", ","),
        ("(59.85,17.64)", ","),
        ("POINT (17.64 59.85)", "."),
    ],
)
def test_one_cell_may_hold_both_coordinates(text: str, decimal: str) -> None:
    """The usual ways to write a pair all give latitude and longitude."""
    assert coordinate_pair(text, decimal) == (59.85, 17.64)


@given(st.text(max_size=30), st.sampled_from(".,"))
def test_no_text_breaks_the_pair_parser(text: str, decimal: str) -> None:
    """Any text gives two positions in range or a ValueError."""
    try:
        latitude, longitude = coordinate_pair(text, decimal)
    except ValueError:
        return
    assert abs(latitude) <= 90
    assert abs(longitude) <= 180
