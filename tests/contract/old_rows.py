"""What a program of the first generation stored, in its own spelling."""

from __future__ import annotations

import sqlite3


def add_old_rows(old: sqlite3.Connection) -> None:
    """Add three resources as the first generation spelt them, one of them with a NaN for a number."""
    old.execute("INSERT INTO connections (type, actortype, host) VALUES ('modbustcp', 'reader', '192.0.2.1')")
    old.execute("INSERT INTO connections (type, actortype, topic) VALUES ('mqtt', 'writer', 'a/b')")
    columns = (
        "resource_id, resource_name, resource_type, resource_sub_type, meter_point_id, connection_id,"
        " capacities, location, address, ven, enabled, reporting"
    )
    for row in (
        ("old-1", "Hotel", "Demand Response", "Hotels", "707057500", 1, '{"P_max_kw": 50}'),
        ("old-2", "Charger", "Electric Vehicle", "Chargingstations", "707057501", 2, '{"P_max_kw": 22}'),
        ("old-3", "School", "DSR", "Schools", "707057502", 1, '{"P_max_kw": NaN}'),
    ):
        values = (*row, '{"latitude": 56.1, "longitude": 8.9}', "Street 1", "Herning", 1, None)
        old.execute(f"INSERT INTO resources ({columns}) VALUES ({','.join('?' * len(values))})", values)
    old.commit()
