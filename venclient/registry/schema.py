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
HEAD = "0002"

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
