"""CPU, memory and open files of a process together with its children, under the names that Prometheus gives them for one process."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

CPU = "process_cpu_seconds"
ADDED_UP = frozenset({CPU, "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds"})
"""The others, when it started and how many files it may open, are the parent's."""


class Family(Collector):
    """Memory that processes share counts for each of them. Empty where there is no /proc."""

    def __init__(self) -> None:
        self._cpu = 0.0

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        ended = os.times()  # first: a child that ends now is then in neither figure, and in the next one again
        found = {metric.name: metric for metric in ProcessCollector(registry=None).collect()}
        for child in _children():
            for metric in ProcessCollector(pid=partial(str, child), registry=None).collect():
                if metric.name in ADDED_UP and metric.name in found:
                    _set(found[metric.name], _value(found[metric.name]) + _value(metric))
        if CPU in found:
            self._cpu = max(self._cpu, _value(found[CPU]) + ended.children_user + ended.children_system)
            _set(found[CPU], self._cpu)
        return found.values()


def started(pid: int) -> datetime:
    """When a process began; now where there is no /proc."""
    found = [metric for metric in ProcessCollector(pid=partial(str, pid), registry=None).collect() if metric.name == "process_start_time_seconds"]
    return datetime.fromtimestamp(_value(found[0]), UTC) if found else datetime.now(UTC)


def _value(metric: Metric) -> float:
    return float(metric.samples[0].value)


def _set(metric: Metric, value: float) -> None:
    metric.samples = [metric.samples[0]._replace(value=value)]


def _children() -> list[int]:
    """Those that have not been waited for, whichever thread started them."""
    pids: list[int] = []
    for file in Path("/proc/self/task").glob("*/children"):
        try:
            pids += map(int, file.read_text().split())
        except OSError:  # that thread has just ended
            continue
    return pids
