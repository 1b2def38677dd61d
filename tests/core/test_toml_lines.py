"""Where in a TOML file each key stands."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venclient.toml_lines import line_at, line_of_error, lines_of

TEXT = '''# settings
[vtn]  # the VTN
url = "https://vtn # no comment"
"client id" = """
two = "lines"
\\""" still text"""
scopes = [
  "a",  # one
  'b]', [1, {c = 2, d = "}"}],
]
a.b . 'c.d' = { x = 1, "y" = [ {z = 2} ] }
[[site]]
name = "one"
[[site.meter]]
at = 1979-05-27 07:32:00
[[site]]
[site.place]
lat = 56.1
[vtns.operator]
text = \'\'\'
[no table]
key = 1\'\'\'
'''


def test_each_key_has_its_line() -> None:
    """Tables, dotted and quoted keys, arrays of tables, and keys after values of several lines."""
    lines = lines_of(TEXT)
    assert lines["vtn",] == 2
    assert lines["vtn", "url"] == 3
    assert lines["vtn", "client id"] == 4
    assert lines["vtn", "scopes"] == 7
    assert (lines["vtn", "scopes", 1], lines["vtn", "scopes", 2, 1, "c"]) == (9, 9)
    assert lines["vtn", "a", "b", "c.d", "y", 0, "z"] == 11
    assert (lines["site", 0, "name"], lines["site", 0, "meter", 0, "at"]) == (13, 15)
    assert (lines["site", 1], lines["site", 1, "place", "lat"]) == (16, 18)
    assert lines["vtns", "operator", "text"] == 20
    assert ("no table",) not in lines


def test_a_missing_key_has_the_line_of_its_table() -> None:
    """What is not there is looked for where it should be."""
    lines = lines_of(TEXT)
    assert line_at(lines, ("vtns", "operator", "url")) == 19
    assert line_at(lines, ("nothing",)) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [("[a]\nb =\n", 2), ("a = 1\n\na = 2\n", 3), ("[a]\n[b\n", 2), ('a = """\nnever\nends', 3), ("a", 1)],
)
def test_an_error_of_syntax_has_its_line(text: str, line: int) -> None:
    """Also one that is found at the end of the text only."""
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    assert line_of_error(caught.value, text) == line


KEYS = st.one_of(st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True), st.text(max_size=4))
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.text(max_size=8),
    st.text('ab \n#[]{}="', max_size=8),
    st.floats(allow_nan=False),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)
ROWS = st.dictionaries(KEYS, VALUES, max_size=4)
TABLES = st.dictionaries(KEYS, ROWS | st.lists(ROWS, min_size=1, max_size=3), max_size=4)
BREAKS = st.sampled_from(["\n", "\n\n", "\r\n", "  # [comment] = \"'\n", "\n# x = {\n"])


def quoted(key: str, style: st.DataObject) -> str:
    """Return a key as it may be written."""
    plain = key.isascii() and key and all(one.isalnum() or one in "_-" for one in key)
    return (
        key
        if plain and style.draw(st.booleans())
        else json.dumps(key, ensure_ascii=False).replace("\x7f", "\\u007f")
    )


def written(value: Any, style: st.DataObject) -> str:
    """Return a value as TOML, with line ends inside arrays now and then."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k, style)} = {written(v, style)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        gap = style.draw(st.sampled_from(["", "\n", " # ]\n"]))
        return f"[{gap}" + ",".join(f"{written(one, style)}{gap}" for one in value) + "]"
    if (
        isinstance(value, str)
        and "\n" in value
        and "'" not in value
        and value.replace("\n", "").isprintable()
    ):
        return f"'''\n{value}'''"
    if isinstance(value, float):
        return repr(value) if "inf" in repr(value) or any(c in repr(value) for c in ".e") else f"{value}.0"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@given(TABLES, st.data())
def test_every_key_of_any_file_is_found_on_the_line_where_it_was_written(
    tables: dict[str, Any], style: st.DataObject
) -> None:
    """Whatever strings, comments and brackets stand around: each key has the line that it was written on."""
    text, expected = "", {}

    def write(line: str) -> int:
        nonlocal text
        number = text.count("\n") + 1
        text += line + style.draw(BREAKS)
        return number

    def write_rows(path: tuple[str | int, ...], row: dict[str, Any]) -> None:
        for key, value in row.items():
            expected[*path, key] = write(f"{quoted(key, style)} = {written(value, style)}")

    for name, table in tables.items():
        if isinstance(table, dict):
            expected[name,] = write(f"[{quoted(name, style)}]")
            write_rows((name,), table)
            continue
        for number, row in enumerate(table):
            line = write(f"[[ {quoted(name, style)} ]]")
            expected.setdefault((name,), line)
            expected[name, number] = line
            write_rows((name, number), row)
    assert tomllib.loads(text) == tables
    lines = lines_of(text)
    assert {path: lines.get(path) for path in expected} == expected
