"""Add a version to resources that counts their changes, and a table of changes that cannot be rewritten."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_REFUSAL = "changes are never changed"


def upgrade() -> None:
    """Add the column and the table, and have the database itself refuse to alter what was recorded."""
    op.add_column("resources", sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")))
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("idx_changes_subject", "changes", ["subject"])
    if op.get_bind().dialect.name == "postgresql":
        _refuse_in_postgresql()
    else:
        for verb in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER changes_no_{verb} BEFORE {verb.upper()} ON changes"
                f" BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
            )


def _refuse_in_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION venclient_refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER changes_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON changes"
        " FOR EACH STATEMENT EXECUTE FUNCTION venclient_refuse_change()"
    )
