"""Settings, by the table of `settings_table.py`: from ven.toml, then VEN_... variables, then flags.

A table `[vtns.NAME]` names a further VTN: it takes the keys of `[vtn]`, and those of OF_VTN.

Every mistake is collected and reported at once, with file and line, the key, the value and the expected form.
Secrets are references (`env:NAME`, `file:PATH`, `credential:NAME`), resolved when used and never shown.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from venclient.errors import ConfigError
from venclient.messages import Text
from venclient.messages import settings as cfg
from venclient.secrets import resolve_secret
from venclient.settings_table import EXPECTED, OBSOLETE, SETTINGS, TABLE, Kind, Setting
from venclient.toml_lines import line_of_error, lines_of

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

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "reporting.order": ("oldest-first", "newest-first"),
    "clock.trust": ("auto", "always"),
    "vtn.push": ("auto", "off"),
}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

#: Tables that settings stand in.
_SECTIONS = frozenset(key.partition(".")[0] for key in TABLE)
#: What of a table a message about several VTNs is about.
_SHARED = {
    cfg.SAME_STATE.code: "state",
    cfg.SAME_LISTEN.code: "webhook_listen",
    cfg.SAME_VEN.code: "ven_name",
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
        """Return a path setting, resolved against the folder of ven.toml; ConfigError when it is not set."""
        value: str | None = self.values[key]
        if value is None:
            raise ConfigError(cfg.NOT_SET(expected=EXPECTED["path"]), subject=key)
        return self.folder / value

    def place(self, key: str) -> str:
        """Return a place setting: a URL as it is, a path resolved against the folder of ven.toml."""
        value: str = self.values[key]
        return value if "://" in value else str(self.folder / value)

    def __repr__(self) -> str:
        return f"Settings(folder={str(self.folder)!r})"


def variable_of(key: str) -> str:
    """Return the environment variable of a setting: "vtn.poll_s" -> "VEN_VTN_POLL_S"."""
    return "VEN_" + key.upper().replace(".", "_")


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        key = f"{prefix}{name}"
        # An empty table is kept: it may be one that nothing knows.
        if isinstance(value, dict) and key not in TABLE and (value or key in _SECTIONS):
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


def _unknown(source: str, key: str) -> Text:
    """Return what is wrong with a key that is not in the table."""
    from difflib import get_close_matches

    if instead := OBSOLETE.get(key):
        return cfg.OBSOLETE(source=source, key=key, instead=instead)
    near = get_close_matches(key, TABLE, n=1, cutoff=0.5)
    if near:
        return cfg.NO_SETTING(source=source, key=key, near=near[0])
    return cfg.UNKNOWN(source=source, key=key)


def load_settings(
    file: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings of `file`, overridden by VEN_... variables, overridden by `flags`.

    ConfigError lists every mistake at once, one sentence each, in its `problems`.
    """
    environment = os.environ if environment is None else environment
    read = None if file is None else _File(file)
    given = _given(read, environment, flags or {})
    problems: list[str] = []
    further = _further(given, problems)
    settings = _checked(given, read, problems)
    others = {name: _checked(own, read, problems, name=name) for name, own in further.items()}
    problems += _shared(read, {"vtn": settings, **{f"vtns.{name}": own for name, own in others.items()}})
    if problems:
        raise ConfigError(
            cfg.MISTAKES(count=len(problems)),
            subject=str(file or "settings"),
            problems=tuple(dict.fromkeys(problems)),
        )
    return replace(settings, others=others)


_Given = dict[str, tuple[Any, str]]


def _shared(file: _File | None, tables: Mapping[str, Settings]) -> list[str]:
    """Tell what several VTNs have in common that each must have for itself."""
    problems: list[str] = []
    seen: dict[tuple[Any, ...], str] = {}
    for table, own in tables.items():
        listens = own["vtn.webhook_listen"] if own["vtn.webhook_url"] else None
        vtn = str(own["vtn.url"] or "").rstrip("/")
        for is_given, key, message in (
            (True, ("state", own.path("reporting.state").resolve()), cfg.SAME_STATE),
            (listens, ("listen", listens), cfg.SAME_LISTEN),
            (vtn, ("ven", vtn, own["ven.name"]), cfg.SAME_VEN),
        ):
            if is_given and (first := seen.setdefault(key, table)) != table:
                where = file.place(f"{table}.{_SHARED[message.code]}") if file is not None else "settings"
                problems.append(message(file=where, table=table, first=first))
    return problems


