"""What `ven status` and the live view of `ven demo` show: a snapshot of the gateway as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from venclient.messages import gateway as gwy
from venclient.messages.printable import made_printable, number_text

STATE_STYLE = {
    "ok": "green",
    "starting": "yellow",
    "silent": "yellow",
    "unreachable": "red",
    "unusable": "red",
}
#: States of the snapshot under the words of logs and messages.
STATE_WORDS = {"dark": "unreachable", "refused": "unusable"}
COLUMNS = ("resource", "type", "connection", "last value", "age", "state", "readings")
NARROW_COLUMNS = ("resource", "connection", "last value", "age", "state")
RIGHT = ("last value", "age", "readings")
WIDE = 100
GAP = 2
NOTES_SHOWN = 8
LABEL_WIDTH = 9


def age_text(then: str | None, now: str) -> str:
    """Return the time between two ISO times as people say it: "3 s", "5 min", "2 h", "4 d"; "-" for never."""
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
            quality = latest[quantity].get("quality", "good").replace("_", " ")
            doubt = "" if quality == "good" else f" ({quality})"
            shown.append(f"{number_text(latest[quantity]['value'])} {unit}{doubt}")
    if not shown and latest:
        quantity, one = max(latest.items(), key=lambda item: item[1]["time"])
        shown.append(f"{quantity} {number_text(one['value'])}")
    return ", ".join(shown[:2]) or "-"


class ConnectionsTable:
    """The resources with last values, ages and connection states, as wide as the terminal lets it be.

    Names are shortened first; a narrow terminal goes without what changes least. With more rows than `limit`
    those that are not well come first.
    """

    def __init__(self, snapshot: Mapping[str, Any], *, limit: int = 40) -> None:
        snapshot = made_printable(snapshot)
        rows = list(snapshot["connections"])
        if len(rows) > limit:
            rows.sort(key=lambda row: row["state"] == "ok")
        self._left_out = max(0, len(rows) - limit)
        self._rows = [
            {
                "resource": row["name"],
                "type": row["type"],
                "connection": row["connection"],
                "last value": _latest_text(row["latest"]),
                "age": age_text(
                    max((one["time"] for one in row["latest"].values()), default=None), snapshot["now"]
                ),
                "state": STATE_WORDS.get(row["state"], row["state"]),
                "readings": str(row["readings"]),
            }
            for row in rows[:limit]
        ]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        names = list(COLUMNS if options.max_width >= WIDE else NARROW_COLUMNS)
        widths = {name: max((cell_len(row[name]) for row in self._rows), default=0) for name in names}
        taken = sum(max(width, len(name)) + GAP for name, width in widths.items() if name != "resource")
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        for name in names:
            table.add_column(
                name,
                no_wrap=True,
                overflow="ellipsis",
                justify="right" if name in RIGHT else "left",
                max_width=max(8, options.max_width - taken) if name == "resource" else None,
            )
        for row in self._rows:
            cells: list[Text] = [Text(row[name]) for name in names]
            cells[names.index("state")].stylize(STATE_STYLE.get(row["state"], ""))
            table.add_row(*cells)
        yield table
        if self._left_out:
            yield Text(f"... and {self._left_out} more")


def fault_lines(snapshot: Mapping[str, Any], *, limit: int = 8) -> list[str]:
    """Return why meters are not read, a sentence each."""
    faults = [row for row in snapshot["connections"] if row["state"] != "ok" and row["last_error"]]
    lines = [
        (
            row["last_error"]
            if str(row["last_error"]).startswith(row["name"])
            else f"{row['name']}: {row['last_error']}"
        )
        + (f" ({gwy.FOR_SO_LONG(age=age_text(row['since'], snapshot['now']))})" if row.get("since") else "")
        for row in faults[:limit]
    ]
    if len(faults) > limit:
        lines.append(gwy.MORE_METERS(count=len(faults) - limit))
    return lines


def note_lines(snapshot: Mapping[str, Any]) -> list[str]:
    """Return the notes, each with the time since when it holds where the gateway gives it."""
    notes = snapshot["notes"]
    times = snapshot.get("notes_since") or [None] * len(notes)
    return [
        f"{datetime.fromisoformat(since).astimezone(UTC):%Y-%m-%d %H:%M} UTC  {note}" if since else note
        for since, note in zip(times, notes, strict=True)
    ]


def telemetry_lines(snapshot: Mapping[str, Any]) -> list[str]:
    """Return what resources are configured to report without an event, with what to ask the VTN for."""
    lines = []
    for link in (snapshot, *snapshot.get("others", ())):
        telemetry = link.get("telemetry") or {"unmet": (), "more": 0, "problems": ()}
        of = f"VTN {link['name']}: " if link.get("name") else ""
        lines += [f"{of}{one}" for one in (*telemetry["unmet"], *telemetry["problems"])]
        if telemetry["more"]:
            lines.append(f"{of}{gwy.MORE_WISHES(count=telemetry['more'])}")
    return lines


def bullets(lines: Sequence[str], style: str, mark: str = "!") -> Table:
    """Return lines with a coloured mark before each; wrapped lines stay indented."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column()
    table.add_column(overflow="fold")
    for line in lines:
        table.add_row(Text(f"  {mark}", style), Text(line))
    return table


