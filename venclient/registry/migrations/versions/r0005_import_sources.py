"""Remember which resources came from which imported file, to report what disappeared from it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table: one row for each source, however many resources it has."""
    op.create_table(
        "import_sources",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("resource_ids", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
    )
