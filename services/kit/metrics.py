"""Prometheus on a port of its own, so that metrics are never public by accident. The catalogue is docs/metrics.yaml."""

import os
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, multiprocess, start_http_server, values

LATENCY_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds; fine around the milliseconds where predictions live."""


def serve(port: int, host: str, registry: CollectorRegistry = REGISTRY) -> None:
    """Starts a thread that answers /metrics; port 0 means off."""
    if port:
        start_http_server(port, addr=host, registry=registry)


def of_workers(folder: Path) -> CollectorRegistry:
    """What the workers that `keep_in` the folder count, added up."""
    folder.mkdir(exist_ok=True)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    return registry


def keep_in(folder: Path, worker: int) -> None:
    """Counts in files of the folder from now on: to be called before any module that makes metrics is imported.

    They are named by the worker's number and not by its pid, so that whoever replaces it goes on counting where it ended, and files never pile up.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]


def bury(folder: Path, worker: int) -> None:
    """Forgets the gauges of a worker that has ended; what it counted stays."""
    multiprocess.mark_process_dead(worker, str(folder))  # type: ignore[no-untyped-call]
