"""What a table says in other ways: units in its header, its delimiter without a header, its encoding."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.test_file import read_all, reader_of
from venclient.connectors import file as file_module
from venclient.connectors.base import Batch
from venclient.connectors.file_access import Access
from venclient.connectors.file_tail import all_lines
from venclient.connectors.units import unit_named
from venclient.errors import Undecodable
from venclient.messages import code_of

ROWS = "2026-06-01T12:00:00Z;1500,5\n2026-06-01T12:01:00Z;250,25\n"


def read(raw: bytes, **options: Any) -> Batch:
    """Read a file that is followed."""

    async def go() -> Batch:
        with TemporaryDirectory() as folder:
            (Path(folder) / "meter.csv").write_bytes(raw)
            return await read_all(reader_of(Path(folder), options))

    return asyncio.run(go())


def found(raw: bytes, **options: Any) -> list[tuple[str, float]]:
    """Return quantities and values of a file in which nothing is rejected."""
    batch = read(raw, **options)
    assert not batch.rejects
    return [(one.quantity, one.value) for one in batch.readings]


@pytest.mark.parametrize(
    ("header", "factor"),
    [
        ("time;power_w", 0.001),
        ("time;Leistung (W)", 0.001),
        ("Zeit;Wirkleistung [kW]", 1.0),
        ("Timestamp;P_total_MW", 1000.0),
        ("Timestamp;Effekt, kW", 1.0),
        ("Timestamp;Effekt", 1.0),
    ],
)
def test_a_unit_in_the_header_counts(header: str, factor: float) -> None:
    """A column of watts that was taken for kilowatts would be a thousand times too large."""
    values = found(f"{header}\n{ROWS}".encode())
    assert {quantity for quantity, _ in values} == {"power_kw"}
    assert [value for _, value in values] == pytest.approx([1500.5 * factor, 250.25 * factor])


def test_the_column_with_power_is_chosen_by_its_unit() -> None:
    """Voltage and energy before the power are not taken for it."""
    raw = b"Zeit;U (V);Zaehler kWh;P (W)\n2026-06-01T12:00:00Z;230,1;100,5;1500,5\n"
    assert found(raw) == [("power_kw", 1.5005)]


@pytest.mark.parametrize("header", ["Zeit;Verbrauch (kWh)", "Zeit;U [V]", "time;energy_wh", "time;SoC (%)"])
def test_a_column_of_another_size_is_never_power(header: str) -> None:
    """Energy or voltage under an unknown name needs the option that says what it is."""
    with pytest.raises(Undecodable, match="VEN-FIL-243"):
        read(f"{header}\n{ROWS}".encode())


@pytest.mark.parametrize("name", ["", "Phase A", "Sensor C", "value (1st)", "power", "L1", "net w/o losses"])
def test_letters_that_are_no_unit(name: str) -> None:
    """A letter at the end of a name is a unit only for power and energy, or in brackets."""
    assert unit_named(name) is None


def test_names_of_quantities_count_in_any_case() -> None:
    """Time;Power_kW;Energy_kWh has two quantities."""
    raw = b"Time;Power_kW;Energy_kWh\n2026-06-01T12:00:00Z;1,5;100,5\n"
    assert found(raw) == [("power_kw", 1.5), ("energy_kwh", 100.5)]


@given(
    st.sampled_from([";", "\t", "|"]),
    st.lists(st.decimals(0, 999, places=2).map(lambda n: str(n).replace(".", ",")), min_size=2, max_size=40),
    st.sampled_from([None, False, ["time", "power_kw"]]),
)
def test_a_decimal_comma_is_no_delimiter_of_a_file_without_header(
    delimiter: str, cells: list[str], header: object
) -> None:
    """The cells that a decimal comma would make have no time in them."""
    lines = [f"2026-06-01T12:{n:02}:00Z{delimiter}{cell}\n" for n, cell in enumerate(cells)]
    options: dict[str, Any] = {} if header is None else {"header": header}
    if header is False:
        options |= {"time": {"columns": ["1"]}, "values": [{"column": "2", "quantity": "power_kw"}]}
    values = found("".join(lines).encode(), **options)
    assert values == [("power_kw", float(cell.replace(",", "."))) for cell in cells]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", [True, False])
def test_utf_16_is_read(encoding: str, mark: bool) -> None:
    """What Windows writes, with a byte order mark, has names beyond ASCII as well."""
    name = "Effekt på net" if mark else "power_kw"
    text = f"Tid;{name}\r\n" + ROWS.replace("\n", "\r\n")
    raw = text.encode(encoding)
    if mark and encoding != "utf-16":
        raw = "\ufeff".encode(encoding) + raw
    assert found(raw) == [("power_kw", 1500.5), ("power_kw", 250.25)]


def test_lines_that_are_appended_to_utf_16_are_read(tmp_path: Path) -> None:
    """The encoding that was found in the first line is kept with the position."""
    path = tmp_path / "meter.csv"
    marks: dict[str, str] = {}

    async def read_on() -> list[float]:
        batch = await reader_of(tmp_path, {}, marks).read()
        marks.update(batch.bookmarks)
        return [one.value for one in batch.readings]

    path.write_bytes(f"tid;Effekt på net\r\n{ROWS}".encode("utf-16"))
    assert asyncio.run(read_on()) == [1500.5, 250.25]
    with path.open("ab") as file:
        file.write("2026-06-01T12:02:00Z;7,5 kW\r\n".encode("utf-16-le"))
    assert asyncio.run(read_on()) == [7.5]


def test_latin_1_is_read_without_an_option() -> None:
    """Names and units of Windows programs are read as imports read them."""
    raw = "tid;målt effekt;temp\n2026-06-01T12:00:00Z;1,5;20 °C\n".encode("latin-1")
    assert found(raw) == [("power_kw", 1.5)]


def test_a_byte_that_may_be_a_space_groups_no_thousands_without_the_option() -> None:
    """One damaged byte between digits would make a number a thousand times too large."""
    raw = "time;power_kw\n2026-06-01T12:00:00Z;1\u00a0250\n2026-06-01T12:01:00Z;0,5\n".encode("latin-1")
    batch = read(raw)
    assert [one.value for one in batch.readings] == [0.5]
    assert [code_of(one.reason) for one in batch.rejects] == ["VEN-FIL-049"]
    assert found(raw, encoding="latin-1") == [("power_kw", 1250.0), ("power_kw", 0.5)]


@pytest.mark.parametrize(
    "space", [" ", "'", "\u00a0", "\u202f", "\u2009", "\u2007", "\u2018", "\u2019", "\u02bc"]
)
def test_whatever_space_or_apostrophe_groups_thousands(space: str) -> None:
    """Spreadsheets have more than one of each."""
    raw = (
        f"time;power_kw\n2026-06-01T12:00:00Z;12{space}345,5\n2026-06-01T12:01:00Z;1{space}234{space}567,25\n"
    )
    assert found(raw.encode()) == [("power_kw", 12345.5), ("power_kw", 1234567.25)]


async def test_a_large_file_without_evidence_is_not_read_again_for_each_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred rows are appended one by one to a file that shows no decimal mark."""
    monkeypatch.setattr(file_module, "LARGE_BYTES", 20_000)
    scans: list[Path] = []

    def counted(path: Path, access: Access) -> Iterator[bytes]:
        scans.append(path)
        return all_lines(path, access)

    monkeypatch.setattr(file_module, "all_lines", counted)
    row = "2026-06-01T12:00:00Z;1.234\n"
    path = tmp_path / "meter.csv"
    path.write_text("time;power_kw\n" + row * 1000)
    reader = reader_of(tmp_path)
    for _ in range(100):
        with pytest.raises(Undecodable, match="VEN-FIL-054"):
            await reader.read()
        with path.open("a") as file:
            file.write(row)
    assert len(scans) <= 3
    with path.open("a") as file:
        file.write(row * 100 + "2026-06-01T12:01:00Z;0,5\n")
    assert [one.value for one in (await read_all(reader)).readings][-2:] == [1234.0, 0.5]


