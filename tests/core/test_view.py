"""What `ven status` shows: a snapshot as tables, readable on a narrow terminal."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from venclient.messages import gateway as gwy
from venclient.messages import in_full
from venclient.view import age_text, status_view

NOW = "2026-05-01T12:00:00+00:00"


def snapshot(**changes: Any) -> dict[str, Any]:
    """Return a snapshot of a gateway with one good and one dark meter."""
    meter = {
        "resource": "r1",
        "name": "Hotel Ærø",
        "type": "DSR",
        "connection": "MODBUSTCP",
        "endpoint": "modbustcp 192.0.2.1:502",
        "vtn_name": "Hotel Ærø",
        "latest": {"power_kw": {"value": 12.345, "time": "2026-05-01T11:59:57+00:00", "quality": "good"}},
        "state": "ok",
        "last_error": None,
        "readings": 42,
    }
    dark = meter | {"name": "Kro", "latest": {}, "state": "dark", "last_error": "no answer", "readings": 0}
    return {
        "version": "0.1.0",
        "now": NOW,
        "started": "2026-05-01T10:00:00+00:00",
        "ven": {"name": "Herning", "id": "v", "resources": 2, "registered": 1},
        "connections": [meter, dark],
        "readings": {"readings": 42},
        "vtn": {"url": "https://vtn.example", "state": "unreachable", "last_error": "no route"},
        "events": {"known": 1, "programs": 1},
        "reports": {"owed": 3, "sent": 5, "refused": 0},
        "notes": ["meter.csv:7: no number"],
        **changes,
    }


def shown(data: dict[str, Any], width: int = 120) -> str:
    """Return what is printed on a terminal of that width."""
    console = Console(width=width, record=True, file=None, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(status_view(data))
    return captured.get()


def test_values_ages_and_states_are_shown() -> None:
    """A good meter has its value with unit and age, a dark one its reason."""
    text = shown(snapshot())

    assert "12.35 kW" in text or "12.34 kW" in text
    assert "3 s" in text
    assert "no answer" in text


def test_the_vtns_absence_and_what_is_owed_are_told() -> None:
    """Why nothing is sent, and how much waits, is on the screen."""
    text = shown(snapshot())

    assert "unreachable: no route" in text
    assert "5 sent, 3 owed, 0 refused" in text
    assert "meter.csv:7: no number" in text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """A narrow terminal gets shortened cells, not broken lines."""
    name = {"name": "Et meget langt navn på et hotel ved havnen i Nykøbing Mors " * 2}
    rows = [row | name for row in snapshot()["connections"]]

    assert all(len(line) <= width for line in shown(snapshot(connections=rows), width).splitlines())


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("2026-05-01T11:59:30+00:00", "30 s"),
        ("2026-05-01T11:30:00+00:00", "30 min"),
        ("2026-05-01T02:00:00+00:00", "10 h"),
        ("2026-04-21T12:00:00+00:00", "10 d"),
        ("2026-05-01T12:00:05+00:00", "0 s"),
        (None, "-"),
    ],
)
def test_ages_are_told_as_people_say_them(then: str | None, expected: str) -> None:
    """Seconds, minutes, hours and days; never a negative age."""
    assert age_text(then, NOW) == expected


def test_at_80_columns_names_values_and_states_are_whole() -> None:
    """The usual terminal shows name, connection, values, age and state uncut, and leaves out the rest."""
    meter = snapshot()["connections"][0]
    values = {
        "power_kw": {"value": -60.79, "time": NOW},
        "energy_export_kwh": {"value": 1120.04, "time": NOW},
    }
    row = meter | {"name": "Solceller, Egekrogen", "connection": "FILEREADER", "latest": values}

    lines = shown(snapshot(connections=[row]), 80).splitlines()

    assert "Solceller, Egekrogen  FILEREADER  -60.79 kW, 1120.04 kWh  0 s  ok" in [
        line.rstrip() for line in lines
    ]


def test_a_wide_terminal_shows_types_and_counts_too() -> None:
    """With 100 columns nothing is left out."""
    (head,) = [line for line in shown(snapshot(), 100).splitlines() if line.startswith("resource")]

    assert head.split() == ["resource", "type", "connection", "last", "value", "age", "state", "readings"]


def test_why_a_meter_is_dark_stands_below_the_table() -> None:
    """A long reason wraps below its mark, and takes no column's room."""
    reason = "Kro (modbustcp 192.0.2.1:502): " + "nobody answers there, so see to the cable " * 3
    good, dark = snapshot()["connections"]

    lines = shown(snapshot(connections=[good, dark | {"last_error": reason}]), 80).splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("  ! Kro (modbustcp"))

    assert lines[first + 1].startswith("    ")
    assert any(line.startswith("Hotel Ærø  MODBUSTCP") for line in lines)


