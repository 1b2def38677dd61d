from venclient.registry.database import ResourceDatabase as ResourceDatabase

__all__ = ["ResourceDatabase"]
