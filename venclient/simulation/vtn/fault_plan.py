"""A fault plan: `[[faults]]` tables of a seed file, each one a `Fault` that waits for its requests.

    [[faults]]
    method = "POST"              # any method when not given
    path = "^/reports"           # a regular expression searched in the path below the base path
    skip = 2                     # number of requests that go well first
    times = 3                    # -1 for ever; 1 when not given
    cut = "after"                # or: status, latency_s, act

`act` is something that happens just before a request is served: "drift" moves the oldest object of each
kind to the end of its listing, which shifts the pages between two requests; "expire_tokens" makes every
token bad.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from venclient.messages import Text
from venclient.messages import simulation as sim
from venclient.simulation.vtn.faults import FOREVER, Fault

Act = Literal["drift", "expire_tokens"]
ACTS: tuple[Act, ...] = get_args(Act)
_METHODS = ("GET", "POST", "PUT", "DELETE")
_CUTS = ("before", "after")
_LONGEST_S = 86_400
_EFFECTS = ("latency_s", "status", "cut", "act")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFault:
    """A checked row of the plan; the members are those of `Fault`, with `act` by its name."""

    method: str | None = None
    path: str = ""
    times: int = 1
    skip: int = 0
    latency_s: float = 0.0
    status: int | None = None
    retry_after_s: int | None = None
    cut: Literal["before", "after"] | None = None
    act: Act | None = None

    def armed(self, acts: Mapping[Act, Callable[[], object]]) -> Fault:
        """Return a new fault, its act looked up in `acts`."""
        return Fault(
            method=self.method,
            path=self.path,
            times=self.times,
            skip=self.skip,
            latency_s=self.latency_s,
            status=self.status,
            retry_after_s=self.retry_after_s,
            cut=self.cut,
            act=acts[self.act] if self.act else None,
        )


def read_fault(row: Mapping[str, Any]) -> tuple[PlannedFault | None, list[Text]]:
    """Return the fault of one table, or None with every mistake in it."""
    problems = list(_mistakes(row))
    if problems:
        return None, problems
    return PlannedFault(**row), []


class _Rule(NamedTuple):
    holds: Callable[[Any], bool]
    expected: str


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_pattern(value: Any) -> bool:
    try:
        re.compile(value)
    except (re.error, TypeError):
        return False
    return isinstance(value, str)


def _is_latency(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST_S


_RULES: Mapping[str, _Rule] = {
    "method": _Rule(lambda value: value in _METHODS, " or ".join(_METHODS)),
    "path": _Rule(_is_pattern, 'a regular expression such as "^/reports"'),
    "times": _Rule(
        lambda value: _whole(FOREVER, 10**9)(value) and value != 0, "a number of requests, or -1 for ever"
    ),
    "skip": _Rule(_whole(0, 10**9), "a number of requests from 0"),
    "latency_s": _Rule(_is_latency, f"seconds from 0 to {_LONGEST_S}"),
    "status": _Rule(_whole(400, 599), "a status of HTTP from 400 to 599"),
    "retry_after_s": _Rule(_whole(0, _LONGEST_S), f"whole seconds from 0 to {_LONGEST_S}"),
    "cut": _Rule(lambda value: value in _CUTS, " or ".join(_CUTS)),
    "act": _Rule(lambda value: value in ACTS, " or ".join(ACTS)),
}


def _mistakes(row: Mapping[str, Any]) -> Iterator[Text]:
    for key, value in row.items():
        rule = _RULES.get(key)
        if rule is None:
            yield sim.FAULT_KEY(key=key, known=list(_RULES))
        elif not rule.holds(value):
            yield sim.FAULT_VALUE(key=key, value=value, expected=rule.expected)
    if not any(key in row for key in _EFFECTS):
        yield sim.FAULT_WITHOUT_EFFECT(known=_EFFECTS)
    if "cut" in row and "status" in row:
        yield sim.FAULT_CUT_STATUS()
    if "retry_after_s" in row and "status" not in row:
        yield sim.FAULT_RETRY_AFTER()
