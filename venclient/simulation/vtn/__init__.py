"""A small, strict OpenADR 3.1 VTN of ours for the demo, tests and fault injection.

Built from the official YAML alone; it may not import the client's side of OpenADR, to avoid a shared
misreading. `LocalVtn` runs it; `Fault` says what should go wrong.
"""

from __future__ import annotations

from venclient.simulation.vtn.auth import Client
from venclient.simulation.vtn.faults import FOREVER, Exchange, Fault
from venclient.simulation.vtn.problems import Refusal
from venclient.simulation.vtn.server import BASE_PATH, LocalVtn

__all__ = ["BASE_PATH", "FOREVER", "Client", "Exchange", "Fault", "LocalVtn", "Refusal"]
