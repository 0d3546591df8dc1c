"""Every process of a platform carries a mark in its environment, so that it is found wherever it went: other session, other parent."""

import os
import signal
import time
from collections.abc import Iterable

import psutil

MARK = "MODELYARD_INSTANCE"
STOP = "MODELYARD_STOP_SIGNAL"


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def _session(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid)
    except OSError:
        return -1


def _spared() -> set[int]:
    """This process and those that it runs under: a command of ours may be started by a process of ours."""
    me = psutil.Process()
    return {me.pid, *(parent.pid for parent in me.parents())}


def find(mark: str, sessions: Iterable[int] = ()) -> dict[psutil.Process, str]:
    """Processes with this mark or one below it (`a` covers `a.b`), their descendants, and members of the sessions; with each the
    name of the signal that ends it in good order, empty where it is left to its parent (PostgreSQL's own children hide their environment)."""
    spared, wanted = _spared(), set(sessions)
    found: dict[psutil.Process, str] = {}
    for process in psutil.process_iter():
        if process.pid in spared:
            continue
        environment = _environment(process)
        if f"{environment.get(MARK, '')}.".startswith(f"{mark}."):
            found[process] = environment.get(STOP, "SIGTERM")
        elif wanted and _session(process) in wanted:
            found.setdefault(process, "")
    for process in list(found):
        try:
            for child in process.children(recursive=True):
                if child.pid not in spared:
                    found.setdefault(child, "")
        except psutil.Error:
            continue
    return found


def end(mark: str, sessions: Iterable[int] = (), grace: float = 5.0) -> int:
    """Ends them: first in good order, after `grace` seconds by force. Returns how many there were; those of other users are left alone."""
    sessions = list(sessions)
    found = find(mark, sessions)
    for process, name in found.items():
        if name:
            send(process, signal.Signals[name])
    remaining = wait(list(found), grace)
    deadline = time.monotonic() + 2
    while remaining and time.monotonic() < deadline:
        for process in remaining:
            send(process, signal.SIGKILL)
        remaining = wait(list({*remaining, *find(mark, sessions)}), 0.3)
    return len(found)


def wait(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those still there; a zombie, which only its parent can remove, counts as gone."""
    deadline = time.monotonic() + seconds
    while True:
        processes = [process for process in processes if _alive(process)]
        if not processes or time.monotonic() >= deadline:
            return processes
        time.sleep(0.05)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def send(process: psutil.Process, number: int) -> None:
    """One that is gone, or is not ours, is passed over."""
    try:
        process.send_signal(number)
    except psutil.Error:
        return
