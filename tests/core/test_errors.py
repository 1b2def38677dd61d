"""The error tree is drawn in full, and every error says who, what and what to do."""

from __future__ import annotations

import inspect

import pytest

from venclient import errors
from venclient.errors import ConfigError, VenError, VtnProblem


def test_every_error_is_in_the_drawing() -> None:
    """Each class of the module stands in the tree of its docstring, and is a VenError."""
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__]
    drawn = errors.__doc__ or ""

    assert all(issubclass(c, VenError) for c in classes)
    assert [c.__name__ for c in classes if c.__name__ not in drawn] == []


def test_an_error_reads_as_subject_what_and_hint() -> None:
    """The text of an error is one line: subject, what happened, what to do."""
    error = VenError("no answer", subject="meter 7", hint="check the cable")

    assert str(error) == "meter 7: no answer; check the cable"


@pytest.mark.parametrize(
    ("status", "transient"), [(400, False), (404, False), (408, True), (429, True), (503, True)]
)
def test_a_problem_knows_whether_trying_again_can_help(status: int, transient: bool) -> None:
    """Server errors, time-outs and rate limits are transient; refusals are not."""
    problem = VtnProblem("no", status=status)

    assert problem.transient is transient


def test_a_config_error_without_a_list_has_itself_as_the_only_problem() -> None:
    """Whoever prints `problems` always has at least one sentence."""
    assert ConfigError("is missing", subject="vtn.url").problems == ("vtn.url: is missing",)
