"""Which reader of rows each format has, and how lines are joined to rows for it."""

from __future__ import annotations

from typing import Protocol

from venclient.connectors.eloverblik import EloverblikRows
from venclient.connectors.file_cells import split_cells
from venclient.connectors.file_layout import Layout
from venclient.connectors.file_options import FileOptions
from venclient.connectors.file_records import Grouping, quoted_rows, telegrams
from venclient.connectors.file_rows import CsvRows, JsonRows, Row
from venclient.connectors.homewizard import HomeWizardRows
from venclient.connectors.telegram_rows import TelegramRows

__all__ = ["FileOptions", "Rows", "TelegramRows", "grouping_of", "rows_of"]


class Rows(Protocol):
    """Reads rows that are text."""

    def read(self, line: str) -> Row | None:
        """Parse a row; return None for one that is not for us; ValueError says what is wrong with it."""
        ...


def grouping_of(options: FileOptions) -> Grouping | None:
    """Return how lines are joined, None where each line is a row."""
    if options.format == "dsmr-p1":
        return telegrams
    return quoted_rows if options.joins_lines else None


def rows_of(
    options: FileOptions, header: str | None, point: str, note: str, layout: Layout | None
) -> Rows | TelegramRows:
    """Build the reader of a file's rows; ValueError when its header lacks what is needed.

    `point` is the resource's meter point, `note` what a reader before has chosen in the same file, `layout`
    how a table is written.
    """
    if options.format == "dsmr-p1":
        return TelegramRows(options)
    if options.format == "homewizard" and not options.values:
        return HomeWizardRows(options)
    if not options.is_table:
        return JsonRows(options)
    if options.format == "eloverblik":
        return EloverblikRows(options, header or "", point, note)
    layout = layout or Layout(options.delimiter or ",")
    if header is not None:
        return CsvRows(options, split_cells(header, layout.delimiter), layout)
    return CsvRows(options, options.header if isinstance(options.header, tuple) else None, layout)
