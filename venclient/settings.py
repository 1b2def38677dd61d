"""Settings: one table of names, defaults and help; from ven.toml, then VEN_... variables, then flags.

Every mistake is collected and told at once, with the file, the key, the value and the expected form.
Secrets are references (`env:NAME`, `file:PATH`, `credential:NAME`), resolved when used and never shown.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from venclient.errors import ConfigError
from venclient.secrets import resolve_secret

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

Kind = Literal["text", "path", "place", "url", "seconds", "days", "count", "flag", "texts", "secret"]

EXPECTED: Mapping[Kind, str] = {
    "text": 'a text, for instance "Herning"',
    "path": "a path, relative to the folder of ven.toml",
    "place": "a path, relative to the folder of ven.toml, or a postgresql:// URL",
    "url": "an address that starts with https:// (or http:// with vtn.allow_http = true)",
    "seconds": "seconds, a number above 0",
    "days": "days, a number above 0",
    "count": "a whole number above 0",
    "flag": "true or false",
    "texts": 'a list of texts, for instance ["day-ahead"]',
    "secret": '"env:NAME", "file:PATH" or "credential:NAME"',
}


class Setting(NamedTuple):
    """One row of the settings table; `default` None means not set."""

    key: str
    kind: Kind
    default: Any
    help: str
    required: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "ven.name", "text", None, "Name of this VEN at the VTN (venName and clientName), unique there.", True
    ),
    Setting(
        "ven.resources",
        "text",
        None,
        "Which resources to serve: the registry's `ven` value; all when not set.",
    ),
    Setting("registry.database", "place", "resources.db", "The resource database."),
    Setting(
        "registry.key_file",
        "path",
        None,
        "The key that seals passwords; beside the database, as `<database>.key`, when not set.",
    ),
    Setting("readings.path", "path", "var/readings.db", "Where readings are kept."),
    Setting(
        "readings.commit_s",
        "seconds",
        10.0,
        "How long polled readings may wait for their commit to the card.",
    ),
    Setting("readings.retention_days", "days", 400.0, "How long single readings are kept."),
    Setting(
        "readings.max_mb",
        "count",
        None,
        "MiB that the readings file may hold: the oldest single readings go first; no limit when not set.",
    ),
    Setting(
        "readings.store",
        "text",
        "sqlite",
        "Where reports take history from: sqlite, or influxdb where it has it.",
    ),
    Setting("influx.url", "url", None, "Address of an InfluxDB that gets all readings; none when not set."),
    Setting("influx.version", "count", 2, "Version of that InfluxDB: 1, 2 or 3."),
    Setting("influx.bucket", "text", "meter_data", "Bucket; the database of versions 1 and 3."),
    Setting("influx.org", "text", None, "Organisation, for version 2."),
    Setting("influx.token", "secret", None, "Where the token is kept, for versions 2 and 3."),
    Setting("influx.username", "text", None, "User name, for version 1."),
    Setting("influx.password", "secret", None, "Where the password is kept, for version 1."),
    Setting(
        "influx.ca_file", "path", None, "Certificate authority of InfluxDB, when it is not a public one."
    ),
    Setting(
        "influx.language", "text", "influxql", "How history is asked for: influxql, or flux (version 2)."
    ),
    Setting("influx.batch", "count", 5000, "How many lines one request to InfluxDB has at most."),
    Setting("influx.period_s", "seconds", 10.0, "How often new readings are sent to InfluxDB."),
    Setting("influx.timeout_s", "seconds", 10.0, "How long one request to InfluxDB may take."),
    Setting(
        "clock.trust",
        "text",
        "auto",
        'Whether readings wait while the clock is not known to be right ("auto"), or never ("always").',
    ),
    Setting("vtn.url", "url", None, "Base address of the VTN, with its version path.", True),
    Setting(
        "vtn.client_id", "text", None, "Client id at the VTN's token service; not set: no token is asked for."
    ),
    Setting("vtn.client_secret", "secret", None, "Where the client secret is kept; never the secret itself."),
    Setting("vtn.token_url", "url", None, "Token service, when the VTN does not tell it."),
    Setting("vtn.allow_http", "flag", False, "Allow a VTN without TLS: for a test on one machine."),
    Setting("vtn.ca_file", "path", None, "Certificate authority of the VTN, when it is not a public one."),
    Setting("vtn.programs", "texts", (), "Names of the programs to follow; all visible ones when empty."),
    Setting("vtn.poll_s", "seconds", 60.0, "How often events are fetched."),
    Setting("vtn.timeout_s", "seconds", 10.0, "How long one request to the VTN may take."),
    Setting("reporting.state", "path", "var/state.db", "Events as last known, and the outbox of reports."),
    Setting(
        "reporting.settle_s", "seconds", 2.0, "How long after an interval's end late samples are waited for."
    ),
    Setting(
        "reporting.allow_negative",
        "flag",
        False,
        "Report net feed-in as negative USAGE and DEMAND; some VTNs refuse values below 0.",
    ),
    Setting(
        "reporting.max_gap_s",
        "seconds",
        None,
        "Longest gap between readings that is bridged; by spacing when not set.",
    ),
    Setting("status.socket", "path", "var/ven.sock", "Where the running gateway answers `ven status`."),
    Setting("log.level", "text", "INFO", "DEBUG, INFO, WARNING or ERROR."),
)

TABLE: Mapping[str, Setting] = {setting.key: setting for setting in SETTINGS}

#: Names that once were, and what to write instead.
OBSOLETE: Mapping[str, str] = {}


@dataclass(frozen=True)
class Settings:
    """Checked settings; `settings["vtn.poll_s"]` gives a value, `origin` says where each came from."""

    values: Mapping[str, Any]
    origin: Mapping[str, str]
    folder: Path

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
    "count": lambda value: _positive(value) and isinstance(value, int),
    "flag": lambda value: isinstance(value, bool),
    "texts": lambda value: isinstance(value, list | tuple) and all(isinstance(one, str) for one in value),
    "secret": lambda value: isinstance(value, str) and value.startswith(("env:", "file:", "credential:")),
}


def _from_text(kind: Kind, text: str) -> Any:
    """Read an environment variable as its kind wants; text that does not fit comes back, to be refused."""
    if kind in ("seconds", "days"):
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
            problems.append(
                f"{file or 'settings'}: {setting.key} is missing: expected {EXPECTED[setting.kind]}"
            )
        values.setdefault(setting.key, setting.default)
        origin.setdefault(setting.key, "default")
    problems += _cross_checks(values, origin)
    if problems:
        raise ConfigError(
            f"{len(problems)} mistake{'s' if len(problems) > 1 else ''} in the settings",
            subject=str(file or "settings"),
            problems=tuple(problems),
        )
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
            hint="name one with --config, or copy config/ven.toml and edit it",
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
    if values.get("clock.trust") not in ("auto", "always"):
        problems.append(
            f"{origin['clock.trust']}: clock.trust = {values['clock.trust']!r}: expected auto or always"
        )
    problems += _influx_checks(values, origin)
    if str(values.get("log.level")).upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        where = f"{origin['log.level']}: log.level = {values['log.level']!r}"
        problems.append(f"{where}: expected DEBUG, INFO, WARNING or ERROR")
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
