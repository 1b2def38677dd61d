"""Door: a tour of the resource database's queries, printed. Run `python prepare_samples.py` before."""

from __future__ import annotations

import sys

try:
    from venclient.errors import VenError
    from venclient.registry.tour import tour
except ModuleNotFoundError as missing:
    if __name__ != "__main__":
        raise
    sys.exit(f"{missing}; the packages are in .venv, which `make demo` makes: . .venv/bin/activate")

if __name__ == "__main__":
    try:
        tour("config/resources.db")
    except VenError as problem:
        sys.exit(str(problem))
