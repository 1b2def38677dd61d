"""What Alembic runs for an upgrade: on the connection, and in the transaction, that its caller has open."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
