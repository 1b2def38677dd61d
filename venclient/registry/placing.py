"""A message about a part of something: the part's name in front, the message's own code kept."""

from __future__ import annotations

from venclient.messages import Message, Text


def placed(place: str, problem: str, otherwise: Message) -> str:
    """Return "place: problem" under the code of `problem`.

    A problem without a code, which code that is not ours reports, gets the one of `otherwise`: a message with
    the parameters `place` and `problem`.
    """
    if isinstance(problem, Text):
        return problem.within(f"{place}: ")
    return otherwise(place=place, problem=problem)
