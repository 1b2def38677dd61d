"""The specification's tables and indexes, as written.

Files of the first generation hold them already (without any version): what is there stays as it is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NOW = sa.text("CURRENT_TIMESTAMP")


def upgrade() -> None:
    """Make what is not there yet."""
    op.create_table(
        "connections",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("actortype", sa.Text, nullable=False),
        sa.Column("host", sa.Text),
        sa.Column("port", sa.Integer),
        sa.Column("topic", sa.Text),
        sa.Column("file", sa.Text),
        sa.Column("username", sa.Text),
        sa.Column("password", sa.Text),
        sa.Column("created_at", sa.TIMESTAMP, server_default=_NOW),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_table(
        "resources",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("resource_id", sa.Text, nullable=False, unique=True),
        sa.Column("resource_name", sa.Text, nullable=False),
        sa.Column("resource_type", sa.Text, nullable=False),
        sa.Column("resource_sub_type", sa.Text),
        sa.Column("meter_point_id", sa.Text, nullable=False),
        sa.Column("connection_id", sa.Integer, sa.ForeignKey("connections.id"), nullable=False),
        sa.Column("capacities", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("address", sa.Text),
        sa.Column("ven", sa.Text),
        sa.Column("enabled", sa.Boolean, server_default=sa.true()),
        sa.Column("reporting", sa.Text),
        sa.Column("created_at", sa.TIMESTAMP, server_default=_NOW),
        sa.Column("updated_at", sa.TIMESTAMP, server_default=_NOW),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    for name, column in (
        ("idx_resource_id", "resource_id"),
        ("idx_meter_point_id", "meter_point_id"),
        ("idx_resource_type", "resource_type"),
        ("idx_ven", "ven"),
    ):
        op.create_index(name, "resources", [column], if_not_exists=True)
