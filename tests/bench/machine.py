"""What the figures were measured on, and how busy the machine was with other things."""

import os
import platform
import re
import statistics
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.bench import wrk

PACKAGES = ("bentoml", "fastapi", "starlette", "uvicorn", "uvloop", "httptools", "aiohttp", "httpx", "msgspec", "orjson", "pydantic", "psycopg", "pyjwt")
MODEL_PACKAGES = ("numpy", "scikit-learn", "joblib", "treelite", "arro3-io")
SYNC_SECONDS = 0.2


def facts(folder: Path, database_url: str | None = None) -> dict[str, Any]:
    """`folder` is on the disk of the database."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": len(cores()),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in (*PACKAGES, *MODEL_PACKAGES)},
        "wrk": wrk_version(),
        "disk": file_system(folder),
        "fdatasync_ms": syncs_ms(folder, SYNC_SECONDS)[0],
        **({"postgresql": postgresql(database_url)} if database_url else {}),
    }


def cores() -> list[int]:
    """Those that this process may use."""
    return sorted(os.sched_getaffinity(0))


def cpu_model() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1].strip() if found else platform.processor() or platform.machine()


def wrk_version() -> str:
    said = subprocess.run([wrk.find(), "-v"], capture_output=True, text=True, check=False).stdout
    return said.split(" [")[0].removeprefix("wrk ").strip()


def file_system(folder: Path) -> str:
    """A database in memory would make commits free: who reads the figures must see it."""
    inside = [part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)]
    return max(inside, key=lambda part: len(part.mountpoint)).fstype if inside else "unknown"


def syncs_ms(folder: Path, seconds: float) -> tuple[float, float]:
    """Median and longest time of writing 8 kB and syncing it, over so many seconds: the floor of a commit, and of the longest one."""
    times = []
    path = folder / "sync-probe"
    handle = os.open(path, os.O_CREAT | os.O_WRONLY)
    end = time.perf_counter() + seconds
    try:
        while (started := time.perf_counter()) < end:
            os.pwrite(handle, b"x" * 8192, 0)
            os.fdatasync(handle)
            times.append(time.perf_counter() - started)
    finally:
        os.close(handle)
        path.unlink()
    return round(statistics.median(times) * 1e3, 3), round(max(times) * 1e3, 1)


def postgresql(url: str) -> dict[str, str]:
    with psycopg.connect(url) as connection:
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "wal_sync_method")
        return {name: str(connection.execute("SELECT current_setting(%s)", (name,)).fetchone()[0]) for name in names}  # type: ignore[index]


def busy_seconds() -> float:
    """CPU seconds that all cores have worked since boot, interrupts and what the hypervisor took included."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - getattr(times, "guest", 0) - getattr(times, "guest_nice", 0))
