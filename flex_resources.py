"""Door: the public data types, under the names that the specification imports."""

from venclient.model.resource import ActorType, Connection, ConnectionType, Resource, ResourceType

__all__ = ["ActorType", "Connection", "ConnectionType", "Resource", "ResourceType"]
