"""Several programs write to one registry at once: each waits its turn, and no write is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.registry.objects import make_resource
from venclient.registry.database import ResourceDatabase

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

PROGRAMS = 4
ROUNDS = 8

PRELUDE = """
import sys
from dataclasses import replace
from tests.registry.objects import make_connection, make_resource
from venclient.errors import Conflict
from venclient.registry.database import ResourceDatabase

path, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = ResourceDatabase(path)
print("ready", flush=True)
sys.stdin.readline()
"""

COUNT_IN_A_TRANSACTION = """
def counted(resource_id):
    stored = db.get_resource(resource_id)
    yield replace(stored, capacities={"P_max_kw": stored.capacities["P_max_kw"] + 1})

for number in range(rounds):
    db.bulk_upsert(counted("shared"))
    own = make_connection(topic=f"{name}/{number}")
    db.upsert_resource(make_resource(f"{name}-{number}", connection=own))
"""

COUNT_BY_VERSION = """
for number in range(rounds):
    while True:
        stored = db.get_resource("shared")
        count = stored.capacities["P_max_kw"] + 1
        try:
            db.update_resource(
                "shared", capacities={"P_max_kw": count}, expected_version=stored.version
            )
            break
        except Conflict:
            pass
"""

BULK = """
writer = make_connection(actortype="writer", topic="set")
for number in range(rounds):
    db.bulk_insert_resources(
        make_resource(f"{name}-{number}-{one}", control_connection=writer)
        for one in range(20)
    )
    db.delete_resource(f"{name}-{number}-0")
"""

SWITCH_AND_STORE = """
for number in range(rounds):
    if name == "0":
        db.set_enabled("shared", number % 2 == 0)
        db.set_enabled("shared", False)
    else:
        db.upsert_resource(make_resource("shared", enabled=None, address=f"Bredgade {name}-{number}"))
"""


def run_at_once(database: str, work: str, root: Path) -> None:
    """Run the same work in several processes, which begin together; none of them may say a word."""
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PRELUDE + work, database, str(name), str(ROUNDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=root,
        )
        for name in range(PROGRAMS)
    ]
    try:
        for program in programs:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
        for program in programs:
            assert program.stdin is not None
            program.stdin.write("go\n")
            program.stdin.flush()
        errors = [program.communicate(timeout=50)[1] for program in programs]
    finally:
        for program in programs:
            program.kill()
            program.wait()
    assert errors == [""] * PROGRAMS


@pytest.fixture
def shared_resource(db: ResourceDatabase) -> ResourceDatabase:
    """Return a registry with the resource that all programs change."""
    db.upsert_resource(make_resource("shared", capacities={"P_max_kw": 0}))
    return db


def test_what_is_read_in_a_transaction_stays_true(
    shared_resource: ResourceDatabase, database: str, root: Path
) -> None:
    """Programs that count one up in bulk_upsert lose no count, and each stores what is its own."""
    run_at_once(database, COUNT_IN_A_TRANSACTION, root)

    found = {one.resourceID: one for one in shared_resource.get_all_resources()}
    assert found["shared"].capacities == {"P_max_kw": PROGRAMS * ROUNDS}
    assert len(found) == PROGRAMS * ROUNDS + 1
    assert all(
        found[f"{name}-{number}"].connection.topic == f"{name}/{number}"
        for name in range(PROGRAMS)
        for number in range(ROUNDS)
    )


def test_expected_version_loses_no_update(
    shared_resource: ResourceDatabase, database: str, root: Path
) -> None:
    """Programs that read, change, and say which version they changed lose nothing either."""
    run_at_once(database, COUNT_BY_VERSION, root)

    found = shared_resource.get_resource("shared")
    assert found is not None
    assert found.capacities["P_max_kw"] == PROGRAMS * ROUNDS


def test_bulks_at_once_have_connections_of_their_own(db: ResourceDatabase, database: str, root: Path) -> None:
    """Thousands that several programs insert at once share no connection, and deletions take theirs along."""
    run_at_once(database, BULK, root)

    found = db.get_all_resources()
    ids = {link.id for one in found for link in (one.connection, one.control_connection) if link is not None}
    assert len(found) == PROGRAMS * ROUNDS * 19
    assert len(ids) == 2 * len(found) == len(db.get_connections())


def test_a_switch_is_not_undone_by_others(
    shared_resource: ResourceDatabase, database: str, root: Path
) -> None:
    """A resource that one program switches off stays off, whatever others store of it meanwhile."""
    run_at_once(database, SWITCH_AND_STORE, root)

    found = shared_resource.get_resource("shared")
    assert found is not None
    assert found.enabled is False
    assert found.address is not None
    assert found.address.endswith(f"-{ROUNDS - 1}")
