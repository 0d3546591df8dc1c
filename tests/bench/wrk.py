"""The load: wrk in a closed loop, each connection sending its next request when the answer to the last has come."""

import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")
PATIENCE_SECONDS = 10


class Missing(Exception):
    """A program that the bench cannot do without; the message says how to get it."""


@dataclass(frozen=True)
class Call:
    """A request with bodies that take turns, so that nobody gains from answering the same row again. No body has a line break."""

    url: str
    bodies: Sequence[bytes]
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass(frozen=True)
class Load:
    """What the clients saw. Latencies in milliseconds, from the first byte sent to the last one received."""

    seconds: float
    answers: int
    """Complete answers, good and bad."""
    refused: int
    """Answers of 400 and above."""
    broken: int
    """Connections that failed, and requests without an answer within PATIENCE_SECONDS."""
    p50: float
    p90: float
    p99: float
    p999: float
    max: float
    client_cpu: float
    """CPU seconds of wrk itself."""

    @property
    def good(self) -> int:
        return self.answers - self.refused


def find() -> str:
    found = shutil.which("wrk")
    if found is None:
        raise Missing("wrk is not on PATH: install it (Debian, Ubuntu: apt install wrk)")
    return found


def run(call: Call, *, connections: int, seconds: float, cores: Collection[int] | None = None) -> Load:
    """Blocks for that long. One thread: it is faster than any server here, and has one core at most."""
    with tempfile.NamedTemporaryFile(prefix="bench-body-") as file:
        file.writelines(body + b"\n" for body in call.bodies)
        file.flush()
        options = ["-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s", "--timeout", f"{PATIENCE_SECONDS}s", "-s", str(SCRIPT)]
        command = [find(), *options, call.url, "--", file.name, *(f"{name}: {value}" for name, value in call.headers.items())]
        before = _children_cpu()
        pin = (lambda: os.sched_setaffinity(0, cores)) if cores else None
        done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=pin)
        cpu = _children_cpu() - before
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise RuntimeError(f"wrk failed: {(done.stderr or done.stdout).strip()[-500:]}")
    said = json.loads(line.removeprefix("RESULT "))
    return Load(
        seconds=said["microseconds"] / 1e6,
        answers=said["answers"],
        refused=said["status"],
        broken=said["connect"] + said["read"] + said["write"] + said["timeout"],
        client_cpu=cpu,
        **{name: said[name] / 1e3 for name in ("p50", "p90", "p99", "p999", "max")},
    )


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
