"""Ready-made formats, sums, and rows over several lines: what each file says, at which moment."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.sites import make_resource, make_site
from tests.connectors.test_file import HEAD, read_all, row, values, write
from venclient.connectors import option_problems
from venclient.connectors.base import Batch, Reader
from venclient.connectors.file import open_file_reader
from venclient.connectors.file_records import quoted_rows
from venclient.errors import ConfigError, Undecodable
from venclient.messages import with_code
from venclient.model.reading import Quality, Reading
from venclient.model.resource import ConnectionType

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
NEW = "MålepunktsID;Fra_dato;Til_dato;Mængde;Måleenhed;Kvalitet;Type\n"
OLD = "Målepunkt id;Fra dato;Til dato;Mængde;Måleenhed;Kvalitet;Type;\n"
OWN = "707057500000000005"  # the meter point of make_resource
OTHER = "571313161100187650"


def reader_of(folder: Path, marks: dict[str, str] | None = None, **options: Any) -> Reader:
    """Open a reader of meter.csv with some options."""
    resource = make_resource(ConnectionType.FILEREADER, file="meter.csv", options=options)
    return open_file_reader(resource, make_site(folder, bookmarks=marks))


async def export(folder: Path, text: str, **options: Any) -> Batch:
    """Read an export of Eloverblik."""
    write(folder, text)
    return await read_all(reader_of(folder, format="eloverblik", **options))


def line(since: str, until: str, amount: str, *, point: str = OTHER, rest: str = "KWH;Målt;Tidsserie") -> str:
    """Build a line of an export."""
    return f"{point};{since};{until};{amount};{rest}\n"


def told(batch: Batch) -> list[tuple[str, str, float]]:
    """Return quantity, time and value of each reading."""
    return [(one.quantity, f"{one.time:%m-%d %H:%M}", one.value) for one in batch.readings]


# Eloverblik


async def test_the_current_export_as_it_is(shared: Path, tmp_path: Path) -> None:
    """By its name alone the format reads the real file: BOM, decimal commas, the end of each interval."""
    write(tmp_path, (shared / "data/meterdata/eloverblik-export-current-format.csv").read_bytes())
    batch = await read_all(reader_of(tmp_path, format="eloverblik"))

    assert batch.rejects == []
    assert told(batch) == [
        ("interval_energy_kwh", "10-26 10:00", 0.25),
        ("interval_energy_kwh", "10-26 11:00", 0.21),
        ("interval_energy_kwh", "12-24 12:00", 0.11),
    ]


async def test_the_older_export(tmp_path: Path) -> None:
    """Other names of columns, times with a dot, a delimiter at the end of each line."""
    text = OLD + line("2017-01-01 00.00", "2017-01-01 01.00", "0,440", rest="KWH;Målt;Tidsserier;")
    batch = await export(tmp_path, text)

    assert batch.rejects == []
    assert told(batch) == [("interval_energy_kwh", "01-01 00:00", 0.44)]


async def test_the_english_export_with_decimal_points(tmp_path: Path) -> None:
    """English names and points, separated by commas; what is fed into the grid is negative."""
    text = (
        "Metering_point_ID,From_date,To_date,Volume,Unit,Quality,Type,Metering_point_type_Code\n"
        f"{OTHER},01-06-2026 00:00:00,01-06-2026 00:15:00,0.25,kWh,Measured,Time series,D06\n"
        f"{OTHER},01-06-2026 00:15:00,01-06-2026 00:30:00,0.5,kWh,Estimated,Time series,D06\n"
    )
    batch = await export(tmp_path, text)

    assert batch.rejects == []
    assert told(batch) == [
        ("interval_energy_kwh", "05-31 22:15", -0.25),
        ("interval_energy_kwh", "05-31 22:30", -0.5),
    ]
    assert [one.quality for one in batch.readings] == [Quality.GOOD, Quality.ESTIMATED]


@pytest.mark.parametrize(
    ("amount", "value"),
    [
        ("0,25", 0.25),
        ("0.25", 0.25),
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("1.234", 1.234),
        ("-3", -3.0),
    ],
)
async def test_dot_and_comma_numbers(tmp_path: Path, amount: str, value: float) -> None:
    """The decimal mark is a comma or a point; where both are there, the last one."""
    text = NEW + line("01-06-2026 00:00:00", "01-06-2026 01:00:00", amount)

    assert [one.value for one in (await export(tmp_path, text)).readings] == [value]


@pytest.mark.parametrize("amount", ["1,2,3", "1.23,4.5", "x", "1.2345,6", "0x1"])
async def test_what_is_no_number_is_named(tmp_path: Path, amount: str) -> None:
    """A cell that is neither is rejected, and shown where other rows could be read."""
    since, until = "01-06-2026 00:00:00", "01-06-2026 01:00:00"
    batch = await export(tmp_path, NEW + line(since, until, "1") + line(since, until, amount))

    assert [one.value for one in batch.readings] == [1.0]
    assert len(batch.rejects) == 1
    assert "number" in batch.rejects[0].reason


async def test_meter_totals_are_told_from_interval_energy(tmp_path: Path) -> None:
    """What the register showed is a register, at the moment it was read; another type is named."""
    text = NEW
    text += line("01-06-2026 00:00:00", "01-06-2026 01:00:00", "0,5")
    text += line("01-06-2026 00:00:00", "01-06-2026 00:00:00", "12345,6", rest="KWH;Målt;Aflæsning")
    text += line("01-06-2026 00:00:00", "01-06-2026 01:00:00", "7", rest="KWH;Målt;Andet")
    batch = await export(tmp_path, text)

    assert told(batch) == [
        ("interval_energy_kwh", "05-31 23:00", 0.5),
        ("energy_kwh", "05-31 22:00", 12345.6),
    ]
    assert "unknown type" in batch.rejects[0].reason


async def test_own_rows_of_an_export_of_many(tmp_path: Path) -> None:
    """Where the resource's meter point is in the file, the rows of others are left out quietly."""
    since, until = "01-06-2026 00:00:00", "01-06-2026 01:00:00"
    text = NEW + line(since, until, "1") + line(since, until, "2", point=OWN) + line(since, until, "3")
    batch = await export(tmp_path, text)

    assert [one.value for one in batch.readings] == [2.0]
    assert batch.rejects == []


