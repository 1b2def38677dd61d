"""Door: a tour of the resource database's queries, printed. Run `python prepare_samples.py` before."""

from __future__ import annotations

import sys

from venclient.errors import VenError
from venclient.registry.tour import tour

if __name__ == "__main__":
    try:
        tour("config/resources.db")
    except VenError as problem:
        sys.exit(str(problem))
