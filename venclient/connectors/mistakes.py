"""Mistakes in what others wrote: options of a connection, payloads, rows. They keep their message codes."""

from __future__ import annotations

from collections.abc import Sequence

from venclient.messages import Text, text_of
from venclient.messages.printable import FOREIGN_LIMIT, foreign, printable


class Mistakes(ValueError):
    """Several mistakes found at once; `problems` has a sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(problems[0] if len(problems) == 1 else "; ".join(problems))
        self.problems = tuple(problems)


def problems_of(error: ValueError) -> tuple[str, ...]:
    """Return the sentences of an error, each with its code where it has one."""
    return error.problems if isinstance(error, Mistakes) else (text_of(error),)


def placed(place: str, problem: str) -> str:
    """Return `problem` with the place where it is in front, under the same code."""
    before = f"{printable(place)}: "
    return problem.within(before) if isinstance(problem, Text) else f"{before}{problem}"


def shown(value: object) -> str:
    """Return a foreign value as messages show it: its repr, printable and at most `FOREIGN_LIMIT` long."""
    if isinstance(value, str | bytes):
        value = value[: FOREIGN_LIMIT + 1]
    return foreign(repr(value))


def continued(problem: str, more: str) -> str:
    """Return `problem` with `more` behind it, under the same code."""
    return problem.within(after=more) if isinstance(problem, Text) else f"{problem}{more}"
