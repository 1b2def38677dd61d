"""Reporting status of resources that report to several VTNs: one word each for the registry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from venclient.model.reporting import REPORTING_STATES, ReportingStatus

_NEVER = datetime.min.replace(tzinfo=UTC)


class StatusBoard:
    """Keeps the last word of each VTN (by name, "" for the first) on each resource.

    The worst one counts: a VTN that refuses is not hidden by another that is content.
    """

    def __init__(self, vtns: Sequence[str]) -> None:
        self._alone = len(vtns) <= 1
        self._told: dict[str, dict[str, ReportingStatus]] = {}

    def follow(self, vtns: Sequence[str]) -> None:
        """Count these VTNs from now on; what others said is forgotten."""
        self._alone = len(vtns) <= 1
        for by_vtn in self._told.values():
            for name in by_vtn.keys() - set(vtns):
                del by_vtn[name]

    def joined(self, vtn: str, statuses: Iterable[ReportingStatus]) -> list[ReportingStatus]:
        """Return the status of each of these resources, now that a VTN's reporter has reported it."""
        if self._alone:
            return list(statuses)
        return [self._joined(vtn, status) for status in statuses]

    def _joined(self, vtn: str, status: ReportingStatus) -> ReportingStatus:
        by_vtn = self._told.setdefault(status.resource_id, {})
        before = by_vtn.get(vtn)
        if before is not None and status.last_report_at is None:
            status = replace(
                status, last_report_at=before.last_report_at, last_report_name=before.last_report_name
            )
        by_vtn[vtn] = status
        name, worst = max(by_vtn.items(), key=lambda item: REPORTING_STATES.index(item[1].state))
        newest = max(by_vtn.values(), key=lambda one: one.last_report_at or _NEVER)
        where = f"VTN {name}" if name else "the first VTN"
        return replace(
            worst,
            last_report_at=newest.last_report_at,
            last_report_name=newest.last_report_name,
            detail=f"{where}: {worst.detail}" if worst.detail else None,
        )
