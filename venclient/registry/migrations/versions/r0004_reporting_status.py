"""Add a table for the reporting status of each resource: it changes often, resources do not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table; the status of a resource goes with it."""
    op.create_table(
        "reporting_status",
        sa.Column(
            "resource_id",
            sa.Text,
            sa.ForeignKey("resources.resource_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("last_report_at", sa.Text),
        sa.Column("last_report_name", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("updated_at", sa.Text, nullable=False),
    )
