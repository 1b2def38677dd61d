"""Door: the resource database, under the name that the specification imports."""

from venclient.registry.database import ResourceDatabase

__all__ = ["ResourceDatabase"]
