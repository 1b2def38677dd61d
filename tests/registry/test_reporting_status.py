"""How reporting stands for each resource: kept beside it, and gone with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.registry.objects import make_resource
from venclient.errors import InvalidRecord
from venclient.model.reporting import ReportingStatus
from venclient.registry.database import ResourceDatabase
from venclient.registry.query import Query

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def make_status(resource_id: str = "r-1", **changes: object) -> ReportingStatus:
    """Return the status of a report that was sent at noon."""
    fields = {"state": "reported", "last_report_at": NOON, "last_report_name": "report-1", "updated_at": NOON}
    return ReportingStatus(resource_id=resource_id, **fields | changes)  # type: ignore[arg-type]


def test_status_comes_back(db: ResourceDatabase) -> None:
    """What is set is what is given; before the first report there is nothing."""
    db.upsert_resource(make_resource())
    assert db.reporting_status("r-1") is None

    db.set_reporting_status([make_status()])

    assert db.reporting_status("r-1") == make_status()
    assert db.reporting_statuses() == [make_status()]


def test_failure_keeps_the_last_success(db: ResourceDatabase) -> None:
    """A refusal says so, and leaves when a report was last sent, and which."""
    db.upsert_resource(make_resource())
    db.set_reporting_status([make_status()])
    later = NOON + timedelta(hours=1)

    db.set_reporting_status(
        [
            ReportingStatus(
                resource_id="r-1",
                state="refused",
                detail="no such program",
                updated_at=later,
            )
        ]
    )

    assert db.reporting_status("r-1") == make_status(
        state="refused", detail="no such program", updated_at=later
    )


def test_resource_that_is_gone_is_passed_over(db: ResourceDatabase) -> None:
    """A status of a resource that was deleted meanwhile hinders none of the others."""
    db.bulk_upsert([make_resource("a"), make_resource("b")])

    db.set_reporting_status([make_status("gone"), make_status("a")])
    db.set_reporting_status([])

    assert [one.resource_id for one in db.reporting_statuses()] == ["a"]


def test_status_goes_with_its_resource(db: ResourceDatabase) -> None:
    """Deleting and clearing leave no status behind."""
    db.bulk_upsert([make_resource("a"), make_resource("b")])
    db.set_reporting_status([make_status("a"), make_status("b")])

    db.delete_resource("a")
    assert [one.resource_id for one in db.reporting_statuses()] == ["b"]
    db.clear_all_resources()

    assert db.reporting_statuses() == []


def test_unknown_state_is_refused(db: ResourceDatabase) -> None:
    """An unknown state is reported with the valid ones."""
    with pytest.raises(InvalidRecord, match="VEN-REG-122"):
        db.set_reporting_status([make_status(state="sent")])


def test_status_is_no_change(db: ResourceDatabase) -> None:
    """Reports come every few minutes: they neither fill the record of changes nor count as versions."""
    db.upsert_resource(make_resource())

    db.set_reporting_status([make_status()])

    found = db.get_resource("r-1")
    assert found is not None
    assert found.version == 1
    assert len(db.changes()) == 1


def test_never_reported(db: ResourceDatabase) -> None:
    """A query finds those that no report was ever sent for, a refused one among them."""
    db.bulk_upsert([make_resource("a"), make_resource("b"), make_resource("c")])

    db.set_reporting_status([make_status("a"), ReportingStatus(resource_id="b", state="refused")])

    assert db.query(Query().never_reported()).ids() == ["b", "c"]