@pytest.mark.parametrize(
    "header", ["Date;Time;kW", "Dato;Tid;kW", "Datum;Uhrzeit;Leistung (kW)", "Datum;Tijd;P"]
)
def test_date_and_time_in_two_columns_are_joined(header: str) -> None:
    """Without the second column all rows would be of midnight."""
    raw = f"{header}\n2026-06-01;12:15;1,5\n2026-06-01;24:00;2,5\n".encode()
    batch = read(raw, time={"zone": "Europe/Copenhagen"})
    assert [(one.value, f"{one.time:%d %H:%M}") for one in batch.readings] == [
        (1.5, "01 10:15"),
        (2.5, "01 22:00"),
    ]


@pytest.mark.parametrize("header", ["", "dag;klok;P (kW)\n"])
def test_a_time_of_day_in_an_unknown_column_is_named(header: str) -> None:
    """The date alone would be taken for midnight: the rows are rejected, and the option is named."""
    raw = f"{header}2026-06-01;12:15;1,5\n2026-06-01;12:30;2,5\n".encode()
    batch = read(raw, time={"zone": "Europe/Copenhagen"})
    assert not batch.readings
    assert [code_of(one.reason) for one in batch.rejects] == ["VEN-FIL-244"] * 2


def test_a_date_alone_is_the_start_of_its_day() -> None:
    """Daily values have no time of day anywhere."""
    batch = read(b"time;energy_kwh\n2026-06-01;1000,5\n", time={"zone": "Europe/Copenhagen"})
    assert [one.time.isoformat() for one in batch.readings] == ["2026-05-31T22:00:00+00:00"]
