"""Text of others (VTN, device, broker, file, registry row) cannot write to a terminal, log or spreadsheet."""

from __future__ import annotations

import csv
import importlib
import io
import json
import logging
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from venclient import spreadsheet
from venclient.coded_log import CodedFormatter
from venclient.messages import gateway as gwy
from venclient.messages import text_of
from venclient.messages.printable import (
    FOREIGN_LIMIT,
    foreign,
    is_unsafe,
    json_escaped,
    made_printable,
    number_text,
    printable,
)
from venclient.screen import cell, say, say_json

#: A colour, a new title of the terminal, line ends of four kinds, a change of direction, zero width.
HOSTILE = "a\x1b[31m\x1b]0;x\x07\r\nERROR forged\u2028b\x85c\u202egnp.exe\u200b\u3164\x9b2J"
WIDEST = 14

awkward = st.text(st.sampled_from(HOSTILE + "'\"=+-@|%\t ;,æ\U000e0041\U0001f600") | st.characters())


def is_harmless(text: str) -> bool:
    """Return whether a text has no character that a terminal obeys or that is invisible."""
    return not any(unicodedata.category(one) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for one in text)


@given(awkward, st.integers(1, 300))
def test_any_text_becomes_harmless_and_bounded(text: str, limit: int) -> None:
    """No control character, line end or invisible character is left, and never more than the limit."""
    shown = printable(text, limit)
    assert is_harmless(shown)
    assert len(shown) <= limit


@given(st.integers(-(10**30), 10**30) | st.floats() | awkward | st.just(10**9000) | st.just([10**9000]))
def test_any_value_of_others_becomes_harmless_and_bounded(value: object) -> None:
    """Numbers of thousands of digits, which Python refuses to write, are named by their size."""
    shown = foreign(value)
    assert is_harmless(shown)
    assert len(shown) <= FOREIGN_LIMIT


def test_a_message_names_a_number_of_thousands_of_digits() -> None:
    """Such a number in a message, as text, as repr or in a list, raises nothing."""
    huge = 10**9000
    for value in (huge, [huge], {"a": huge}):
        assert "bits" in str(gwy.UNKNOWN_REQUEST(request=foreign(value))) or isinstance(value, dict | list)
        assert len(str(gwy.UNKNOWN_REQUEST(request=value))) < 2_100


def test_what_stands_around_a_message_is_harmless() -> None:
    """A place before a message, such as the name of a file or row, is made printable."""
    text = gwy.UNKNOWN_REQUEST(request="x").within(f"{HOSTILE}: ", HOSTILE)
    assert is_harmless(text)
    assert text.code == gwy.UNKNOWN_REQUEST.code


def test_an_error_of_the_system_shows_a_file_name_printable() -> None:
    """The name of a file in an error of the operating system is made printable."""
    assert is_harmless(text_of(PermissionError(13, "Permission denied", f"/data/{HOSTILE}")))
    assert is_harmless(text_of(ValueError(HOSTILE)))


def test_a_log_line_stays_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Line ends in a log line, also in one of a library, are escaped."""
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "%s", (HOSTILE,), None)
    assert is_harmless(CodedFormatter("%(levelname)s %(message)s").format(record))


def test_no_line_of_a_traceback_looks_like_one_of_the_log() -> None:
    """The words of an exception with line ends stand behind a bar."""
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    first, *more = CodedFormatter("%(levelname)s %(message)s").format(record).split("\n")
    assert first == "ERROR failed"
    assert all(line.startswith("| ") and is_harmless(line) for line in more)


def test_a_printed_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """`say` prints a line for each text, whatever is in it."""
    say(HOSTILE, HOSTILE, err=True)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 2
    assert is_harmless(shown.replace("\n", ""))


@given(
    st.recursive(
        awkward | st.integers() | st.none(), lambda one: st.lists(one) | st.dictionaries(awkward, one)
    )
)
def test_json_for_programs_means_the_same_and_is_harmless(value: Any) -> None:
    """Escapes of JSON stand for what a terminal would obey; a program reads the same values."""
    document = json_escaped(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(document) == value
    assert is_harmless(document.replace("\n", ""))
    assert all(map(is_harmless, _texts(made_printable(value))))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for one in inner for text in _texts(one)]


def test_printed_json_is_exact(capsys: pytest.CaptureFixture[str]) -> None:
    """`say_json` prints a document that reads back as it was."""
    say_json(json.dumps({HOSTILE: HOSTILE}, ensure_ascii=False))
    assert json.loads(capsys.readouterr().out) == {HOSTILE: HOSTILE}


def test_a_table_does_not_read_markup() -> None:
    """Names like "[red]" and "[link=...]" are shown as they are."""
    name = "[red]Kro[/red] [link=http://x]y[/link] [bold"
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    table = Table()
    table.add_column("name")
    table.add_row(cell(name))
    console.print(table)
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert name in written
    assert "\x1b]8" not in written


@given(st.floats() | st.integers() | st.just(10**9000))
def test_any_number_fits_its_column(value: float) -> None:
    """Readings of any size, NaN and infinity take at most 14 characters."""
    assert len(number_text(value)) <= WIDEST or isinstance(value, int)
    assert len(number_text(value)) <= 2 * WIDEST


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@x", "|calc", "%x", "\tx", "\rx", "\nx", "＝1", "｜calc", "'x"]
)
def test_no_cell_starts_as_a_formula(text: str) -> None:
    """Signs that a spreadsheet takes for the start of a formula do not stand first in a cell."""
    assert spreadsheet.cell(text)[0] in "'\""
    assert spreadsheet.text_of(spreadsheet.cell(text)) == text
    assert spreadsheet.guarded(text)[0] == "'"


@given(st.lists(awkward, min_size=1))
def test_any_text_comes_back_from_a_cell(texts: list[str]) -> None:
    """A CSV row of any texts is one line without hidden characters, and reads back as it was."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(spreadsheet.row(texts))
    line = written.getvalue()
    assert line.count("\n") == 1
    assert not is_unsafe(line)
    (found,) = csv.reader(io.StringIO(line))
    assert [spreadsheet.text_of(one) for one in found] == texts


LEAKS = [
    "print(name)",
    "typer.echo(name)",
    "sys.stdout.write(name)",
    "log.warning('%s is away', name)",
    "log.error(f'{name} is away')",
    "_log.error(str(error))",
    "from rich.text import Text",
    "table.add_row(str(name))",
    "table.add_row(*map(str, names))",
    "console.print(f'{name}')",
    "TextColumn('{task.description}')",
]
SOUND = [
    "say(name)",
    "log.warning(mod.AWAY(name=name))",
    "log.debug('%s', name)",
    "table.add_row('-', cell(name), *map(cell, names))",
    "console.print(cell(f'{name}'))",
    "console.print(table)",
    "TextColumn('{task.description}', markup=False)",
]


@pytest.mark.parametrize("line", LEAKS)
def test_the_lint_finds_foreign_text_on_its_way_out(line: str, lint: Any) -> None:
    """Printing, logging and tables past the helpers are found."""
    assert lint.findings_in(line, "venclient/x.py")


@pytest.mark.parametrize("line", SOUND)
def test_the_lint_passes_what_is_made_printable(line: str, lint: Any) -> None:
    """What goes through a message or a helper is not found."""
    assert not lint.findings_in(line, "venclient/x.py")


@pytest.fixture
def lint(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the lint as a module."""
    monkeypatch.syspath_prepend(str(root / "tools"))
    yield importlib.import_module("foreign_lint")
    for name in ("ratchet", "foreign_lint"):
        sys.modules.pop(name, None)
