"""Starting, finding and stopping the supervisor from outside."""

import os
import signal
import subprocess
import sys
import time
from typing import Any

import psutil

from services.local import files, leftovers
from services.local.lock import holder, is_running
from services.local.paths import ROOT, Home

STOP_SECONDS = 9.5


def start(home: Home) -> "subprocess.Popen[bytes]":
    """Detached: it outlives this command and its terminal."""
    home.create()
    environment = {name: value for name, value in os.environ.items() if name not in (leftovers.MARK, leftovers.STOP)}
    if not is_running(home):
        home.view.unlink(missing_ok=True)
    output = home.log("supervisor")
    with output.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "services.local"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def view(home: Home) -> dict[str, Any] | None:
    """What the supervisor says of its processes; None when none runs, or not yet. A dead one's last words are not taken for it."""
    pid = holder(home)
    document = files.read(home.view) if pid is not None else None
    return document if document is not None and document["pid"] == pid else None


def stop(home: Home) -> int:
    """Returns how many processes had to be ended beside the supervisor's own stop (0 when all went well)."""
    deadline = time.monotonic() + STOP_SECONDS
    supervisor = None
    while is_running(home) and time.monotonic() < deadline:
        if supervisor is None and (supervisor := _supervisor(home)) is not None:
            leftovers.send(supervisor, signal.SIGTERM)
        time.sleep(0.05)
    # The lock is free a moment before its holder is gone.
    if supervisor is not None and leftovers.wait([supervisor], deadline - time.monotonic()):
        leftovers.send(supervisor, signal.SIGKILL)
    ended = leftovers.end(home.identity, grace=2.0)
    home.view.unlink(missing_ok=True)
    return ended


def _supervisor(home: Home) -> psutil.Process | None:
    pid = holder(home)
    try:
        return psutil.Process(pid) if pid is not None else None
    except psutil.NoSuchProcess:
        return None


def memory_mb(pid: int | None) -> float | None:
    """Resident memory of a process and its descendants; what a descendant shares with others is not counted again."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        total = process.memory_info().rss
        for child in process.children(recursive=True):
            try:
                memory = child.memory_info()
            except psutil.Error:
                continue
            total += memory.rss - getattr(memory, "shared", 0)
    except psutil.Error:
        return None
    return round(total / 1e6, 1)