def _further(given: _Given, problems: list[str]) -> dict[str, _Given]:
    """Take the tables of further VTNs out of `given`, and give what is written down for each.

    A VTN has its own `[vtn]` and state file, and shares all else.
    """
    tables: dict[str, _Given] = {}
    for key in [key for key in given if key.startswith("vtns.")]:
        value, source = given.pop(key)
        _, name, *rest = key.split(".", 2)
        if not rest and value == {} and _VTN_NAME.fullmatch(name):
            tables.setdefault(name, {})
            continue
        if not rest or not _VTN_NAME.fullmatch(name):
            problems.append(cfg.VTN_TABLE(source=source, key=key))
            continue
        known = OF_VTN.get(rest[0], f"vtn.{rest[0]}")
        tables.setdefault(name, {})[known] = value, f"{source} [vtns.{name}]"
    shared = {key: entry for key, entry in given.items() if not key.startswith("vtn.")}
    state = Path(str(given.get("reporting.state", (TABLE["reporting.state"].default, ""))[0]))
    return {
        name: shared
        | {"reporting.state": (str(state.with_stem(f"{state.stem}-{name}")), cfg.OF_TABLE(name=name))}
        | own
        for name, own in tables.items()
    }


def _checked(given: _Given, file: _File | None, problems: list[str], *, name: str = "") -> Settings:
    """Return the valid settings; what is wrong goes into `problems`.

    `name` is that of the further VTN that they are for.
    """
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for key, (value, source) in given.items():
        setting = TABLE.get(key)
        if setting is None:
            problems.append(_unknown(source, key))
        elif not _CHECKS[setting.kind](value):
            shown = "***" if setting.kind == "secret" else repr(value)
            problems.append(cfg.VALUE(source=source, key=key, shown=shown, expected=EXPECTED[setting.kind]))
        else:
            values[key], origin[key] = value, source
    for setting in SETTINGS:
        if setting.required and setting.key not in given:
            table = f" [vtns.{name}]" if name else ""
            place = f"vtns.{name}" if name else setting.key
            where = f"{file.place(place) if file else 'settings'}{table}"
            problems.append(cfg.MISSING(source=where, key=setting.key, expected=EXPECTED[setting.kind]))
        values.setdefault(setting.key, setting.default)
        origin.setdefault(setting.key, "default")
    problems += _cross_checks(values, origin)
    return Settings(values, origin, file.path.resolve().parent if file else Path.cwd())


def _given(
    file: _File | None, environment: Mapping[str, str], flags: Mapping[str, Any]
) -> dict[str, tuple[Any, str]]:
    """Gather what was written down, with where it was; later sources win."""
    given: dict[str, tuple[Any, str]] = {}
    if file is not None:
        given.update((key, (value, file.place(key))) for key, value in file.values.items())
    for setting in SETTINGS:
        name = variable_of(setting.key)
        if name in environment:
            given[setting.key] = (_from_text(setting.kind, environment[name]), cfg.FROM_VARIABLE(name=name))
    given.update((key, (value, cfg.FROM_FLAGS())) for key, value in flags.items() if value is not None)
    return given


class _File:
    """A settings file: its values by dotted key, and where each of them stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = _text_of(path)
        try:
            self.values = _flatten(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            where = f"{path}:{line_of_error(error, text)}"
            raise ConfigError(cfg.NOT_TOML(problem=error), subject=where) from error
        except RecursionError:
            raise ConfigError(cfg.TOO_DEEP(), subject=str(path)) from None
        self._lines: dict[str, int] = {}
        for parts, line in lines_of(text).items():
            self._lines.setdefault(".".join(map(str, parts)), line)

    def place(self, key: str) -> str:
        """Return "ven.toml:3" for a key, or for the table that it would stand in; else the file's name."""
        while key and key not in self._lines:
            key = key.rpartition(".")[0]
        return f"{self.path}:{self._lines[key]}" if key else str(self.path)


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        missing = cfg.NO_FILE(folder=file.absolute().parent, path=shlex.quote(str(file)))
        raise ConfigError(missing, subject=str(file)) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(cfg.UNREADABLE(problem=error), subject=f"{file}:{line}") from error
    except OSError as error:
        raise ConfigError(cfg.UNREADABLE(problem=error), subject=str(file)) from error


