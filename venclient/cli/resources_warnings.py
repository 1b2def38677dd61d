"""Warnings about resources, as `ven resources` prints them: each once, with its resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from venclient.messages import cli_resources as clr
from venclient.messages import with_code
from venclient.screen import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from venclient.model.resource import Resource
    from venclient.registry.database import ResourceDatabase
    from venclient.registry.doubts import Warned

_NAMED = 3


def print_warnings(warnings: Iterable[Warned]) -> None:
    """Print what is doubtful about resources that were stored; a warning of many resources is one line."""
    found: dict[str, list[str]] = {}
    for one in warnings:
        found.setdefault(one.text, []).append(one.subject)
    for text, subjects in found.items():
        say(f"warning: {with_code(text)}: {_names(subjects)}", err=True)


def print_findings(registry: ResourceDatabase, resource: Resource) -> None:
    """Print everything that is wrong or doubtful about a resource that is stored."""
    for text in [text for texts in registry.validate(resource) for text in texts]:
        say(f"warning: {with_code(text)}", err=True)


class Wrong:
    """Counts the resources of a list that have values which would be refused today."""

    def __init__(self, registry: ResourceDatabase) -> None:
        self._registry = registry
        self._ids: list[str] = []

    def watched(self, resources: Iterable[Resource]) -> Iterator[Resource]:
        """Yield resources, and look at each."""
        for one in resources:
            if self._registry.validate(one).problems:
                self._ids.append(str(one.resourceID))
            yield one

    def print_count(self) -> None:
        """Print how many there were, and the first of them, in one line; nothing when there were none."""
        if self._ids:
            more = f" and {len(self._ids) - _NAMED} more" if len(self._ids) > _NAMED else ""
            text = clr.WRONG_VALUES(count=len(self._ids), names=self._ids[:_NAMED], more=more)
            say(f"warning: {text}; {text.hint} [{text.code}]", err=True)


def _names(subjects: list[str]) -> str:
    more = f" and {len(subjects) - _NAMED} more" if len(subjects) > _NAMED else ""
    return f"{', '.join(subjects[:_NAMED])}{more}"
