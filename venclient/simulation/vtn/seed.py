"""What a VTN starts with: clients, programs, events and faults from a TOML or JSON file, or a mapping.

Three members exist in a seed only: a program or event may fix its `id`; an event may name its
`program` instead of a programID, repeat its one interval (`intervalCount = 6`), and start relative
to now: `start = "now+5s"` rounds up to a whole second, `"now+5s aligned 10s"` to a multiple of 10 s
of the wall clock.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from venclient.errors import ConfigError, VenError
from venclient.messages import Text, text_of, within
from venclient.messages import simulation as sim
from venclient.simulation.vtn.auth import Client, make_client
from venclient.simulation.vtn.fault_plan import PlannedFault, read_fault
from venclient.simulation.vtn.problems import Refusal
from venclient.simulation.vtn.schema import read_body
from venclient.simulation.vtn.service import Service
from venclient.simulation.vtn.store import wire_time

_RELATIVE = re.compile(r"now(?:\s*([+-])\s*(\d+)([smhd]))?(?:\s+aligned\s+(\d+)([smhd]))?")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TABLES = ("clients", "programs", "events", "faults")


@dataclass(frozen=True, slots=True)
class Seed:
    """A checked seed; its relative starts are resolved when it is planted."""

    clients: tuple[Client, ...]
    programs: tuple[Mapping[str, Any], ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()
    faults: tuple[PlannedFault, ...] = ()


def read_seed(source: Path | Mapping[str, Any] | None) -> Seed:
    """Return the seed of a .toml or .json file or a mapping; without one, clients `bl-1` and `ven-1`.

    Clients without a secret get a random one. Raises ConfigError naming every mistake.
    """
    if source is None:
        return Seed((make_client("bl-1", role="bl"), make_client("ven-1")))
    name = str(source) if isinstance(source, Path) else "seed"
    tables = _load(source) if isinstance(source, Path) else source
    problems: list[Text] = [
        sim.SEED_UNKNOWN_TABLE(seed=name, table=key, known=_TABLES) for key in tables if key not in _TABLES
    ]
    clients: list[Client] = []
    for number, row in _rows(name, "clients", tables, problems):
        try:
            clients.append(read_client(row))
        except (ConfigError, TypeError) as error:
            problems.append(_wrong(name, "clients", number, error))
    programs = [row for _, row in _rows(name, "programs", tables, problems)]
    events = [row for _, row in _rows(name, "events", tables, problems)]
    faults: list[PlannedFault] = []
    for number, row in _rows(name, "faults", tables, problems):
        fault, wrong = read_fault(row)
        problems += [_wrong(name, "faults", number, one) for one in wrong]
        if fault is not None:
            faults.append(fault)
    if problems:
        raise _mistakes(name, problems)
    return Seed(tuple(clients), tuple(programs), tuple(events), tuple(faults))


def plant(seed: Seed, service: Service, now: datetime) -> None:
    """Create the seed's programs and events, unless a kept store has them; raises ConfigError."""
    problems: list[Text] = []
    for kind, rows in (("program", seed.programs), ("event", seed.events)):
        for number, row in enumerate(rows):
            try:
                _plant_one(kind, row, service, now)
            except (Refusal, ValueError, TypeError, LookupError, AttributeError) as error:
                problems.append(_wrong("seed", f"{kind}s", number, error))
    if problems:
        raise _mistakes("seed", problems)


def add(service: Service, kind: str, content: Mapping[str, Any], object_id: str = "") -> dict[str, Any]:
    """Store a program or event as business logic would, checked alike; give it as answered.

    Raises Refusal for content that the API would refuse, and for an id that is taken.
    """
    checked = read_body(kind, msgspec.json.encode(content), is_bl=True)
    if kind == "event":
        service.require_program(checked["programID"])
    service.require_free_name(kind, checked)
    if object_id and service.store.get(kind, object_id) is not None:
        raise Refusal(409, f"there is a {kind} {object_id} already")
    record = service.store.create(kind, checked, object_id=object_id)
    service.note("CREATE", record)
    return record.wire()


