"""Connections get options (JSON), resources a second connection, the one that commands."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns, and the indexes that let a connection be deleted without reading every resource."""
    op.add_column("connections", sa.Column("options", sa.Text))
    # In words: Alembic adds a foreign key in a second statement, which SQLite does not have.
    op.execute("ALTER TABLE resources ADD COLUMN control_connection_id INTEGER REFERENCES connections(id)")
    op.create_index("idx_connection_id", "resources", ["connection_id"], if_not_exists=True)
    controlled = sa.text("control_connection_id IS NOT NULL")
    op.create_index(
        "idx_control_connection_id",
        "resources",
        ["control_connection_id"],
        if_not_exists=True,
        sqlite_where=controlled,
        postgresql_where=controlled,
    )
