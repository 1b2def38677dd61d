"""What a FILEREADER connection may say: formats by options, and ready-made ones by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from venclient.connectors.mistakes import Mistakes, shown
from venclient.connectors.payload import Terms, parse_path, path_mistakes
from venclient.connectors.timestamps import time_mistakes
from venclient.connectors.units import repeated_quantities, value_mistakes
from venclient.messages import files as fil
from venclient.model.reading import POWER_KW

#: What loggers write where they have no value (casefolded).
NOTHING = frozenset({"", "?", "-", "na", "n/a", "nan", "null", "none"})
TIME_NAMES = ("time", "timestamp", "datetime", "ts")


class FileValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One value of a row: its column (csv) or path (others), its quantity and its unit.

    With `columns` or `paths` it is their sum, less those of `minus`; a missing part means no sample.
    With `boolean` on and true are 1, off and false 0, although the quantity has a unit.
    """

    quantity: str
    column: str | None = None
    columns: tuple[str, ...] = ()
    path: str | None = None
    paths: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    boolean: bool = False

    def __post_init__(self) -> None:
        problems = value_mistakes(self.quantity, self.unit, self.scale, self.offset)
        if self.in_columns == bool(self.path is not None or self.paths):
            problems.append(fil.COLUMN_OR_PATH())
        if (self.column is not None and self.columns) or (self.path is not None and self.paths):
            problems.append(fil.PLACE_TWICE())
        if not self.in_columns:
            problems += [one for path in (*self.plus, *self.minus) for one in path_mistakes(path)]
        if problems:
            raise Mistakes(problems)

    @property
    def in_columns(self) -> bool:
        """True for a value of a table, False for one of documents."""
        return self.column is not None or bool(self.columns)

    @property
    def plus(self) -> tuple[str, ...]:
        """The columns or paths to add up."""
        if self.in_columns:
            return self.columns or (self.column or "",)
        return self.paths or (self.path or "",)

    @property
    def terms(self) -> Terms:
        """The paths to add, and those to take off."""
        return tuple(map(parse_path, self.plus)), tuple(map(parse_path, self.minus))


