"""Prometheus on a port of its own, so that metrics are never public by accident. The catalogue is docs/metrics.yaml."""

import os
import platform
import shutil
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Gauge, multiprocess, start_http_server, values

from services.kit.processes import Family

LATENCY_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds; fine around the milliseconds where predictions live."""


def serve(port: int, host: str, registry: CollectorRegistry = REGISTRY, **folders: Path) -> None:
    """Starts a thread that answers /metrics; port 0 means off. `folders` as `describe` has them."""
    if port:
        describe(registry, **folders)
        start_http_server(port, addr=host, registry=registry)


def describe(registry: CollectorRegistry, **folders: Path) -> None:
    """Adds what every process says about itself, looked up when somebody asks: its build, its processes, and how full the disk below each folder is."""
    if registry is not REGISTRY:  # which has them
        registry.register(Family())
    build = Gauge("modelyard_build_info", "1; the labels say what runs.", ["version", "python"], registry=registry)
    build.labels(_version(), platform.python_version()).set(1)
    size = Gauge("modelyard_disk_size_bytes", "Size of the disk that holds this folder of the process.", ["folder"], registry=registry)
    free = Gauge("modelyard_disk_free_bytes", "What is left of it.", ["folder"], registry=registry)
    for name, folder in folders.items():
        size.labels(name).set_function(partial(_disk, folder, ("used", "free")))  # as df has it: what is kept for root is nobody's
        free.labels(name).set_function(partial(_disk, folder, ("free",)))


def _disk(folder: Path, figures: Sequence[str]) -> float:
    """Of the nearest folder that is there: a process makes its own when it needs it."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return float("nan")
    return float(sum(getattr(usage, figure) for figure in figures))


def _version() -> str:
    try:
        return version("modelyard")
    except PackageNotFoundError:  # an image has the sources alone
        return os.environ.get("MODELYARD_VERSION", "unknown")


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
