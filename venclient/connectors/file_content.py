"""Turn the lines of a meter file into readings and rejects; independent of how the lines are read."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from venclient.connectors.eloverblik import EloverblikRows
from venclient.connectors.file_format import FileOptions, Rows, grouping_of, rows_of
from venclient.connectors.file_layout import SAMPLE_LINES, Layout, find_layout
from venclient.connectors.file_numbers import Evidence, decide, undecided
from venclient.connectors.file_records import Line, Torn
from venclient.connectors.file_rows import CsvRows, Row
from venclient.connectors.file_tail import MOST_BYTES, Mark, Piece
from venclient.connectors.mistakes import shown
from venclient.connectors.telegram_rows import TelegramRows
from venclient.connectors.timestamps import in_order
from venclient.messages import Text, text_of
from venclient.messages import files as fil
from venclient.messages.printable import foreign
from venclient.model.reading import Reading, Reject
from venclient.model.resource import Resource
from venclient.thinned import Thinned

log = logging.getLogger(__name__)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: Those of UTF-16. The NUL bytes of its characters are dropped with all others, which leaves Latin-1.
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Arrival(NamedTuple):
    """When the lines of a piece arrived: after `since` (None: unknown), the last one at `until`."""

    since: datetime | None
    until: datetime


@dataclass
class Found:
    """What some lines gave."""

    readings: list[Reading] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


class _NotUtf8(ValueError):
    """A line that is not valid in the encoding that files have by default."""


class Content:
    """Understands the lines of files of one connection.

    Without `quotes`, rejects of a file in which no row could be read yet hold place and code, and no text of
    it: it may be any file, and what is rejected is shown, logged and stored.
    """

    def __init__(
        self,
        resource: Resource,
        options: FileOptions,
        *,
        quotes: bool = True,
        thinned: Thinned | None = None,
    ) -> None:
        self._thinned = thinned or Thinned()
        self._quotes = quotes
        self._resource_id = resource.resourceID
        self._point = resource.meterPointId
        self._options = options = options.completed()
        self.form = _form(options, self._point)
        self.grouping = grouping_of(options)
        self._rows: Rows | TelegramRows | None = None
        self._made_for: tuple[str | None, str] | None = None
        self._codec = options.codec
        #: How the file is read, in words; "" before it was read.
        self.said = ""

    def understand(
        self,
        piece: Piece,
        name: str,
        found: Found,
        arrival: Arrival | None = None,
        everything: Callable[[], Iterable[bytes]] = tuple,
    ) -> Mark | None:
        """Add what a piece of the file `name` says to `found`; return the mark behind it.

        None says that there is too little of the file yet: read it again later. Rows without a time get that
        of their `arrival`; without one they are rejects. `everything` returns all lines of the file, for what
        one piece does not show. ValueError when the file has another form: a header without the columns that
        are needed, or numbers that can be read in two ways.
        """
        mark = piece.mark
        if piece.fresh:
            mark = msgspec.structs.replace(mark, form=self.form, header=None, last=None, note="")
            self._made_for = None
        lines = list(piece.lines)
        if piece.fresh and lines and (first := lines[0][1]) is not None:
            mark = msgspec.structs.replace(mark, wide=first.startswith(_WIDE_MARKS))
            lines[0] = (lines[0][0], first[2:] if mark.wide else first.removeprefix(_BYTE_ORDER_MARK))
        self._codec = "latin-1" if mark.wide else self._options.codec
        if self._options.is_table and mark.header is None and not mark.note:
            if not any(raw is None or _is_whole(raw) for _, raw in lines):
                return mark
            headed = self._below_header(mark, lines)
            if headed is None:
                return None
            mark = headed
        rows = self._rows_for(mark.header, mark.note)
        if isinstance(rows, EloverblikRows):
            rows.choose([raw.decode(self._codec, "replace") for _, raw in lines if raw is not None])
        if isinstance(rows, CsvRows) and self._options.decimal is None and lines:
            mark = self._with_decimals(mark, rows, lines, everything)
            rows = self._rows_for(mark.header, mark.note)
        if isinstance(rows, CsvRows):
            self._say(name, mark, rows)
        last = None if mark.last is None else datetime.fromtimestamp(mark.last, UTC)
        readings, rejects = len(found.readings), len(found.rejects)
        records = [(line,) for line in lines] if self.grouping is None else self.grouping(lines, True)[0]
        untimed: list[tuple[str, Row]] = []
        for record in records:
            last = self._take(rows, record, name, last, found, untimed)
        if untimed:
            last = self._arrived(untimed, arrival, last, found, newest=piece.last)
        if not self._quotes and mark.last is None and len(found.readings) == readings:
            found.rejects[rejects:] = [_unquoted(one) for one in found.rejects[rejects:]]
        return msgspec.structs.replace(
            mark,
            last=None if last is None else last.timestamp(),
            note=rows.note if isinstance(rows, EloverblikRows) else mark.note,
        )

    # How a table is written

    def _below_header(self, mark: Mark, lines: list[Line]) -> Mark | None:
        """Find how a table is written, and take banner and header off its lines; None with too few lines."""
        sample = [n for n, (_, raw) in enumerate(lines) if raw is None or _is_whole(raw)][:SAMPLE_LINES]
        if self._options.format == "eloverblik":
            at: int | None = 0
        else:
            texts = [(lines[n][1] or b"").decode(self._codec, "replace") for n in sample]
            layout = find_layout(texts, self._options, whole=self._options.is_complete)
            if layout is None:
                return None
            at = layout.header_at
            if at is not None:
                layout = msgspec.structs.replace(layout, header_at=lines[sample[at]][0] - 1)
            mark = self._with_layout(mark, layout)
        if at is None:
            return mark
        header = self._header_text(lines[sample[at]][1])
        del lines[: sample[at] + 1]
        return msgspec.structs.replace(mark, header=header)

    @staticmethod
    def _with_layout(mark: Mark, layout: Layout) -> Mark:
        return msgspec.structs.replace(mark, note=msgspec.json.encode(layout).decode())

    def _layout(self, mark_header: str | None, note: str) -> Layout | None:
        if not self._options.is_table or self._options.format == "eloverblik":
            return None
        if note:
            return msgspec.json.decode(note, type=Layout)
        # A file that an older version began to read: a comma and a point unless the options say otherwise.
        return Layout(self._options.delimiter or ",", 0 if mark_header else None, decimals={"": "."})

    def _with_decimals(
        self, mark: Mark, rows: CsvRows, lines: Sequence[Line], everything: Callable[[], Iterable[bytes]]
    ) -> Mark:
        """Decide the decimal marks of columns whose numbers need one, by these lines or by all of them."""
        layout = self._layout(mark.header, mark.note)
        if layout is None or rows.number_columns <= layout.decimals.keys():
            return mark
        seen = self._evidence(rows, (raw for _, raw in lines), layout)
        if undecided(seen, layout.decimals, layout.delimiter):
            seen = self._evidence(rows, everything(), layout)
        decimals = decide(seen, layout.decimals, layout.delimiter)
        if decimals == layout.decimals:
            return mark
        return self._with_layout(mark, msgspec.structs.replace(layout, decimals=decimals))

    def _evidence(self, rows: CsvRows, lines: Iterable[bytes | None], layout: Layout) -> dict[str, Evidence]:
        found: dict[str, Evidence] = defaultdict(Evidence)
        for raw in lines:
            if raw is not None:
                for column, cell in rows.numbers(raw.decode(self._codec, "replace")):
                    if column not in layout.decimals:
                        found[column].add((cell,))
        return found

    def _say(self, name: str, mark: Mark, rows: CsvRows) -> None:
        """Keep in words how the file was read, and log it when it changes."""
        layout = self._layout(mark.header, mark.note)
        said = fil.FOUND_LAYOUT(name=foreign(name), layout=layout, columns=rows)
        if said != self.said:
            self.said = said
            line = self._thinned.line(f"layout {layout} {rows}", said)
            if line is not None:
                log.info(line)

    def _take(
        self,
        rows: Rows | TelegramRows,
        record: Sequence[Line],
        name: str,
        last: datetime | None,
        found: Found,
        untimed: list[tuple[str, Row]],
    ) -> datetime | None:
        place = f"{foreign(name)}:{record[0][0]}"
        try:
            row = self._row(rows, record)
        except ValueError as error:
            if len(record) > 1 and not isinstance(rows, TelegramRows):
                # Its quotes were a mistake and joined nothing: each line stands for itself.
                for line in record:
                    last = self._take(rows, (line,), name, last, found, untimed)
                return last
            found.rejects.append(Reject(place, text_of(error)))
            return last
        if row is None:
            return last
        if row.instants is None:
            untimed.append((place, row))
            return last
        fold = self._options.time.fold
        last = in_order(row.instants, last) if fold == "order" else row.instants[fold == "second"]
        self._add(found, place, row, last if row.stamp is None else row.stamp(last))
        return last

    def _add(self, found: Found, place: str, row: Row, time: datetime) -> None:
        found.readings += [
            Reading(self._resource_id, quantity, value, time, row.quality) for quantity, value in row.values
        ]
        found.rejects += [Reject(place, reason) for reason in row.reasons]

    def _arrived(
        self,
        rows: list[tuple[str, Row]],
        arrival: Arrival | None,
        last: datetime | None,
        found: Found,
        *,
        newest: bool,
    ) -> datetime | None:
        """Add rows without a time of their own: spread evenly since the look before, or the newest alone."""
        if arrival is not None and arrival.since is not None:
            # A millisecond at least: no two rows may have the same time.
            step = max((arrival.until - arrival.since) / len(rows), timedelta(milliseconds=1))
            for n, (place, row) in enumerate(rows, 1):
                self._add(found, place, row, arrival.until - step * (len(rows) - n))
            return arrival.until
        if arrival is not None and newest:
            self._add(found, *rows.pop(), arrival.until)
            last = arrival.until
        reason = fil.TELEGRAM_NO_TIME if arrival is None else fil.TELEGRAM_EARLIER
        found.rejects += [Reject(place, reason()) for place, _ in rows]
        return last

    def _row(self, rows: Rows | TelegramRows, record: Sequence[Line]) -> Row | None:
        if isinstance(rows, TelegramRows):
            raws = [raw for _, raw in record if raw is not None]
            if len(raws) < len(record):
                raise ValueError(fil.TELEGRAM_LINE(limit=MOST_BYTES))
            if any(isinstance(raw, Torn) for raw in raws):
                raise ValueError(fil.LINE_TORN(text=shown(raws[0].decode("ascii", "replace"))))
            return rows.read_lines(raws)
        parts = [raw for _, raw in record]
        try:
            return rows.read("\n".join(map(self._text, parts)))
        except _NotUtf8:
            row = rows.read("\n".join(map(self._windows_text, parts)))
            if row is None or row.reasons:
                raise
            return row

    def _text(self, line: bytes | None) -> str:
        if line is None:
            raise ValueError(fil.LINE_LONG(limit=MOST_BYTES))
        if isinstance(line, Torn):
            raise ValueError(fil.LINE_TORN(text=shown(line.decode(self._codec, "replace"))))
        try:
            return line.decode(self._codec)
        except UnicodeDecodeError as error:
            problem = fil.LINE_ENCODING(encoding=self._options.encoding, reason=error.reason, at=error.start)
            raise (_NotUtf8 if self._codec == "utf-8" else ValueError)(problem) from None

    def _header_text(self, line: bytes | None) -> str:
        try:
            return self._text(line)
        except _NotUtf8:
            return self._windows_text(line)

    def _windows_text(self, line: bytes | None) -> str:
        """Return a line as a Windows program wrote it, as imports do; ValueError when it is none of those.

        What would be a space, and so group thousands, is left to the option `encoding`.
        """
        try:
            return self._text(line)
        except _NotUtf8 as error:
            with suppress(UnicodeDecodeError):
                return (line or b"").decode("cp1252").replace("\u00a0", "\ufffd")
            raise error from None

    def _rows_for(self, header: str | None, note: str) -> Rows | TelegramRows:
        if self._rows is None or self._made_for != (header, note):
            layout = self._layout(header, note)
            self._rows = rows_of(self._options, header, self._point, note, layout)
            self._made_for = (header, note)
        return self._rows


def _unquoted(reject: Reject) -> Reject:
    """Return a reject without the text that it quotes, under the same code."""
    reason = reject.reason
    if isinstance(reason, Text):
        if not any(isinstance(one, str | list | tuple) for one in reason.params.values()):
            return reject
        return Reject(
            reject.place, Text.of(replace(reason.message, template=fil.UNREADABLE_ROW(), hint=""), {})
        )
    return Reject(reject.place, fil.UNREADABLE_ROW())


def _is_whole(raw: bytes) -> bool:
    return bool(raw.strip()) and not isinstance(raw, Torn)


def _form(options: FileOptions, point: str) -> str:
    """Return a digest of all that decides what a row means: if it changes, the file is read again."""
    meaning = msgspec.structs.replace(options, follow=None, interval_s=1.0, drop=False)
    text = msgspec.json.encode(meaning, order="sorted")
    if options.format == "eloverblik":
        text += point.encode()
    return blake2b(text, digest_size=8).hexdigest()