def _cross_checks(values: Mapping[str, Any], origin: Mapping[str, str]) -> list[str]:
    problems: list[str] = []
    for key in ("vtn.url", "vtn.token_url"):
        url = values.get(key)
        if url and url.startswith("http://") and not values.get("vtn.allow_http"):
            problems.append(cfg.NO_TLS(source=origin[key], key=key, value=url))
    place = str(values.get("registry.database"))
    if re.search(r"://[^:@/]+:(?!env:|file:|credential:)[^@]+@", place):
        hidden = re.sub(r"(://[^:@/]+:)[^@]+@", r"\1***@", place)
        problems.append(cfg.PASSWORD(source=origin["registry.database"], value=hidden))
    if bool(values.get("vtn.client_id")) != bool(values.get("vtn.client_secret")):
        one = "vtn.client_id" if values.get("vtn.client_id") else "vtn.client_secret"
        problems.append(cfg.TOGETHER(source=origin[one]))
    if values.get("vtn.token") and values.get("vtn.client_id"):
        problems.append(cfg.ONE_LOGIN(source=origin["vtn.token"]))
    problems += _choice_checks({**VTN_CHOICES, **_CHOICES}, values, origin)
    problems += _key_checks("vtn.", values, origin)
    problems += _webhook_checks(values, origin)
    problems += _influx_checks(values, origin)
    problems += _reporting_checks(values, origin)
    if str(values.get("log.level")).upper() not in _LEVELS:
        problems.append(_choice("log.level", _LEVELS, values, origin))
    return problems


def _choice(key: str, known: Sequence[Any], values: Mapping[str, Any], origin: Mapping[str, str]) -> Text:
    return cfg.CHOICE(source=origin[key], key=key, value=values[key], known=" or ".join(map(str, known)))


def _choice_checks(
    choices: Mapping[str, Sequence[Any]],
    values: Mapping[str, Any],
    origin: Mapping[str, str],
    *,
    optional: bool = False,
) -> list[str]:
    """Return the settings whose value is not one of the words that they may be."""
    return [
        _choice(key, known, values, origin)
        for key, known in choices.items()
        if values.get(key) not in known and not (optional and values.get(key) is None)
    ]


def _key_checks(prefix: str, values: Mapping[str, Any], origin: Mapping[str, str]) -> list[str]:
    key, other = f"{prefix}key_file", f"{prefix}cert_file"
    if values.get(key) and not values.get(other):
        return [cfg.KEY_WITHOUT_CERT(source=origin[key], key=key, other=other)]
    return []


def _needs(origin: Mapping[str, str], key: str, given: str, needed: str) -> Text:
    return cfg.NEEDS(source=origin[key], given=given, needed=needed)


def _webhook_checks(values: Mapping[str, Any], origin: Mapping[str, str]) -> list[str]:
    problems: list[str] = []
    webhook = str(values.get("vtn.webhook_url") or "")
    if webhook.startswith("http://") and not values.get("vtn.allow_http"):
        problems.append(cfg.NO_TLS(source=origin["vtn.webhook_url"], key="vtn.webhook_url", value=webhook))
    problems += _key_checks("vtn.webhook_", values, origin)
    host, _, port = str(values.get("vtn.webhook_listen") or "").rpartition(":")
    if webhook and not (host and port.isdecimal() and 0 < int(port[:6]) < 65_536):
        key = "vtn.webhook_listen"
        problems.append(cfg.LISTEN(source=origin[key], key=key, value=values.get(key)))
    return problems


def _reporting_checks(values: Mapping[str, Any], origin: Mapping[str, str]) -> list[str]:
    choices: Mapping[str, tuple[str, ...]] = {
        "reporting.window_reading": ("automatic", "generation-point", "first-covered"),
        "reporting.all_intervals": ("since-last", "all"),
        "reporting.forecast_at": ("start", "end"),
    }
    problems: list[str] = _choice_checks(choices, values, origin, optional=True)
    zone = values.get("reporting.time_zone")
    try:
        ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        key = "reporting.time_zone"
        problems.append(cfg.ZONE(source=origin[key], key=key, value=zone))
    return problems


def _influx_checks(values: Mapping[str, Any], origin: Mapping[str, str]) -> list[str]:
    choices: Mapping[str, tuple[Any, ...]] = {
        "readings.store": ("sqlite", "influxdb"),
        "influx.version": (1, 2, 3),
        "influx.language": ("influxql", "flux"),
    }
    problems: list[str] = _choice_checks(choices, values, origin, optional=True)
    if values.get("readings.store") == "influxdb" and not values.get("influx.url"):
        problems.append(_needs(origin, "readings.store", "readings.store = 'influxdb'", "influx.url"))
    if values.get("influx.language") == "flux" and values.get("influx.version") != 2:
        problems.append(_needs(origin, "influx.language", "influx.language = 'flux'", "influx.version = 2"))
    if values.get("influx.url") and values.get("influx.version") == 2 and not values.get("influx.org"):
        problems.append(_needs(origin, "influx.url", "influx.url with influx.version = 2", "influx.org"))
    return problems
