"""A virtual meter that appends to a CSV file while it is read, in two writes a row now and then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from venclient.clock import Clock
from venclient.simulation.loads import Load

OPTIONS: Mapping[str, Any] = {
    "format": "csv",
    "delimiter": ";",
    "decimal": ",",
    "time": {"columns": ["time"], "format": "iso", "zone": "UTC"},
    "values": [
        {"column": "power_kw", "quantity": "power_kw"},
        {"column": "energy_kwh", "quantity": "energy_kwh"},
    ],
    "follow": True,
    "interval_s": 1,
}


@dataclass(frozen=True)
class GrowingFile:
    """A meter file with time, power and import register, a row each `interval_s`."""

    path: Path
    load: Load
    since_s: float
    clock: Clock
    interval_s: float = 1.0

    async def run(self) -> None:
        """Append rows until cancelled; every fifth row comes in two pieces, as a real logger's may."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("w", encoding="utf-8") as file:
            file.write("time;power_kw;energy_kwh\n")
            file.flush()
            rows = 0
            while True:
                now_s = self.clock.now().timestamp()
                await self.clock.sleep(self.interval_s - now_s % self.interval_s)
                row = self.row(self.clock.now().timestamp())
                rows += 1
                if rows % 5 == 0:
                    file.write(row[:20])
                    file.flush()
                    await self.clock.sleep(self.interval_s / 5)
                    row = row[20:]
                file.write(row)
                file.flush()

    def row(self, at_s: float) -> str:
        """Return the line for one moment: ISO time in UTC, decimal commas."""
        power_kw = f"{self.load.power_kw(at_s):.4f}".replace(".", ",")
        energy_kwh = f"{250 + self.load.energy_kwh(self.since_s, at_s):.6f}".replace(".", ",")
        return f"{datetime.fromtimestamp(at_s, UTC).isoformat()};{power_kw};{energy_kwh}\n"