async def test_two_strangers_are_not_mixed(tmp_path: Path) -> None:
    """Without our own, the first meter point counts and the others are named; a filter chooses."""
    since, until = "01-06-2026 00:00:00", "01-06-2026 01:00:00"
    third = "571313161100187667"
    text = NEW + line(since, until, "1") + line(since, until, "2", point=third)
    batch = await export(tmp_path, text)
    assert [one.value for one in batch.readings] == [1.0]
    assert third in batch.rejects[0].reason

    chosen = await export(tmp_path, text, filter={"MålepunktsID": third})
    assert [one.value for one in chosen.readings] == [2.0]
    assert chosen.rejects == []


async def test_one_series_of_a_meter_point_is_read(tmp_path: Path) -> None:
    """Consumption and production of one meter point are two series: consumption first, the rest is named."""
    head = NEW.rstrip() + ";Målepunktstype_Kode;Målepunktstype\n"
    since, until = "01-06-2026 00:00:00", "01-06-2026 01:00:00"
    text = head
    text += line(since, until, "1", rest="KWH;Målt;Tidsserie;D06;Leveret til net")
    text += line(since, until, "2", rest="KWH;Målt;Tidsserie;D07;Forbrugt fra net")
    batch = await export(tmp_path, text)
    assert [one.value for one in batch.readings] == [2.0]
    assert "D06" in batch.rejects[0].reason

    fed = await export(tmp_path, text, filter={"Målepunktstype_Kode": "D06"})
    assert [one.value for one in fed.readings] == [-1.0]


def days(moment: datetime, count: int) -> list[tuple[datetime, datetime]]:
    """Return hours from a moment on as (start, end), in UTC."""
    return [(moment + timedelta(hours=n), moment + timedelta(hours=n + 1)) for n in range(count)]


def stamped(moment: datetime) -> str:
    """Format a moment as local time in Copenhagen."""
    return f"{moment.astimezone(COPENHAGEN):%d-%m-%Y %H:%M:%S}"


