from venclient.model.resource import ActorType as ActorType
from venclient.model.resource import Connection as Connection
from venclient.model.resource import ConnectionType as ConnectionType
from venclient.model.resource import Resource as Resource
from venclient.model.resource import ResourceType as ResourceType

__all__ = ["ActorType", "Connection", "ConnectionType", "Resource", "ResourceType"]
