"""The rules of quality in a connection's options: let through by every connector, checked, documented."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.sites import make_resource, make_site
from venclient.connectors import open_reader, option_problems
from venclient.connectors.options import quality_problems
from venclient.errors import ConfigError
from venclient.messages import code_of
from venclient.model.quality import Counter, meter_rules, quantity_rules

GOOD: dict[str, Any] = {"power_kw": {"range": {"max": 60}}, "energy_kwh": {"counter": {"bits": 32}}}
MODBUS = {"registers": [{"quantity": "power_kw", "address": 0, "type": "float32"}]}


def resource_with(quality: object, **options: Any) -> Any:
    """Build a Modbus meter with rules."""
    return make_resource(host="127.0.0.1", options=MODBUS | options | {"quality": quality})


def test_rules_are_not_the_connectors_own(tmp_path: Path) -> None:
    """A connector that knows nothing of quality opens with rules in its options."""
    resource = resource_with(GOOD)

    assert option_problems(resource) == []
    assert open_reader(resource, make_site(tmp_path)).interval_s is not None


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """Those of the rules and those of the connector's own options come together."""
    resource = resource_with(
        {
            "power_kw": {"range": {"min": 5, "max": 2}, "jmp": {"max_per_s": 1}},
            "energy_kwh": {"counter": {"bits": 8, "max_kw": -1}, "frozen": {}},
        },
        intervall_s=3,
    )
    expected = [
        "options.quality.power_kw.range: min 5 is above max 2",
        "options.quality.power_kw.jmp: unknown option; did you mean jump?",
        "options.quality.energy_kwh.counter.bits: ",
        "options.quality.energy_kwh.counter.max_kw: ",
        "options.quality.energy_kwh.frozen.after_s: missing",
        "options.intervall_s: unknown option; did you mean interval_s?",
    ]

    with pytest.raises(ConfigError) as caught:
        open_reader(resource, make_site(tmp_path))
    for problems in (caught.value.problems, option_problems(resource)):
        assert len(problems) == len(expected)
        assert all(any(one.startswith(start) for one in problems) for start in expected)


@pytest.mark.parametrize("wrong", [5, [], "good", {"power_kw": 5}, {"power_kw": None}])
def test_rules_of_another_shape_are_refused(wrong: object) -> None:
    """What is not an object by quantity is named, with what is expected."""
    problems = quality_problems({"quality": wrong})

    assert len(problems) == 1
    assert problems[0].startswith("options.quality")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "powr_kw",
            "options.quality.powr_kw: unknown quantity for this connection; did you mean power_kw?",
        ),
        ("x", "options.quality.x: unknown quantity for this connection; valid: current_a, "),
        ("heat_kw", "options.quality.heat_kw: unknown quantity for this connection"),
    ],
)
def test_rules_of_a_quantity_that_is_not_there_are_refused(tmp_path: Path, name: str, told: str) -> None:
    """A misspelt name checks nothing; this is a mistake, reported with the names that there are."""
    resource = resource_with({name: {"range": {"max": 5}}})

    [problem] = option_problems(resource)
    assert problem.startswith(told)
    with pytest.raises(ConfigError) as caught:
        open_reader(resource, make_site(tmp_path))
    assert caught.value.problems == (problem,)


def test_rules_are_for_every_quantity_that_the_connection_has() -> None:
    """Those that its registers, its computed values, or its template name."""
    rules = {"heat_kw": {"range": {"max": 5}}, "total_kw": {"range": {"max": 5}}}
    own = resource_with(
        rules,
        registers=[{"quantity": "heat_kw", "address": 0, "type": "float32"}],
        computed=[{"quantity": "total_kw", "op": "sum", "of": ["heat_kw"]}],
    )
    of_template = make_resource(
        host="127.0.0.1", options={"template": "sunspec", "quality": {"frequency_hz": {"range": {"max": 51}}}}
    )

    assert option_problems(own) == []
    assert option_problems(of_template) == []


def test_a_connector_of_another_package_may_have_any_quantity() -> None:
    """Only its opener knows them."""
    assert quality_problems({"quality": {"spin_rpm": {"range": {"max": 5}}}}, named=None) == []


def test_only_registers_count() -> None:
    """The rules of a counter on a gauge would do nothing, so they are a mistake."""
    [problem] = quality_problems({"quality": {"power_kw": {"counter": {"digits": 6}}}})

    assert problem.startswith("options.quality.power_kw.counter: counter rules are for registers only")
    assert "energy_kwh, energy_export_kwh" in problem


@pytest.mark.parametrize("none", [None, {}, {"quality": None}])
def test_no_rules_are_none(none: dict[str, Any] | None) -> None:
    """Nothing said, nothing checked."""
    assert quality_problems(none) == []
    assert quantity_rules(none) == {}


@pytest.mark.parametrize(
    ("options", "places"),
    [
        ({"backfill": True, "quality": {"stale_after_s": 60}}, []),
        ({"backfill": "yes"}, ["options.backfill"]),
        ({"quality": {"stale_after_s": 0}}, ["options.quality.stale_after_s"]),
        ({"backfill": 1, "quality": {"stale_after_s": "x"}}, ["options.backfill", "options.quality.stale"]),
    ],
)
def test_options_of_every_connection_are_checked(options: dict[str, Any], places: list[str]) -> None:
    """Those that are not the connector's own, with their places."""
    problems = option_problems(make_resource(host="127.0.0.1", options=MODBUS | options))

    assert len(problems) == len(places)
    assert all(one.startswith(place) for one, place in zip(problems, places, strict=True))


def test_two_ways_to_roll_over_are_one_too_many() -> None:
    """Bits and digits say the same."""
    both = {"quality": {"energy_kwh": {"counter": {"bits": 16, "digits": 6}}}}

    assert [code_of(problem) for problem in quality_problems(both)] == ["VEN-RDG-081"]


@pytest.mark.parametrize(
    ("counter", "kwh"),
    [
        (Counter(bits=16), 65536),
        (Counter(bits=16, unit_kwh=0.1), 6553.6),
        (Counter(digits=6), 1e6),
        (Counter(), None),
    ],
)
def test_rollover_follows_from_the_options(counter: Counter, kwh: float | None) -> None:
    """Counts times what each is worth."""
    assert counter.rollover_kwh == (None if kwh is None else pytest.approx(kwh))


@pytest.mark.parametrize(
    ("capacities", "most_kw"),
    [
        ({"P_max_kw": 40, "P_min_kw": -100}, 500),
        ({"P_max_kw": 40}, 200),
        ({"P_max_kw": 0, "P_min_kw": None}, None),
        ({"P_max_kw": "much"}, None),
        ({}, None),
    ],
)
def test_capacities_bound_what_is_believed(capacities: dict[str, Any], most_kw: float | None) -> None:
    """The larger of drawing and feeding in counts; nothing known bounds nothing."""
    resource = make_resource(host="127.0.0.1", options=None)
    resource.capacities = capacities

    assert meter_rules(resource).most_kw == most_kw


def test_examples_of_the_page_are_right() -> None:
    """Each JSON block in the explanation is a set of options without a mistake."""
    page = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "quality.md"
    blocks = re.findall(r"```json\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)

    assert blocks
    assert [quality_problems(json.loads(block)) for block in blocks] == [[]] * len(blocks)