@pytest.mark.parametrize(("day", "count"), [("2025-10-26", 25), ("2026-03-29", 23), ("2026-06-01", 24)])
@pytest.mark.parametrize("style", ["clock", "plus one"])
async def test_days_of_23_and_25_hours(tmp_path: Path, day: str, count: int, style: str) -> None:
    """Every hour of the day the clock changes is read once, at its end, however the export writes it."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=COPENHAGEN).astimezone(UTC)
    text = NEW
    for n, (start, end) in enumerate(days(midnight, count)):
        shown = start.astimezone(COPENHAGEN).replace(tzinfo=None) + timedelta(hours=1)
        until = stamped(end) if style == "clock" else f"{shown:%d-%m-%Y %H:%M:%S}"
        text += line(stamped(start), until, f"{n},5")
    batch = await export(tmp_path, text)

    assert batch.rejects == []
    assert [one.time for one in batch.readings] == [end for _, end in days(midnight, count)]
    assert [one.value for one in batch.readings] == [n + 0.5 for n in range(count)]


async def test_quarters_of_an_hour_through_the_autumn_change(tmp_path: Path) -> None:
    """Both hours of quarters keep their moments, over a restart in between, too."""
    start = datetime(2025, 10, 25, 23, tzinfo=UTC)
    moments = [start + timedelta(minutes=15 * n) for n in range(16)]
    lines = [
        line(stamped(one), stamped(one + timedelta(minutes=15)), str(n)) for n, one in enumerate(moments)
    ]
    marks: dict[str, str] = {}
    found: list[Reading] = []
    write(tmp_path, NEW)
    for part in (lines[:7], lines[7:]):
        write(tmp_path, "".join(part), "a")
        found += (await read_all(reader_of(tmp_path, marks, format="eloverblik"), marks)).readings

    assert [one.time for one in found] == [one + timedelta(minutes=15) for one in moments]


async def test_something_else_is_no_export(tmp_path: Path) -> None:
    """A file without the columns is reported with those that it has."""
    with pytest.raises(Undecodable, match=r"'time', 'power_kw'.*VEN-FIL-060"):
        await export(tmp_path, HEAD + row(1, 5))


# UCI


async def test_minute_data_by_its_name(shared: Path, tmp_path: Path) -> None:
    """The real file needs only the name of its format; power, voltage and current are read."""
    raw = (shared / "data/meterdata/uci-household-power.csv").read_text()
    write(tmp_path, raw)
    batch = await read_all(reader_of(tmp_path, format="uci"))

    known = [cells for cells in (text.split(";") for text in raw.splitlines()[1:]) if cells[2] != "?"]
    assert batch.rejects == []
    assert [one.value for one in batch.readings if one.quantity == "power_kw"] == [
        float(cells[2]) for cells in known
    ]
    assert {one.quantity for one in batch.readings} == {
        "power_kw",
        "reactive_power_kvar",
        "voltage_v",
        "current_a",
    }
    assert batch.readings[0].time == datetime(2006, 12, 16, 16, 24, tzinfo=UTC)


async def test_what_is_given_comes_before_what_a_format_says(tmp_path: Path) -> None:
    """A ready-made format is a beginning: zone, delimiter and values can be given all the same."""
    write(tmp_path, "Date,Time,Global_active_power\n1/6/2026,12:00:00,1.5\n")
    options: dict[str, Any] = {
        "format": "uci",
        "delimiter": ",",
        "time": {"zone": "UTC"},
        "values": [{"column": "Global_active_power", "quantity": "power_kw", "unit": "W"}],
    }
    batch = await read_all(reader_of(tmp_path, **options))

    assert [(one.time.hour, one.value) for one in batch.readings] == [(12, 0.0015)]


# HomeWizard


async def test_homewizard_tells_power_per_phase(tmp_path: Path) -> None:
    """Both versions of the interface name the power of each phase."""
    lines = [
        {
            "time": "2026-06-01T12:00:00Z",
            "active_power_l1_w": -676,
            "active_power_l2_w": 133,
            "active_power_l3_w": 0,
        },
        {"time": "2026-06-01T12:00:10Z", "power_l1_w": 400, "power_l2_w": None},
    ]
    write(tmp_path, "".join(json.dumps(one) + "\n" for one in lines))
    batch = await read_all(reader_of(tmp_path, format="homewizard"))

    assert [(one.quantity, one.value) for one in batch.readings] == [
        ("power_l1_kw", -0.676),
        ("power_l2_kw", 0.133),
        ("power_l3_kw", 0),
        ("power_l1_kw", 0.4),
    ]


async def test_homewizard_of_both_versions(tmp_path: Path) -> None:
    """Totals or the sum of tariffs, watts to kW, null phases left out; time in any usual form."""
    lines = [
        {
            "time": "2026-06-01T12:00:00Z",
            "total_power_import_t1_kwh": 12860.876,
            "total_power_import_t2_kwh": 8058.464,
            "total_power_export_t1_kwh": 0,
            "active_power_w": -287,
            "active_voltage_l1_v": 230.5,
            "active_current_l2_a": None,
        },
        {"timestamp": "2026-06-01T14:00:10", "energy_import_kwh": 20919.5, "power_w": 100, "voltage_v": 231},
        {"ts": 1780315220, "data": {"active_power_w": 5}},
        {"active_power_w": 5},
        {"time": 1780315221, "active_power_w": "much"},
        [1],
    ]
    write(tmp_path, "".join(json.dumps(one) + "\n" for one in lines))
    batch = await read_all(reader_of(tmp_path, format="homewizard"))

    assert [(one.quantity, f"{one.time:%H:%M:%S}", round(one.value, 6)) for one in batch.readings] == [
        ("power_kw", "12:00:00", -0.287),
        ("voltage_l1_v", "12:00:00", 230.5),
        ("energy_kwh", "12:00:00", 20919.34),
        ("energy_export_kwh", "12:00:00", 0.0),
        ("power_kw", "12:00:10", 0.1),
        ("voltage_v", "12:00:10", 231.0),
        ("energy_kwh", "12:00:10", 20919.5),
        ("power_kw", "12:00:20", 0.005),
    ]
    assert [reject.place for reject in batch.rejects] == ["meter.csv:4", "meter.csv:5", "meter.csv:6"]
    assert "have the logger add one" in batch.rejects[0].reason


# Sums and rows over several lines


async def test_columns_and_paths_are_added_up(tmp_path: Path) -> None:
    """A value may be a sum of columns or paths less others; a part that is missing makes no sample."""
    write(tmp_path, "time,t1,t2,back\n2026-06-01T12:00:00Z,1.5,2,0.5\n2026-06-01T12:01:00Z,1.5,,0.5\n")
    table: dict[str, Any] = {"values": [{"columns": ["t1", "t2"], "minus": ["back"], "quantity": "power_kw"}]}
    assert values(await read_all(reader_of(tmp_path, **table))) == [3.0]

    write(tmp_path, '{"ts": "2026-06-01T12:00:00Z", "a": {"t1": 1, "t2": 2}}\n')
    lines: dict[str, Any] = {
        "format": "jsonl",
        "values": [{"paths": ["a.t1", "/a/t2"], "quantity": "energy_kwh"}],
    }
    assert values(await read_all(reader_of(tmp_path, **lines))) == [3.0]


async def test_a_quoted_cell_may_hold_line_ends(tmp_path: Path) -> None:
    """In a complete file a row goes on until its quotes are closed; rejects name its first line."""
    text = 'time,power_kw,note\n2026-06-01T12:00:00Z,1,"two\nlines; ""quoted"""\n'
    text += 'x,2,"three\nmore\nlines"\n2026-06-01T12:02:00Z,3,plain\n'
    write(tmp_path, text)
    options: dict[str, Any] = {"values": [{"column": "power_kw", "quantity": "power_kw"}]}
    batch = await read_all(reader_of(tmp_path, follow=False, **options))

    assert values(batch) == [1.0, 3.0]
    # Each line of a row that is wrong stands for itself: none of them may take a good one with it.
    assert [reject.place for reject in batch.rejects] == [f"meter.csv:{n}" for n in (4, 5, 6)]


