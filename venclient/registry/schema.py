"""The registry's tables, as the newest migration leaves them; statements are built from these.

The specification's columns stay as they were written; what is newer is marked, and was added by a migration.
"""

from __future__ import annotations

from sqlalchemy import (
    TIMESTAMP,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    column,
    text,
    true,
)

#: The migration that these tables belong to.
HEAD = "0006"

#: What a file of the first generation has, and so what a file must have to be taken for a registry.
SPECIFIED_COLUMNS = {
    "connections": {"id", "type", "actortype", "host", "port", "topic", "file", "username", "password"},
    "resources": {
        "id",
        "resource_id",
        "resource_name",
        "resource_type",
        "resource_sub_type",
        "meter_point_id",
        "connection_id",
        "capacities",
        "location",
        "address",
        "ven",
        "enabled",
        "reporting",
    },
}

metadata = MetaData()

connections = Table(
    "connections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("type", Text, nullable=False),
    Column("actortype", Text, nullable=False),
    Column("host", Text),
    Column("port", Integer),
    Column("topic", Text),
    Column("file", Text),
    Column("username", Text),
    Column("password", Text),
    Column("created_at", TIMESTAMP, server_default=text("CURRENT_TIMESTAMP")),
    Column("options", Text),  # 0002: JSON
    sqlite_autoincrement=True,
)

resources = Table(
    "resources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("resource_id", Text, unique=True, nullable=False),
    Column("resource_name", Text, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("resource_sub_type", Text),
    Column("meter_point_id", Text, nullable=False),
    Column("connection_id", Integer, ForeignKey("connections.id"), nullable=False),
    Column("capacities", Text, nullable=False),  # JSON
    Column("location", Text, nullable=False),  # JSON
    Column("address", Text),
    Column("ven", Text),
    Column("enabled", Boolean, server_default=true()),
    Column("reporting", Text),  # JSON
    Column("created_at", TIMESTAMP, server_default=text("CURRENT_TIMESTAMP")),
    Column("updated_at", TIMESTAMP, server_default=text("CURRENT_TIMESTAMP")),
    Column("control_connection_id", Integer, ForeignKey("connections.id")),  # 0002
    Column("version", Integer, nullable=False, server_default=text("1")),  # 0003: counts the changes
    Index("idx_resource_id", "resource_id"),
    Index("idx_meter_point_id", "meter_point_id"),
    Index("idx_resource_type", "resource_type"),
    Index("idx_ven", "ven"),
    Index("idx_connection_id", "connection_id"),  # 0002
    Index(  # 0002; few resources can be controlled, so the index holds only those
        "idx_control_connection_id",
        "control_connection_id",
        sqlite_where=column("control_connection_id").is_not(None),
        postgresql_where=column("control_connection_id").is_not(None),
    ),
    sqlite_autoincrement=True,
)

#: 0003: every change that came through `ResourceDatabase`; triggers refuse to change or delete a row.
changes = Table(
    "changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),  # ISO 8601, UTC
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),  # insert, update, delete, clear
    Column("kind", Text, nullable=False),  # resource, connection, registry
    Column("subject", Text),  # resource_id, or the row id of a connection
    Column("before", Text),  # JSON
    Column("after", Text),  # JSON
    Index("idx_changes_subject", "subject"),
    sqlite_autoincrement=True,
)

#: 0004: how reporting stands for each resource; no row before its first report.
reporting_status = Table(
    "reporting_status",
    metadata,
    Column("resource_id", Text, ForeignKey("resources.resource_id", ondelete="CASCADE"), primary_key=True),
    Column("state", Text, nullable=False),
    Column("last_report_at", Text),  # ISO 8601, UTC
    Column("last_report_name", Text),
    Column("detail", Text),
    Column("updated_at", Text, nullable=False),  # ISO 8601, UTC
)

#: 0005: which resources an imported file had, to list at its next import what disappeared.
import_sources = Table(
    "import_sources",
    metadata,
    Column("name", Text, primary_key=True),  # the file's path, or what --source said
    Column("resource_ids", Text, nullable=False),  # JSON
    Column("updated_at", Text, nullable=False),  # ISO 8601, UTC
    Column("imported_values", Text),  # 0006: JSON, the last imported value of each cell; no secrets
)

#: What a Connection is made of, in the order of its fields.
CONNECTION_COLUMNS = (
    "type",
    "actortype",
    "host",
    "port",
    "topic",
    "file",
    "username",
    "password",
    "options",
)

#: What a Resource is made of, besides its connections.
RESOURCE_COLUMNS = (
    "resource_id",
    "resource_name",
    "resource_type",
    "resource_sub_type",
    "meter_point_id",
    "capacities",
    "location",
    "address",
    "ven",
    "enabled",
    "reporting",
)
