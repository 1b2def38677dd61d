"""Messages that differ only in resource and payload: one line for all."""

from __future__ import annotations

from venclient.messages import code_of
from venclient.messages import reporting as rep
from venclient.reporting.gathered import NAMED, gathered


def no_usage(number: int, *, payload: str = "USAGE", count: int = 1) -> str:
    """Return the message about a resource without data."""
    return rep.NO_DATA(event="E1", payload=payload, name=f"site {number}", count=count)


def test_one_resource_has_its_own_message() -> None:
    """A message that stands alone stays as it is."""
    assert gathered([no_usage(1)]) == [no_usage(1)]


def test_a_few_resources_share_a_line_that_names_them_all() -> None:
    """Up to five are all named."""
    [said] = gathered(no_usage(number) for number in range(NAMED))
    assert all(f"site {number}" in said for number in range(NAMED))


def test_payloads_of_one_report_share_a_line() -> None:
    """Resources without USAGE have no DEMAND either: one line names both."""
    some = [no_usage(number, payload=payload) for number in range(3) for payload in ("USAGE", "DEMAND")]
    [said] = gathered(some)
    assert "USAGE, DEMAND" in said
    assert said.count("site 1") == 1


def test_many_resources_share_a_line_with_a_count() -> None:
    """The first ones are named, the rest are counted, and the code is that of the message."""
    [said] = gathered(no_usage(number, count=1 + number % 3) for number in range(400))

    assert code_of(said) == "VEN-REP-020"
    assert "site 0" in said
    assert f"site {NAMED - 1}" in said
    assert f"site {NAMED} " not in said
    assert "395" in said
    assert "3 intervals" in said


def test_other_messages_stay_apart_in_their_order() -> None:
    """Only what differs in nothing but resource and payload is gathered."""
    many = [no_usage(number) for number in range(NAMED + 1)]
    plain = "something else"
    other = rep.NO_DATA(event="E2", payload="USAGE", name="site 1", count=1)
    negative = rep.NEGATIVE(event="E1", payload="USAGE", name="site 1", count=1)

    said = gathered([many[0], plain, other, *many[1:], negative])
    assert [code_of(one) for one in said] == ["VEN-REP-020", "", "VEN-REP-020", "VEN-REP-021"]
    assert said[1:] == [plain, other, negative]
