"""Messages that differ only in their resource: one line for many, each on its own for a few."""

from __future__ import annotations

import pytest

from venclient.messages import code_of
from venclient.messages import reporting as rep
from venclient.reporting.gathered import NAMED, gathered


def no_usage(number: int, *, payload: str = "USAGE", count: int = 1) -> str:
    """Return the message about a resource without data."""
    return rep.NO_DATA(event="E1", payload=payload, name=f"site {number}", count=count)


@pytest.mark.parametrize("count", [1, NAMED])
def test_few_resources_are_told_one_by_one(count: int) -> None:
    """Each message stays as it is."""
    sentences = [no_usage(number) for number in range(count)]
    assert gathered(sentences) == sentences


def test_many_resources_share_a_line_with_a_count() -> None:
    """The first ones are named, the rest are counted, and the code is that of the message."""
    [said] = gathered(no_usage(number, count=1 + number % 3) for number in range(400))

    assert code_of(said) == "VEN-REP-020"
    assert "site 0" in said
    assert f"site {NAMED - 1}" in said
    assert f"site {NAMED} " not in said
    assert "395" in said
    assert "3 intervals" in said


def test_other_messages_and_payloads_stay_apart_in_their_order() -> None:
    """Only what differs in nothing but the resource is gathered."""
    many = [no_usage(number) for number in range(NAMED + 1)]
    plain = "something else"
    other = no_usage(1, payload="DEMAND")
    negative = rep.NEGATIVE(event="E1", payload="USAGE", name="site 1", count=1)

    said = gathered([many[0], plain, other, *many[1:], negative])
    assert [code_of(one) for one in said] == ["VEN-REP-020", "", "VEN-REP-020", "VEN-REP-021"]
    assert said[1:] == [plain, other, negative]
