"""Where the tests find the checkout and the data that are not part of it."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Published data and the official OpenADR documents, which cannot be redistributed with the project.
SHARED = Path(os.environ.get("VEN_SHARED") or ROOT.parent / "shared")
