"""The VEN's client: one account at one VTN over HTTP(S), and registration there."""

from venclient.client.account import VtnAccount
from venclient.client.dialect import Dialect
from venclient.client.difference import Difference, Drift, Update, Wanted, difference
from venclient.client.listing import Listing
from venclient.client.registration import (
    Progress,
    Reconciled,
    ensure_resource,
    ensure_ven,
    may_not_register,
    reconcile,
)
from venclient.client.ven_client import ClientStatus, VenClient

__all__ = [
    "ClientStatus",
    "Dialect",
    "Difference",
    "Drift",
    "Listing",
    "Progress",
    "Reconciled",
    "Update",
    "VenClient",
    "VtnAccount",
    "Wanted",
    "difference",
    "ensure_resource",
    "ensure_ven",
    "may_not_register",
    "reconcile",
]