def test_of_many_meters_the_dark_ones_are_shown_first() -> None:
    """More rows than fit hide none that needs a look."""
    good, dark = snapshot()["connections"]

    text = shown(snapshot(connections=[good] * 60 + [dark]))

    assert "Kro        DSR" in text
    assert "... and 21 more" in text


def test_the_mirror_in_influxdb_has_a_line() -> None:
    """State, what was sent and refused, how far it is behind, and why."""
    influx = {
        "state": "away",
        "sent": 7,
        "rejected": 1,
        "lag_s": 3600.4,
        "last_error": "InfluxDB http://127.0.0.1:8086: no answer in 10 s",
    }

    text = shown(snapshot(influx=influx))

    assert (
        "InfluxDB away, 7 sent, 1 refused (`ven readings aside`), 3600 s behind:"
        " InfluxDB http://127.0.0.1:8086: no answer" in text
    )
    assert "InfluxDB" not in shown(snapshot(influx=None))


def test_a_full_disk_and_what_was_missed_are_told() -> None:
    """Readings that wait or are lost, and moments at which nothing could be read, are on the screen."""
    readings = {
        "readings": 42,
        "waiting": 7,
        "refused": 0,
        "dropped": 3,
        "last_error": "var/readings.db: the disk is full",
    }
    rows = [row | {"missed": 2} for row in snapshot()["connections"]]

    text = shown(snapshot(readings=readings, connections=rows))

    assert "42 stored, 4 moments missed, 3 lost, 7 wait in memory: var/readings.db: the disk is full" in text
    assert "wait in memory" not in shown(snapshot())


def test_a_line_about_a_vtn_that_wraps_stays_whole_and_indented() -> None:
    """Nothing of it is cut at 80 columns, and what wraps stands below its text."""
    vtn = {
        "url": "http://127.0.0.1:8081/openadr3/3.1.1",
        "state": "connected",
        "last_error": None,
        "push": "polling (the VTN offers no push notifications)",
    }
    lines = shown(snapshot(vtn=vtn), 80).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("VTN "))

    assert lines[start + 1].startswith(" " * 9)
    words = " ".join(line.strip() for line in lines[start : start + 2])
    assert words.endswith("connected, polling (the VTN offers no push notifications)")


def test_one_program_is_not_called_programs() -> None:
    """Numbers agree with their nouns."""
    lines = [line.rstrip() for line in shown(snapshot()).splitlines()]
    assert "events   1 in 1 program" in lines


def test_connections_that_cannot_be_used_are_listed_once() -> None:
    """The note that counts them repeats what stands below the table."""
    refused = snapshot()["connections"][1] | {"state": "refused", "last_error": "Kro: no register map"}
    note = in_full(gwy.NOT_OPENED(count=1, names=["Kro"], more="", reason="Kro: no register map"))

    text = shown(snapshot(connections=[refused], notes=[note]))

    assert text.count("no register map") == 1
    assert "unusable" in text


def test_notes_have_their_time() -> None:
    """Each note is shown with the time since when it holds."""
    text = shown(snapshot(notes=["the disk is full"], notes_since=["2026-05-01T09:58:30+02:00"]))
    assert "2026-05-01 07:58 UTC  the disk is full" in text


def test_a_meter_that_cannot_be_read_has_its_time() -> None:
    """The reason is shown with how long it has been so."""
    given = snapshot()
    dark = given["connections"][1] | {"since": given["started"]}
    text = shown(given | {"connections": [given["connections"][0], dark]})
    assert "no answer (for " in text


@pytest.mark.parametrize("value", [-1e308, 1e308, 1e-300, 123_456_789.0, 9e15, -0.004])
def test_a_value_of_any_size_leaves_the_table_legible(value: float) -> None:
    """The columns beside an enormous value keep their place, and the value takes few characters."""
    data = snapshot()
    data["connections"][0]["latest"]["power_kw"]["value"] = value
    (row,) = [line for line in shown(data, 80).splitlines() if line.startswith("Hotel")]
    assert "MODBUSTCP" in row
    assert "ok" in row
    assert len(row) <= 80


def test_text_of_others_cannot_write_to_the_terminal() -> None:
    """Names, errors and notes with escapes, line ends, markup and changes of direction are shown as text."""
    hostile = "x\x1b[2J\r\nERROR forged\u2028\u202e[red]y[/red]\x9b"
    data = snapshot(notes=[hostile])
    data["vtn"] |= {"last_error": hostile, "url": hostile, "state": hostile}
    data["ven"]["name"] = hostile
    for row in data["connections"]:
        row |= {"name": hostile, "type": hostile, "connection": hostile, "last_error": hostile}
        row["latest"] = {hostile: {"value": 1.0, "time": NOW, "quality": hostile}}
    lines = shown(data, width=200).split("\n")
    assert all(line.isprintable() for line in lines)
    assert not any(line.lstrip().startswith("ERROR forged") for line in lines)
    assert any("[red]y[/red]" in line for line in lines)
