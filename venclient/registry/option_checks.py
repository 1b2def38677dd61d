"""What the connectors say of a connection's options, though this package knows no connector.

Checks are entry points of the group `venclient.option_checks`, functions from a resource to a sentence for
each mistake in the options of its `connection`. They are looked up when the first options are stored: most
registries of many sites have none, and no connector is loaded for those.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeAlias

import msgspec

from venclient.messages import registry as reg
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry import rows
from venclient.registry.validation import CheckOptions

ENTRY_POINTS = "venclient.option_checks"

Key: TypeAlias = tuple[ConnectionType, ActorType, bytes]

#: As pyproject.toml declares it: a checkout that is not installed has no entry points.
_OWN = EntryPoint("connectors", "venclient.connectors:option_problems", ENTRY_POINTS)
_REMEMBERED = 1_000

_log = logging.getLogger(__name__)
_good: set[Key] = set()


def installed_checks(resource: Resource) -> list[str]:
    """Return what the installed connectors say of the options of a resource's connection.

    A connection without options is taken: its register map may come later. Options are checked as they
    come back from the database, and those that were good are not checked again.
    """
    link = resource.connection
    if not link.options:
        return []
    key = _key(link)
    if key is None or key in _good:
        return []  # options that are not JSON are refused when they are stored
    link = replace(link, options=msgspec.json.decode(key[2]))
    as_stored = replace(resource, connection=link)
    problems = [problem for check in _checks() for problem in check(as_stored)]
    if not problems:
        if len(_good) >= _REMEMBERED:
            _good.clear()
        _good.add(key)
    return problems


def lacking(link: Connection) -> str:
    """Return why a connection without options serves for nothing yet; "" when it has some, or needs none."""
    return "" if link.options else _lacking(link.type, link.actortype)


@cache
def _lacking(kind: ConnectionType, actor: ActorType) -> str:
    bare = Connection(kind, actor, options={})
    probe = Resource("", "", "DSR", None, "", bare, {}, {})
    return "; ".join(problem for check in _checks() for problem in check(probe))


def remembered(check: CheckOptions) -> CheckOptions:
    """Return a check that asks `check` once for what the many rows of one file share, good or bad."""
    known: dict[Key, list[str]] = {}

    def checked(resource: Resource) -> list[str]:
        link = resource.connection
        key = _key(link) if link.options else None
        if key is None:
            return check(resource)
        if key not in known:
            if len(known) >= _REMEMBERED:
                known.clear()
            known[key] = check(resource)
        return known[key]

    return checked


def _key(link: Connection) -> Key | None:
    """Return what an answer holds for; None for options that are not a JSON object."""
    try:
        options = rows.encoded(link.options)
    except (TypeError, ValueError, RecursionError):
        return None
    return (link.type, link.actortype, options) if options.startswith(b"{") else None


@cache
def _checks() -> tuple[Callable[[Resource], list[str]], ...]:
    """Load all checks; one that cannot be loaded is reported and does not prevent storing."""
    found = {_OWN.name: _OWN} | {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    checks = []
    for name, point in found.items():
        try:
            checks.append(point.load())
        except (ImportError, AttributeError) as error:
            _log.warning(reg.CHECK_NOT_LOADED(name=name, problem=error, package=point.value))
    return tuple(checks)
