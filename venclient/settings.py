"""Settings, by the table of `settings_table.py`: from ven.toml, then VEN_... variables, then flags.

A table `[vtns.NAME]` names a further VTN: it takes the keys of `[vtn]`, and those of OF_VTN.

Every mistake is collected and told at once, with the file, the key, the value and the expected form.
Secrets are references (`env:NAME`, `file:PATH`, `credential:NAME`), resolved when used and never shown.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from venclient.errors import ConfigError
from venclient.secrets import resolve_secret
from venclient.settings_table import EXPECTED, OBSOLETE, SETTINGS, TABLE, Kind, Setting

__all__ = [
    "EXPECTED",
    "OBSOLETE",
    "SETTINGS",
    "TABLE",
    "Setting",
    "Settings",
    "load_settings",
    "resolve_secret",
    "variable_of",
]

#: What a further VTN's table takes besides the keys of [vtn], and the setting that it stands for.
OF_VTN: Mapping[str, str] = {
    "ven_name": "ven.name",
    "resources": "ven.resources",
    "state": "reporting.state",
}

#: What settings towards a VTN may be.
VTN_CHOICES: Mapping[str, tuple[str, ...]] = {
    "vtn.version": ("probe", "3.1", "3.0.1"),
    "vtn.location_order": ("lon_lat", "lat_lon"),
}

_VTN_NAME = re.compile(r"[a-z0-9_-]{1,40}")


@dataclass(frozen=True)
class Settings:
    """Checked settings; `settings["vtn.poll_s"]` gives a value, `origin` says where each came from.

    `others` holds, by name, the settings towards each further VTN (`[vtns.NAME]`).
    """

    values: Mapping[str, Any]
    origin: Mapping[str, str]
    folder: Path
    others: Mapping[str, Settings] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def path(self, key: str) -> Path:
        """Give a path setting, resolved against the folder of ven.toml; ConfigError when it is not set."""
        value: str | None = self.values[key]
        if value is None:
            raise ConfigError("is not set", subject=key, hint=f"expected {EXPECTED['path']}")
        return self.folder / value

    def place(self, key: str) -> str:
        """Give a place setting: a URL as it is, a path resolved against the folder of ven.toml."""
        value: str = self.values[key]
        return value if "://" in value else str(self.folder / value)

    def __repr__(self) -> str:
        return f"Settings(folder={str(self.folder)!r})"


def variable_of(key: str) -> str:
    """Give the environment variable of a setting: "vtn.poll_s" -> "VEN_VTN_POLL_S"."""
    return "VEN_" + key.upper().replace(".", "_")


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and key not in TABLE:
            flat.update(_flatten(value, key + "."))
        else:
            flat[key] = value
    return flat


def _positive(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    )


_CHECKS: Mapping[Kind, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str) and bool(value.strip()),
    "path": lambda value: isinstance(value, str) and bool(value.strip()),
    "place": lambda value: isinstance(value, str) and bool(value.strip()),
    "url": lambda value: isinstance(value, str) and value.startswith(("https://", "http://")),
    "seconds": _positive,
    "days": _positive,
    "number": _positive,
    "count": lambda value: _positive(value) and isinstance(value, int),
    "flag": lambda value: isinstance(value, bool),
    "texts": lambda value: isinstance(value, list | tuple) and all(isinstance(one, str) for one in value),
    "secret": lambda value: isinstance(value, str) and value.startswith(("env:", "file:", "credential:")),
}


def _from_text(kind: Kind, text: str) -> Any:
    """Read an environment variable as its kind wants; text that does not fit comes back, to be refused."""
    if kind in ("seconds", "days", "number"):
        try:
            return float(text)
        except ValueError:
            return text
    if kind == "count":
        return int(text) if text.isdecimal() else text
    if kind == "flag":
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
            text.lower(), text
        )
    if kind == "texts":
        return [one.strip() for one in text.split(",") if one.strip()]
    return text


def _closest(key: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, TABLE, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else "see `ven config show` for the known names"


def load_settings(
    file: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Give the settings of `file`, overridden by VEN_... variables, overridden by `flags`.

    ConfigError lists every mistake at once, one sentence each, in its `problems`.
    """
    environment = os.environ if environment is None else environment
    given = _given(file, environment, flags or {})
    problems: list[str] = []
    further = _further(given, problems)
    settings = _checked(given, file, problems)
    others = {name: _checked(own, file, problems, table=f" [vtns.{name}]") for name, own in further.items()}
    problems += _shared(file, {"vtn": settings, **{f"vtns.{name}": own for name, own in others.items()}})
    if problems:
        raise ConfigError(
            f"{len(problems)} mistake{'s' if len(problems) > 1 else ''} in the settings",
            subject=str(file or "settings"),
            problems=tuple(dict.fromkeys(problems)),
        )
    return replace(settings, others=others)