class FileTime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a row has its time and in which form; the cells of several columns are joined by a space.

    `format` is "iso" unless given. `fold` says which of the two equal hours in autumn is meant: by the order
    of the rows, or always the first or second.
    """

    columns: tuple[str, ...] = ()
    path: str | None = None
    format: str | None = None
    zone: str | None = None
    fold: Literal["order", "first", "second"] = "order"

    def __post_init__(self) -> None:
        problems = time_mistakes(self.form, self.zone)
        problems += [] if self.path is None else path_mistakes(self.path)
        if problems:
            raise Mistakes(problems)

    @property
    def form(self) -> str:
        """The form of the time: `format`, or "iso"."""
        return self.format or "iso"


Format = Literal["csv", "jsonl", "eloverblik", "uci", "dsmr-p1", "homewizard"]

#: Formats of exports: complete files unless the options say that they are followed.
_EXPORTS = ("eloverblik", "uci")
_TABLES = ("csv", "uci", "eloverblik")

_READY_TIMES: Mapping[str, FileTime] = MappingProxyType(
    {
        "uci": FileTime(columns=("Date", "Time"), format="%d/%m/%Y %H:%M:%S", zone="Europe/Paris"),
        "eloverblik": FileTime(zone="Europe/Copenhagen"),
        "dsmr-p1": FileTime(format="dsmr", zone="Europe/Amsterdam"),
        "homewizard": FileTime(format="auto", zone="Europe/Amsterdam"),
    }
)

_READY_VALUES: Mapping[str, tuple[FileValue, ...]] = MappingProxyType(
    {
        "uci": (
            FileValue(column="Global_active_power", quantity=POWER_KW, unit="kW"),
            FileValue(column="Global_reactive_power", quantity="reactive_power_kvar", unit="kvar"),
            FileValue(column="Voltage", quantity="voltage_v"),
            FileValue(column="Global_intensity", quantity="current_a"),
        )
    }
)


class FileOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a FILEREADER connection says beyond its file.

    A `format` by the name of a product needs nothing else; what is given all the same comes first. Without
    `values`, columns that are named like quantities are read, else the first one as power in kW. `filter`
    keeps only the rows with these values. Delimiter, decimal mark and header are found in the file where they
    are not given. A file that is not followed is complete. With `drop` the file is a
    folder (or a pattern of names in one) whose files are read once each and moved away.
    """

    format: Format = "csv"
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] | None = None
    decimal: Literal[".", ","] | None = None
    encoding: str = "utf-8"
    header: bool | tuple[str, ...] | None = None
    multiline: bool | None = None
    time: FileTime = FileTime()
    values: tuple[FileValue, ...] = ()
    filter: dict[str, str | int] = {}
    follow: bool | None = None
    drop: bool = False
    interval_s: Annotated[float, Meta(gt=0, le=86_400)] = 10.0

    def __post_init__(self) -> None:
        problems = repeated_quantities([value.quantity for value in self.values])
        problems += self._table_mistakes() if self.format in _TABLES else self._document_mistakes()
        try:
            if '\n0;,"'.encode(self.codec) != b'\n0;,"':
                raise LookupError
        except (LookupError, ValueError):
            problems.append(fil.ENCODING(encoding=shown(self.encoding)))
        if problems:
            raise Mistakes(problems)

    def _table_mistakes(self) -> list[str]:
        problems: list[str] = []
        if any(not value.in_columns for value in self.values) or self.time.path is not None:
            problems.append(fil.COLUMNS_ONLY(format=self.format))
        if self.format == "eloverblik":
            if self.values or self.time.columns or self.header not in (None, True):
                problems.append(fil.ELOVERBLIK_FIXED())
        elif self.header is False and not (self.values and self.time.columns):
            problems.append(fil.HEADER_FALSE())
        if self.delimiter is not None and (self.delimiter == self.decimal or self.delimiter in '."\r\n'):
            problems.append(fil.DELIMITER(delimiter=shown(self.delimiter)))
        return problems

    def _document_mistakes(self) -> list[str]:
        problems: list[str] = []
        if any(value.in_columns for value in self.values) or self.time.columns:
            problems.append(fil.PATHS_ONLY(format=self.format))
        of_tables = self.delimiter or self.decimal or self.multiline or self.header is not None
        if of_tables and self.format != "jsonl":
            problems.append(fil.TABLES_ONLY(format=self.format))
        if self.format == "dsmr-p1":
            if self.filter or self.time.path is not None or self.time.format not in (None, "dsmr"):
                problems.append(fil.DSMR_FIXED())
            return problems
        return problems + [found for path in self.filter for found in path_mistakes(path)]

    @property
    def codec(self) -> str:
        """The encoding of a line: a byte order mark, if any, was taken off the first one."""
        return "utf-8" if self.encoding.lower().replace("_", "-") == "utf-8-sig" else self.encoding

    @property
    def is_table(self) -> bool:
        """True where rows have columns."""
        return self.format in _TABLES

    @property
    def is_complete(self) -> bool:
        """True when a last line counts without a line end."""
        return self.drop or not (self.format not in _EXPORTS if self.follow is None else self.follow)

    @property
    def joins_lines(self) -> bool:
        """True when quotes may hold line ends."""
        return self.is_table and (self.is_complete if self.multiline is None else self.multiline)

    def completed(self) -> FileOptions:
        """Return the options with what a ready-made format says added where nothing is given."""
        ready = _READY_TIMES.get(self.format)
        if ready is None:
            return self
        time = msgspec.structs.replace(
            self.time,
            columns=self.time.columns or ready.columns,
            format=self.time.format or ready.format,
            zone=self.time.zone or ready.zone,
        )
        return msgspec.structs.replace(
            self,
            time=time,
            values=self.values or _READY_VALUES.get(self.format, ()),
            delimiter=self.delimiter or (";" if self.format == "uci" else None),
            decimal=self.decimal or ("." if self.format == "uci" else None),
            header=True if self.header is None and self.format in ("uci", "eloverblik") else self.header,
        )
