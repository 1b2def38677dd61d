"""What `ven status` and the live view of `ven demo` show: a snapshot of the gateway as tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

STATE_STYLE = {"ok": "green", "starting": "yellow", "dark": "red", "refused": "red"}


def age_text(then: str | None, now: str) -> str:
    """Give the time between two ISO times as people say it: "3 s", "5 min", "2 h", "4 d"; "-" for never."""
    if not then:
        return "-"
    seconds = max(0.0, (datetime.fromisoformat(now) - datetime.fromisoformat(then)).total_seconds())
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _latest_text(latest: Mapping[str, Mapping[str, Any]]) -> str:
    units = {"kw": "kW", "kwh": "kWh", "percent": "%", "v": "V", "a": "A"}
    shown = []
    for quantity in ("power_kw", "energy_kwh", "energy_export_kwh", "soc_percent"):
        if quantity in latest:
            unit = units.get(quantity.rsplit("_", 1)[-1], "")
            shown.append(f"{latest[quantity]['value']:.2f} {unit}")
    return ", ".join(shown[:2]) or "-"


def connections_table(snapshot: Mapping[str, Any], *, limit: int = 40) -> Table:
    """Give the resources with their last values, ages and connection states."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("resource", "type", "connection"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=34)
    table.add_column("last value", justify="right", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("readings", justify="right")
    rows = snapshot["connections"]
    for row in rows[:limit]:
        newest = max((one["time"] for one in row["latest"].values()), default=None)
        state = row["state"] + (
            f": {row['last_error']}" if row["state"] != "ok" and row["last_error"] else ""
        )
        table.add_row(
            escape(row["name"]),
            row["type"],
            row["connection"],
            _latest_text(row["latest"]),
            age_text(newest, snapshot["now"]),
            Text(state, style=STATE_STYLE.get(row["state"], "")),
            str(row["readings"]),
        )
    if len(rows) > limit:
        table.add_row(f"… and {len(rows) - limit} more")
    return table


def vtn_lines(snapshot: Mapping[str, Any]) -> Text:
    """Give how it stands with the VTN, the events and the reports, a line each."""
    vtn, reports, events = snapshot["vtn"], snapshot["reports"], snapshot["events"]
    text = Text()
    good = vtn["state"] == "connected"
    text.append("VTN      ", "bold")
    text.append(f"{vtn['url']} ")
    text.append(vtn["state"], "green" if good else "yellow")
    if vtn["last_error"] and not good:
        text.append(f": {vtn['last_error']}")
    text.append("\nVEN      ", "bold")
    text.append(
        f"{snapshot['ven']['name']}, {snapshot['ven']['registered']} of "
        f"{snapshot['ven']['resources']} resources registered"
    )
    text.append("\nevents   ", "bold")
    text.append(f"{events['known']} in {events['programs']} programs")
    text.append("\nreports  ", "bold")
    text.append(f"{reports['sent']} sent, {reports['owed']} owed, {reports['refused']} refused")
    store = snapshot["readings"]
    text.append("\nreadings ", "bold")
    text.append(f"{store['readings']} stored")
    return text


def notes_text(snapshot: Mapping[str, Any], *, limit: int = 8) -> Text:
    """Give what was refused or left out lately, newest last; empty when nothing was."""
    notes = snapshot["notes"]
    text = Text()
    for note in notes[-limit:]:
        text.append("  ! ", "yellow")
        text.append(f"{note}\n")
    return text


def status_view(snapshot: Mapping[str, Any]) -> RenderableType:
    """Give the whole picture, for `ven status`."""
    head = Text(
        f"venclient {snapshot['version']}, running for {age_text(snapshot['started'], snapshot['now'])}",
        "bold",
    )
    parts: list[RenderableType] = [head, vtn_lines(snapshot), Text(), connections_table(snapshot)]
    if snapshot["notes"]:
        parts += [Text(), notes_text(snapshot)]
    return Group(*parts)