def resolve_start(text: str, now: datetime) -> str:
    """Return an event's start as RFC 3339: a relative one against now, any other as it is."""
    found = _RELATIVE.fullmatch(text.strip())
    if found is None:
        if text.startswith("now"):
            raise ValueError(sim.INVALID_START(start=text))
        return text
    sign, count, unit, grid, grid_unit = found.groups()
    offset_s = int(count) * _UNIT_S[unit] * (-1 if sign == "-" else 1) if count else 0
    grid_s = int(grid) * _UNIT_S[grid_unit] if grid else 1
    if grid_s == 0:
        raise ValueError(sim.ALIGNED_TO_ZERO(start=text))
    moment_s = math.ceil((now.timestamp() + offset_s) / grid_s) * grid_s
    return wire_time(datetime.fromtimestamp(moment_s, UTC))


def _plant_one(kind: str, row: Mapping[str, Any], service: Service, now: datetime) -> None:
    content = dict(row)
    object_id = str(content.pop("id", ""))
    if object_id and service.store.get(kind, object_id) is not None:
        return
    if kind == "program":
        if any(service.store.find("program", programName=content["programName"])):
            return
    else:
        ids = {one.content["programName"]: one.id for one in service.store.find("program")}
        content = prepared(content, ids, now)
        if not object_id and content.get("eventName"):
            kept = service.store.find("event", programID=content.get("programID", ""))
            if any(other.content.get("eventName") == content["eventName"] for other in kept):
                return
    add(service, kind, content, object_id)


def prepared(row: Mapping[str, Any], program_ids: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """Return a seed's event as a request: what exists in a seed only is resolved.

    `program_ids` are by program name. Raises LookupError or ValueError.
    """
    content = {key: value for key, value in row.items() if key != "id"}
    if "program" in content:
        name = content.pop("program")
        if name not in program_ids:
            raise LookupError(sim.UNKNOWN_PROGRAM(name=name))
        content["programID"] = program_ids[name]
    if "intervalCount" in content:
        count = int(content.pop("intervalCount"))
        (template,) = content.get("intervals") or [{"payloads": []}]
        content["intervals"] = [{**template, "id": number} for number in range(count)]
    period = content.get("intervalPeriod")
    if period and "start" in period:
        content["intervalPeriod"] = {**period, "start": resolve_start(period["start"], now)}
    return content


def _mistakes(name: str, problems: list[Text]) -> ConfigError:
    shown = tuple(within(one, after=f"; {one.hint}" if one.hint else "") for one in problems)
    return ConfigError(sim.SEED_MISTAKES(count=len(problems)), subject=name, problems=shown)


def _wrong(seed: str, table: str, number: int, reason: Text | Exception) -> Text:
    """Return what is wrong with a row: the message of `reason` where it has one, with its place in front."""
    found = text_of(reason) if isinstance(reason, Exception) else reason
    if isinstance(found, Text):
        subject = f"{reason.subject}: " if isinstance(reason, VenError) and reason.subject else ""
        return found.within(f"{seed}: {table}[{number}]: {subject}")
    return sim.SEED_ROW(seed=seed, table=table, number=number, reason=reason)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        loaded = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ConfigError(sim.SEED_UNREADABLE(reason=error.strerror), subject=str(path)) from None
    except ValueError as error:
        what = sim.SEED_NOT_PARSED(format="JSON" if path.suffix == ".json" else "TOML", reason=error)
        raise ConfigError(what, subject=str(path)) from None
    if not isinstance(loaded, dict):
        raise ConfigError(sim.SEED_NO_TABLES(known=_TABLES), subject=str(path))
    return loaded


def _rows(
    name: str, table: str, tables: Mapping[str, Any], problems: list[Text]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    rows = tables.get(table, [])
    if not isinstance(rows, list):
        problems.append(sim.SEED_NOT_LIST(seed=name, table=table))
        return
    for number, row in enumerate(rows):
        if isinstance(row, Mapping):
            yield number, row
        else:
            problems.append(sim.SEED_NOT_TABLE(seed=name, table=table, number=number))


def read_client(row: Mapping[str, Any]) -> Client:
    """Return the client of a seed's table (id, role, secret, scopes); raises ConfigError."""
    if not isinstance(row.get("id"), str):
        raise ConfigError(sim.CLIENT_WITHOUT_ID())
    if unknown := set(row) - {"id", "role", "secret", "scopes"}:
        raise ConfigError(sim.CLIENT_KEYS(keys=unknown))
    return make_client(
        row["id"], role=row.get("role", "ven"), secret=row.get("secret", ""), scopes=row.get("scopes")
    )
