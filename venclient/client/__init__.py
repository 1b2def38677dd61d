"""The VEN's client: one account at one VTN over HTTP(S), and registration there."""

from venclient.client.account import VtnAccount
from venclient.client.listing import Listing
from venclient.client.registration import ensure_resource, ensure_ven
from venclient.client.ven_client import ClientStatus, VenClient

__all__ = ["ClientStatus", "Listing", "VenClient", "VtnAccount", "ensure_resource", "ensure_ven"]
