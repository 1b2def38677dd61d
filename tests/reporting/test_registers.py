"""USAGE from meters' registers: what is reported when they start again, run over or fall silent (row 57)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from tests.reporting.samples import T0, at, event
from venclient.model.quality import Counter, MeterRules
from venclient.model.reading import Reading
from venclient.openadr.codec import CODEC_31
from venclient.readings.rollup import rollup
from venclient.reporting.builder import Built, build_report
from venclient.reporting.obligations import owed
from venclient.reporting.payloads import BuildOptions
from venclient.reporting.targets import Reportable

Series = Sequence[tuple[float, float]]


def reported(series: Series, rules: MeterRules | None = None, units: str = "KWH") -> Built:
    """Return the report on two hours of what an import register showed, by hours after T0."""
    (one,) = owed(event(2, {"units": units}), anchor=T0, first_seen=T0, after=None, until=at(9))
    readings = [Reading("r1", "energy_kwh", value, at(hour)) for hour, value in series]
    grid = [(span.start, span.end) for span in one.spans]
    measures = rollup("r1", {"energy_kwh": readings}, grid, rules=rules or MeterRules())
    by_key = {("r1", each.start, each.end): each for each in measures}
    return build_report(one, [Reportable("r1", "meter")], by_key, BuildOptions(client_name="v"))


def told(built: Built) -> list[dict[str, object]]:
    """Return each interval's values by payload type."""
    assert built.report is not None
    return [
        {one.type: one.values[0] for one in each.payloads} for each in built.report.resources[0].intervals
    ]


def quarters(*values: float) -> list[tuple[float, float]]:
    """Return one value per quarter of an hour."""
    return [(n / 4, value) for n, value in enumerate(values)]


def test_row_57_difference_of_a_register_is_the_usage() -> None:
    """A register that runs up evenly gives its difference in each interval."""
    assert told(reported(quarters(*(100 + n / 2 for n in range(9))))) == [{"USAGE": 2.0}, {"USAGE": 2.0}]


def test_row_57_rollover_is_counted_on() -> None:
    """A counter of three digits that passes 999 goes on from 0."""
    rules = MeterRules({"energy_kwh": Counter(digits=3, reset=False)})
    series = quarters(998, 998.5, 999, 999.5, 0, 0.5, 1, 1.5, 2)

    usages = [each["USAGE"] for each in told(reported(series, rules))]
    assert usages == [pytest.approx(2.0), pytest.approx(2.0)]


def test_row_57_reset_is_never_negative_and_flagged() -> None:
    """A register that starts again counts from zero on; the interval is not called sound."""
    first, second = told(reported(quarters(500, 500.5, 501, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75)))

    assert isinstance(first["USAGE"], float)
    assert 1.0 <= first["USAGE"] <= 2.0
    assert first["DATA_QUALITY"] == "ESTIMATED"
    assert second == {"USAGE": 2.0}


def test_row_57_gap_within_an_interval_is_known_as_a_whole() -> None:
    """A register that falls silent within an interval still gives its energy; nothing else is made up."""
    series = [*quarters(100, 100.5)[:2], (0.75, 101.5), (1.0, 102)]
    first, second = told(reported(series))

    assert first["USAGE"] == pytest.approx(2.0)
    assert second == {"DATA_QUALITY": "MISSING"}


def test_row_64_register_values_leave_as_floats() -> None:
    """Whole numbers are floats on the wire, and nothing that JSON has not gets into a report."""
    built = reported(quarters(*range(9)), units="WH")
    assert built.report is not None
    assert b'"values":[4000.0]' in CODEC_31.report_request(built.report)

    broken = reported(quarters(*([math.nan] * 9)))
    assert told(broken) == [{"DATA_QUALITY": "MISSING"}] * 2
