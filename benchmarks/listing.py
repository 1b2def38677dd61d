"""What reading a listing of events costs, against `json.loads` of the same bytes, in the same run.

    python benchmarks/listing.py [--quick]

Ratios carry over to other machines, the figures themselves do not.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from venclient.openadr.codec import CODEC_31
from venclient.openadr.codec_301 import CODEC_301
from venclient.openadr.objects import Event
from venclient.reporting.eventbook import EventBook

EVENTS = 5000
INTERVALS = 48
ROUNDS = 5
GOAL = 1.5


def listing(count: int, targets: Any) -> list[dict[str, Any]]:
    """Return events as a VTN lists them: a price for each half hour, and a wish for reports."""
    stamp = "2026-01-01T00:00:00Z"
    return [
        {
            "id": f"E{n}",
            "createdDateTime": stamp,
            "modificationDateTime": stamp,
            "objectType": "EVENT",
            "programID": "P1",
            "eventName": f"event {n}",
            "priority": None,
            "targets": targets,
            "intervalPeriod": {"start": stamp, "duration": "PT30M"},
            "payloadDescriptors": [
                {
                    "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
                    "payloadType": "PRICE",
                    "units": "KWH",
                    "currency": "EUR",
                }
            ],
            "reportDescriptors": [{"payloadType": "USAGE", "units": "KWH", "frequency": 1, "repeat": -1}],
            "intervals": [
                {"id": k, "payloads": [{"type": "PRICE", "values": [0.17 + k / 1000]}]}
                for k in range(INTERVALS)
            ],
        }
        for n in range(count)
    ]


def fastest(work: Callable[[], Any], rounds: int) -> float:
    """Return the shortest time of some rounds, in seconds: what else the machine does only adds."""
    times = []
    for _ in range(rounds):
        gc.collect()
        begun = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - begun)
        del result
    return min(times)


def unchanged(events: Sequence[Event], rounds: int) -> float:
    """Return the seconds that the event book takes for a listing that has not changed."""
    with tempfile.TemporaryDirectory() as folder:
        book = EventBook(Path(folder) / "state.db")
        now = datetime.now(UTC)
        book.apply(events, complete=True, now=now)
        took = fastest(lambda: book.apply(events, complete=True, now=now), rounds)
        book.close()
    return took


def main() -> int:
    """Measure, print, and give 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the events")
    count = EVENTS // 10 if parser.parse_args().quick else EVENTS
    plain = listing(count, None)
    body = json.dumps(plain).encode()
    plain[count // 2]["intervals"] = 7
    spoilt = json.dumps(plain).encode()
    del plain
    older = json.dumps(listing(count, [{"type": "GROUP", "values": ["north"]}])).encode()

    base = fastest(lambda: json.loads(body), ROUNDS)
    taken = {
        "3.1": fastest(lambda: CODEC_31.decode_list(Event, body), ROUNDS),
        "3.1, one of them bad": fastest(lambda: CODEC_31.decode_list(Event, spoilt), ROUNDS),
        "3.0.1": fastest(lambda: CODEC_301.decode_list(Event, older), ROUNDS),
        "unchanged (304)": unchanged(CODEC_31.decode_list(Event, body).items, ROUNDS),
    }
    print(
        f"{count} events of {INTERVALS} intervals, {len(body) / 1e6:.1f} MB; json.loads {1000 * base:.0f} ms"
    )
    for name, took in taken.items():
        print(f"  {name:22} {1000 * took:7.0f} ms  {took / base:5.2f} x json.loads")
    missed = [name for name, took in taken.items() if took > GOAL * base]
    for name in missed:
        print(f"goal missed: {name} within {GOAL} x json.loads")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
