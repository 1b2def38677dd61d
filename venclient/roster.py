"""The resources that one VTN hears of, and their names there: shared by all that talk with that VTN."""

from __future__ import annotations

from collections.abc import Mapping

from venclient.model.resource import Resource
from venclient.reporting.registration import resource_names


class Roster:
    """The served resources of one VTN by id, and their names at it.

    Both are replaced as a whole when the registry changes.
    """

    def __init__(self, resources: Mapping[str, Resource]) -> None:
        self.resources: Mapping[str, Resource] = {}
        self.names: Mapping[str, str] = {}
        self.replace(resources)

    def replace(self, resources: Mapping[str, Resource]) -> bool:
        """Serve these resources from now on; return whether anything is different."""
        if dict(resources) == self.resources:
            return False
        titles = {id_: one.resourceName for id_, one in self.resources.items()}
        self.resources = dict(resources)
        if not self.names or titles != {id_: one.resourceName for id_, one in resources.items()}:
            self.names = resource_names(tuple(self.resources.values()))
        else:
            self.names = dict(self.names)  # another object: a caller that kept the old one sees the change
        return True