_Given = dict[str, tuple[Any, str]]


def _shared(file: Path | None, tables: Mapping[str, Settings]) -> list[str]:
    """Tell what several VTNs have in common that each must have for itself."""
    problems = []
    seen: dict[tuple[Any, ...], str] = {}
    for table, own in tables.items():
        listens = own["vtn.webhook_listen"] if own["vtn.webhook_url"] else None
        vtn = str(own["vtn.url"] or "").rstrip("/")
        for is_given, key, said in (
            (True, ("state", own.path("reporting.state").resolve()), "state: is the file of {}"),
            (listens, ("listen", listens), "webhook_listen: is the address of {}"),
            (vtn, ("ven", vtn, own["ven.name"]), "ven_name: is this VTN's VEN for {}"),
        ):
            if is_given and (first := seen.setdefault(key, table)) != table:
                problems.append(f"{file}: {table}.{said.format(first)} as well; each VTN has its own")
    return problems


def _further(given: _Given, problems: list[str]) -> dict[str, _Given]:
    """Take the tables of further VTNs out of `given`, and give what is written down for each.

    A VTN has its own `[vtn]` and state file, and shares all else.
    """
    tables: dict[str, _Given] = {}
    for key in [key for key in given if key.startswith("vtns.")]:
        value, source = given.pop(key)
        _, name, *rest = key.split(".", 2)
        if not rest or not _VTN_NAME.fullmatch(name):
            problems.append(
                f"{source}: {key}: expected a table [vtns.NAME], NAME of a-z, 0-9, - and _, at most 40"
            )
            continue
        known = OF_VTN.get(rest[0], f"vtn.{rest[0]}")
        tables.setdefault(name, {})[known] = value, f"{source} [vtns.{name}]"
    shared = {key: told for key, told in given.items() if not key.startswith("vtn.")}
    state = Path(str(given.get("reporting.state", (TABLE["reporting.state"].default, ""))[0]))
    return {
        name: shared
        | {"reporting.state": (str(state.with_stem(f"{state.stem}-{name}")), f"default of [vtns.{name}]")}
        | own
        for name, own in tables.items()
    }


def _checked(given: _Given, file: Path | None, problems: list[str], *, table: str = "") -> Settings:
    """Give the settings as far as they are right; what is wrong goes into `problems`."""
    where = f"{file or 'settings'}{table}"
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for key, (value, source) in given.items():
        setting = TABLE.get(key)
        if setting is None:
            problems.append(f"{source}: {key}: {OBSOLETE.get(key) or f'is no setting; {_closest(key)}'}")
        elif not _CHECKS[setting.kind](value):
            shown = "***" if setting.kind == "secret" else repr(value)
            problems.append(f"{source}: {key} = {shown}: expected {EXPECTED[setting.kind]}")
        else:
            values[key], origin[key] = value, source
    for setting in SETTINGS:
        if setting.required and setting.key not in given:
            problems.append(f"{where}: {setting.key} is missing: expected {EXPECTED[setting.kind]}")
        values.setdefault(setting.key, setting.default)
        origin.setdefault(setting.key, "default")
    problems += _cross_checks(values, origin)
    return Settings(values, origin, file.resolve().parent if file else Path.cwd())