def _counted(count: int, noun: str) -> str:
    """Return a number with its noun: "1 program", "2 programs"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _link_lines(link: Mapping[str, Any], text: Text) -> None:
    """Append how it stands with one VTN, its events and reports."""
    vtn, reports, events = link["vtn"], link["reports"], link["events"]
    good = vtn["state"] == "connected"
    text.append("VTN      ", "bold")
    if link.get("name"):
        text.append(f"{link['name']} ", "bold")
    text.append(f"{vtn['url']} ")
    text.append(vtn["state"], "green" if good else "yellow")
    if vtn["last_error"] and not good:
        text.append(f": {vtn['last_error']}")
    if vtn.get("push") and good:
        text.append(f", {vtn['push']}")
    text.append("\nVEN      ", "bold")
    ven = link["ven"]
    held = f"{ven['registered']} of {_counted(ven['resources'], 'resource')} registered"
    text.append(f"{ven['name']}, {held if ven.get('verified_at', True) else gwy.UNVERIFIED()}")
    text.append("\nevents   ", "bold")
    text.append(f"{events['known']} in {_counted(events['programs'], 'program')}")
    text.append("\nreports  ", "bold")
    text.append(f"{reports['sent']} sent, {reports['owed']} owed, {reports['refused']} refused")
    if reports.get("lost"):
        text.append(f", {reports['lost']} lost", "red")
    text.append("\n")


def vtn_lines(snapshot: Mapping[str, Any]) -> Text:
    """Return the status of the VTNs, the events and the reports, a line each."""
    text = Text()
    snapshot = made_printable(snapshot)
    for link in (snapshot, *snapshot.get("others", ())):
        _link_lines(link, text)
    _store_line(snapshot, text)
    _registry_line(snapshot, text)
    if influx := snapshot.get("influx"):
        text.append("\nInfluxDB ", "bold")
        text.append(influx["state"], "green" if influx["state"] == "ok" else "yellow")
        text.append(f", {influx['sent']} sent, {influx['rejected']} refused")
        if influx["rejected"]:
            text.append(" (`ven readings aside`)")
        if influx["lag_s"] >= 1:
            text.append(f", {influx['lag_s']:.0f} s behind")
        if influx["last_error"]:
            text.append(f": {influx['last_error']}")
    clock = snapshot.get("clock")
    if clock and not clock["synchronised"]:
        text.append("\nclock    ", "bold")
        if clock.get("settling"):
            text.append(gwy.CLOCK_COMPARED(count=clock["held"]))
            return text
        text.append(gwy.CLOCK_HOLDING(count=clock["held"]), "yellow")
        lost = f", {clock['dropped']} given up" if clock["dropped"] else ""
        text.append(f"{lost} ({clock['doubt']})")
    return text


def vtn_view(snapshot: Mapping[str, Any]) -> Table:
    """Return `vtn_lines` with what wraps indented below its line."""
    table = Table.grid(padding=0)
    table.add_column(width=LABEL_WIDTH)
    table.add_column(overflow="fold")
    for line in vtn_lines(snapshot).split("\n"):
        table.add_row(line[:LABEL_WIDTH], line[LABEL_WIDTH:])
    return table


def _store_line(snapshot: Mapping[str, Any], text: Text) -> None:
    """Add how many readings are stored, and what became of others."""
    store = snapshot["readings"]
    text.append("readings ", "bold")
    text.append(f"{store['readings']} stored")
    missed = sum(row.get("missed", 0) for row in snapshot.get("connections", ()))
    for count, what in (
        (missed, "moment missed" if missed == 1 else "moments missed"),
        (store.get("refused"), "refused"),
        (store.get("dropped"), "lost"),
    ):
        if count:
            text.append(f", {count} {what}")
    if store.get("last_error"):
        text.append(f", {store.get('waiting', 0)} wait in memory: {store['last_error']}", "yellow")


def _registry_line(snapshot: Mapping[str, Any], text: Text) -> None:
    """Add which version of the registry runs, and which is stored where that is another."""
    registry = snapshot.get("registry")
    if not registry or "running" not in registry:
        return
    running, stored = registry["running"], registry.get("stored")
    text.append("\nregistry ", "bold")
    text.append(f"version {running} is running, ")
    text.append(f"version {stored} is stored", "" if stored == running else "yellow")


def status_view(snapshot: Mapping[str, Any]) -> RenderableType:
    """Return the whole status, for `ven status`."""
    snapshot = made_printable(snapshot)
    head = Text(
        f"venclient {snapshot['version']}, running for {age_text(snapshot['started'], snapshot['now'])}",
        "bold",
    )
    parts: list[RenderableType] = [head, vtn_view(snapshot), Text(), ConnectionsTable(snapshot)]
    # The faults have the reason of each connection that the note counts.
    notes = [note for note in note_lines(snapshot) if not note.endswith(f"[{gwy.NOT_OPENED.code}]")]
    for lines, style in (
        (fault_lines(snapshot), "red"),
        (telemetry_lines(snapshot), "yellow"),
        (notes[-NOTES_SHOWN:], "yellow"),
    ):
        if lines:
            parts += [Text(), bullets(lines, style)]
    return Group(*parts)
