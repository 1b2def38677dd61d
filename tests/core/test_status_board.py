"""One word on a resource that reports to several VTNs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from venclient.model.reporting import ReportingState, ReportingStatus
from venclient.status_board import StatusBoard

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def status(
    state: ReportingState, *, minutes: int | None = None, detail: str | None = None
) -> ReportingStatus:
    """Return a status of r1, with a report `minutes` after noon."""
    at = None if minutes is None else NOON + timedelta(minutes=minutes)
    name = None if minutes is None else f"at {minutes}"
    return ReportingStatus(
        resource_id="r1", state=state, last_report_at=at, last_report_name=name, detail=detail
    )


def test_one_vtn_is_told_as_it_is() -> None:
    """With a single VTN nothing is changed or kept."""
    statuses = [status("refused", detail="no")]
    assert StatusBoard([""]).joined("", statuses) == statuses


def test_a_vtn_that_refuses_is_not_hidden_by_one_that_takes_all() -> None:
    """The worst state counts, with its VTN named; the newest report of any counts as the last."""
    board = StatusBoard(["", "operator"])
    board.joined("operator", [status("refused", detail="no such event")])
    (joined,) = board.joined("", [status("reported", minutes=5)])
    assert (joined.state, joined.detail) == ("refused", "VTN operator: no such event")
    assert (joined.last_report_at, joined.last_report_name) == (NOON + timedelta(minutes=5), "at 5")


def test_once_all_are_content_it_is_reported() -> None:
    """The refusal ends with the VTN's own next word, and takes no report of before along."""
    board = StatusBoard(["", "operator"])
    board.joined("", [status("reported", minutes=5)])
    board.joined("operator", [status("unmet", detail="nothing known")])
    (joined,) = board.joined("operator", [status("reported", minutes=1)])
    assert (joined.state, joined.detail, joined.last_report_name) == ("reported", None, "at 5")
    (joined,) = board.joined("", [status("refused", detail="x")])
    assert (joined.detail, joined.last_report_name) == ("the first VTN: x", "at 5")