async def test_a_stray_quote_costs_no_more_than_its_row(tmp_path: Path) -> None:
    """A quote that was never closed, or closes a row far below, does not swallow what lies between."""
    text = HEAD + '"2026,1\n' + row(1, 1) + row(2, 2) + row(3, '"3') + row(4, 4)
    write(tmp_path, text)
    batch = await read_all(reader_of(tmp_path, follow=False))

    assert values(batch) == [1.0, 2.0, 4.0]
    assert [reject.place for reject in batch.rejects] == ["meter.csv:2", "meter.csv:5"]


async def test_a_followed_file_joins_lines_only_when_told(tmp_path: Path) -> None:
    """With `multiline` a follower waits for the closing quote; without, each line is a row at once."""
    write(tmp_path, 'time,power_kw,note\n2026-06-01T12:00:00Z,1,"two\n')
    options: dict[str, Any] = {"values": [{"column": "power_kw", "quantity": "power_kw"}]}
    plain, patient = reader_of(tmp_path, **options), reader_of(tmp_path, multiline=True, **options)
    assert len((await read_all(plain)).rejects) == 1
    assert await read_all(patient) == Batch([], [])
    write(tmp_path, 'lines"\n', "a")
    assert values(await read_all(patient)) == [1.0]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([b"a", b'"', b'""', b'a"b', None]), max_size=20), st.booleans())
def test_joined_rows_hold_every_line_once(raws: list[bytes | None], last: bool) -> None:
    """Rows hold the lines in order, none twice; only an open quote waits, and only while more may come."""
    lines = list(enumerate(raws, 1))
    records, whole = quoted_rows(lines, last)

    assert [one for record in records for one in record] == lines[:whole]
    if whole < len(lines):
        assert not last
        assert (raws[whole] or b"").count(b'"') % 2 == 1


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"format": "xml"}, "format"),
        ({"format": "eloverblik", "values": [{"column": "a", "quantity": "power_kw"}]}, "VEN-FIL-006"),
        ({"format": "homewizard", "delimiter": ";"}, "for tables"),
        ({"format": "uci", "values": [{"path": "a", "quantity": "power_kw"}]}, "columns, not paths"),
        ({"values": [{"column": "a", "columns": ["b"], "quantity": "power_kw"}]}, "one place"),
    ],
)
def test_options_that_do_not_fit_a_format_are_refused(
    tmp_path: Path, options: dict[str, Any], word: str
) -> None:
    """What a format cannot use is named when the reader is opened, and when the registry asks."""
    with pytest.raises(ConfigError, match=word):
        reader_of(tmp_path, **options)
    resource = make_resource(ConnectionType.FILEREADER, file="meter.csv", options=options)
    assert word in with_code(option_problems(resource)[0])
