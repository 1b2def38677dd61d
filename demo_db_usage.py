"""Door: a tour of the resource database's queries, printed. Run `python prepare_samples.py` before."""

from __future__ import annotations

import os
import sys

try:
    from venclient.coded_log import show_codes
    from venclient.errors import VenError
    from venclient.registry.tour import tour
except ModuleNotFoundError as missing:
    if __name__ != "__main__":
        raise
    sys.exit(f"{missing}; the packages are in .venv, which `make demo` makes: . .venv/bin/activate")

if __name__ == "__main__":
    show_codes()
    try:
        tour("config/resources.db")
        sys.stdout.flush()
    except VenError as problem:
        sys.exit(str(problem))
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