def _given(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]
) -> dict[str, tuple[Any, str]]:
    """Gather what was written down, with where it was; later sources win."""
    given: dict[str, tuple[Any, str]] = {}
    if file is not None:
        given.update((key, (value, str(file))) for key, value in _read_toml(file).items())
    for setting in SETTINGS:
        name = variable_of(setting.key)
        if name in environment:
            given[setting.key] = (_from_text(setting.kind, environment[name]), f"environment variable {name}")
    given.update((key, (value, "command line")) for key, value in flags.items() if value is not None)
    return given


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return _flatten(tomllib.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(
            "no such file",
            subject=str(file),
            hint="name one with --config, or make one: ven config template > ven.toml",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read ({error})", subject=str(file)) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"is not valid TOML: {error}", subject=str(file)) from error


def _cross_checks(values: Mapping[str, Any], origin: Mapping[str, str]) -> list[str]:
    problems = []
    for key in ("vtn.url", "vtn.token_url"):
        url = values.get(key)
        if url and url.startswith("http://") and not values.get("vtn.allow_http"):
            problems.append(
                f"{origin[key]}: {key} = {url!r}: has no TLS; expected https://, "
                "or vtn.allow_http = true for a test VTN"
            )
    place = str(values.get("registry.database"))
    if re.search(r"://[^:@/]+:(?!env:|file:|credential:)[^@]+@", place):
        hidden = re.sub(r"(://[^:@/]+:)[^@]+@", r"\1***@", place)
        problems.append(
            f"{origin['registry.database']}: registry.database = {hidden!r}: holds a password; "
            "expected a reference in its place (env:NAME or file:PATH)"
        )
    if bool(values.get("vtn.client_id")) != bool(values.get("vtn.client_secret")):
        problems.append("settings: vtn.client_id and vtn.client_secret belong together: give both or neither")
    for key, known in VTN_CHOICES.items():
        if values.get(key) not in known:
            problems.append(f"{origin[key]}: {key} = {values[key]!r}: expected {' or '.join(known)}")
    if values.get("vtn.key_file") and not values.get("vtn.cert_file"):
        problems.append(f"{origin['vtn.key_file']}: vtn.key_file belongs to vtn.cert_file: give both")
    if values.get("reporting.order") not in ("oldest-first", "newest-first"):
        told = f"{origin['reporting.order']}: reporting.order = {values['reporting.order']!r}"
        problems.append(f"{told}: expected oldest-first or newest-first")
    if values.get("clock.trust") not in ("auto", "always"):
        problems.append(
            f"{origin['clock.trust']}: clock.trust = {values['clock.trust']!r}: expected auto or always"
        )
    if values.get("vtn.push") not in ("auto", "off"):
        problems.append(f"{origin['vtn.push']}: vtn.push = {values['vtn.push']!r}: expected auto or off")
    problems += _webhook_checks(values, origin)
    problems += _influx_checks(values, origin)
    problems += _reporting_checks(values, origin)
    if str(values.get("log.level")).upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        where = f"{origin['log.level']}: log.level = {values['log.level']!r}"
        problems.append(f"{where}: expected DEBUG, INFO, WARNING or ERROR")
    return problems


def _webhook_checks(values: Mapping[str, Any], origin: Mapping[str, str]) -> list[str]:
    problems = []
    webhook = str(values.get("vtn.webhook_url") or "")
    if webhook.startswith("http://") and not values.get("vtn.allow_http"):
        problems.append(
            f"{origin['vtn.webhook_url']}: vtn.webhook_url = {webhook!r}: has no TLS; expected https://"
        )
    if values.get("vtn.webhook_key_file") and not values.get("vtn.webhook_cert_file"):
        told = f"{origin['vtn.webhook_key_file']}: vtn.webhook_key_file belongs to vtn.webhook_cert_file"
        problems.append(f"{told}: give both")
    host, _, port = str(values.get("vtn.webhook_listen") or "").rpartition(":")
    if webhook and not (host and port.isdecimal() and 0 < int(port[:6]) < 65_536):
        told = f"{origin['vtn.webhook_listen']}: vtn.webhook_listen = {values.get('vtn.webhook_listen')!r}"
        problems.append(f'{told}: expected host and port, as in "0.0.0.0:8443"')
    return problems


def _reporting_checks(values: Mapping[str, Any], origin: Mapping[str, str]) -> list[str]:
    choices: Mapping[str, tuple[str, ...]] = {
        "reporting.window_reading": ("automatic", "generation-point", "first-covered"),
        "reporting.all_intervals": ("since-last", "all"),
        "reporting.forecast_at": ("start", "end"),
    }
    problems = [
        f"{origin[key]}: {key} = {values[key]!r}: expected {' or '.join(known)}"
        for key, known in choices.items()
        if values.get(key) is not None and values[key] not in known
    ]
    zone = values.get("reporting.time_zone")
    try:
        ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        told = f"{origin['reporting.time_zone']}: reporting.time_zone = {zone!r}"
        problems.append(f"{told}: is no zone known here; expected a name such as Europe/Copenhagen")
    return problems


def _influx_checks(values: Mapping[str, Any], origin: Mapping[str, str]) -> list[str]:
    choices: Mapping[str, tuple[Any, ...]] = {
        "readings.store": ("sqlite", "influxdb"),
        "influx.version": (1, 2, 3),
        "influx.language": ("influxql", "flux"),
    }
    problems = [
        f"{origin[key]}: {key} = {values[key]!r}: expected {' or '.join(map(str, known))}"
        for key, known in choices.items()
        if values.get(key) is not None and values[key] not in known
    ]
    if values.get("readings.store") == "influxdb" and not values.get("influx.url"):
        problems.append(f"{origin['readings.store']}: readings.store = 'influxdb' needs influx.url")
    if values.get("influx.language") == "flux" and values.get("influx.version") != 2:
        problems.append(f"{origin['influx.language']}: influx.language = 'flux' needs influx.version = 2")
    if values.get("influx.url") and values.get("influx.version") == 2 and not values.get("influx.org"):
        problems.append(f"{origin['influx.url']}: influx.url with influx.version = 2 needs influx.org")
    return problems
