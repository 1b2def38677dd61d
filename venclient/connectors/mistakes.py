"""Mistakes in what others wrote: options of a connection, payloads, rows. They keep their message codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from venclient.messages import Message, Text, text_of
from venclient.messages.printable import FOREIGN_LIMIT, foreign


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
    if not isinstance(problem, Text):
        return f"{place}: {problem}"
    return _with_place(problem.message)(**problem.params, at_place=place)


@cache
def _with_place(message: Message) -> Message:
    return replace(message, template=f"{{at_place}}: {message.template}")


def shown(value: object) -> str:
    """Return a foreign value as messages show it: its repr, printable and at most `FOREIGN_LIMIT` long."""
    if isinstance(value, str | bytes):
        value = value[: FOREIGN_LIMIT + 1]
    return foreign(repr(value))


def continued(problem: str, more: str) -> str:
    """Return `problem` with `more` behind it, under the same code."""
    if not isinstance(problem, Text):
        return f"{problem}{more}"
    return _with_end(problem.message)(**problem.params, at_end=more)


@cache
def _with_end(message: Message) -> Message:
    return replace(message, template=f"{message.template}{{at_end}}")
