"""Time, memory and what bounds them."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

__all__ = ["Peak", "available_bytes", "bandwidth", "median", "peak_memory", "seconds"]

STATUS = Path("/proc/self/status")


def seconds(work: Callable[[], object], device: str = "cpu") -> float:
    """How long one call takes, until its results are there.

    With one thread on a processor it is the processor's time, which neighbours on a shared machine lengthen little;
    else it is the clock's.
    """
    now = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    _wait(device)
    began = now()
    work()
    _wait(device)
    return now() - began


def median(times: list[float]) -> float:
    """The middle one."""
    return statistics.median(times)


def bandwidth(device: str = "cpu", megabytes: int = 256) -> float:
    """Bytes a second that one pass over memory reads, the best of five."""
    numbers = torch.ones(megabytes << 18, device=device)
    return numbers.numel() * 4 / min(seconds(lambda: numbers.sum(), device) for _ in range(5))


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _anonymous() -> int | None:
    """Bytes of memory that are this process's own (files mapped into it are the system's); None where nobody says."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon", "RssShmem"))]
    return sum(found) if found else None


def available_bytes(device: str = "cpu") -> int | None:
    """Memory that can still be taken without swapping, of the GPU if the device is one; None where nobody says."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)


class Peak:
    """The most memory held at once, beyond what there was at the start, since the last restart."""

    def __init__(self, device: str) -> None:
        self._device, self._cuda = device, device.startswith("cuda")
        self._start = torch.cuda.memory_allocated(device) if self._cuda else _anonymous()
        self._most = 0
        self.restart()

    def restart(self) -> None:
        """Forget how much there has been, not where it began."""
        self._most = 0
        if self._cuda:
            torch.cuda.reset_peak_memory_stats(self._device)

    def look(self) -> None:
        """Take note of the present."""
        now = torch.cuda.max_memory_allocated(self._device) if self._cuda else _anonymous()
        self._most = max(self._most, now or 0)

    @property
    def bytes(self) -> int | None:
        """What was found; None where the system does not say."""
        self.look()
        return None if self._start is None else max(self._most - self._start, 0)


@contextmanager
def peak_memory(device: str = "cpu", interval: float = 0.004) -> Iterator[Peak]:
    """Watch memory while the block runs: a GPU's own count, else this process's, looked at every few milliseconds."""
    peak, finished = Peak(device), threading.Event()

    def watch() -> None:
        while not finished.wait(interval):
            peak.look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        finished.set()
        watcher.join()
