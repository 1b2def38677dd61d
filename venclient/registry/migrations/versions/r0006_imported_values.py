"""The registry keeps what each imported file said last, to separate the user's changes from the file's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; it stays empty until the file is imported again."""
    op.add_column("import_sources", sa.Column("imported_values", sa.Text))
