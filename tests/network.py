"""A network namespace behind a bad line: every packet there and back is late, and some never come.

    this machine  198.18.N.1 -- tun -- | delay, loss | -- tun -- 198.18.N.2  namespace

The line is two TUN devices with this program between them, and needs no traffic shaper in the
kernel. TCP runs over it as it does over any line that is this bad, with its retransmissions.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.peers import missing

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_TUN = Path("/dev/net/tun")
_PACKET_BYTES = 65536


class BadLine:
    """The line while it is up. Both directions take `delay_s` each and lose that share of the packets."""

    def __init__(self, namespace: str, here: str, there: str, delay_s: float, loss: float) -> None:
        self.namespace = namespace
        self.here = here
        self.there = there
        self.delay_s = delay_s
        self.loss = loss
        self.passed = 0
        self.lost = 0

    def command(self, *words: str) -> list[str]:
        """Return a command that runs in the namespace."""
        return ["ip", "netns", "exec", self.namespace, *words]

    def carry(self, ends: Sequence[int], stop: int) -> None:
        """Take packets from each end to the other until something can be read from `stop`."""
        chance = random.Random(1)
        due: list[tuple[float, int, int, bytes]] = []
        while True:
            wait_s = max(0.0, due[0][0] - time.monotonic()) if due else None
            ready, _, _ = select.select([*ends, stop], [], [], wait_s)
            if stop in ready:
                return
            for end in ready:
                packet = os.read(end, _PACKET_BYTES)
                if chance.random() < self.loss:
                    self.lost += 1
                    continue
                self.passed += 1
                other = ends[1] if end == ends[0] else ends[0]
                heapq.heappush(due, (time.monotonic() + self.delay_s, self.passed, other, packet))
            while due and due[0][0] <= time.monotonic():
                _, _, other, packet = heapq.heappop(due)
                with contextlib.suppress(OSError):
                    os.write(other, packet)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        missing(f"this system does not let us make a network namespace: {done.stderr.strip()}")


def _tun(name: str) -> int:
    try:
        end = os.open(_TUN, os.O_RDWR)
    except OSError as error:
        missing(f"{_TUN} cannot be opened ({error})")
    try:
        fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22s", name.encode(), _IFF_TUN | _IFF_NO_PI, b""))
    except OSError as error:
        os.close(end)
        missing(f"this system does not let us make a network device ({error})")
    return end


@contextmanager
def bad_line(*, delay_s: float, loss: float) -> Iterator[BadLine]:
    """Yield a namespace behind a line with this delay each way and this loss; skip where that cannot be.

    Whoever uses it must have ended what runs in the namespace before; the namespace goes with the line.
    """
    if os.geteuid() != 0:
        missing("only root may make network namespaces")
    if shutil.which("ip") is None:
        missing("ip is not installed (apt-get install iproute2)")
    number = os.getpid() % 250
    namespace, near, far = f"ven-{os.getpid()}", f"vna{os.getpid()}", f"vnb{os.getpid()}"
    line = BadLine(namespace, f"198.18.{number}.1", f"198.18.{number}.2", delay_s, loss)
    with ExitStack() as stack:
        _ip("netns", "add", namespace)
        stack.callback(subprocess.run, ["ip", "netns", "del", namespace], check=False)
        ends = [_tun(near), _tun(far)]
        for end in ends:
            stack.callback(os.close, end)
        _ip("link", "set", far, "netns", namespace)
        _ip("address", "add", f"{line.here}/24", "dev", near)
        _ip("link", "set", near, "up")
        _ip("-n", namespace, "address", "add", f"{line.there}/24", "dev", far)
        _ip("-n", namespace, "link", "set", far, "up")
        _ip("-n", namespace, "link", "set", "lo", "up")
        stopped, stop = os.pipe()
        carrier = threading.Thread(target=line.carry, args=(ends, stopped), daemon=True)
        carrier.start()

        def end_it() -> None:
            os.write(stop, b"x")
            carrier.join(5)
            os.close(stopped)
            os.close(stop)

        stack.callback(end_it)
        yield line
