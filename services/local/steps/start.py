"""Follows the supervisor until what does not depend on a trained model is ready."""

import subprocess
import time
from pathlib import Path
from typing import Any

from services.local import files, launch
from services.local.board import Board
from services.local.failure import Failure
from services.local.lock import is_running
from services.local.paths import Home

PATIENCE_SECONDS = 120.0
RUNNER_SECONDS = 60.0
MOST_RESTARTS = 3
SHOWN_LINES = 15


def follow(home: Home, board: Board, supervisor: "subprocess.Popen[bytes] | None") -> dict[str, Any]:
    """Returns the view when every process has started and all but the runners are ready. Raises Failure with the end of the log."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    board.show("supervisor", "working", "starting")
    while True:
        view = launch.view(home)
        if view is not None:
            board.show("supervisor", "done", f"process {view['pid']}")
            for name, one in view["services"].items():
                _show(board, name, one)
            if all(_settled(name, one) for name, one in view["services"].items()):
                return view
        elif supervisor is not None and supervisor.poll() is not None and not is_running(home):
            raise _failed("the supervisor ended", home.log("supervisor"))
        if time.monotonic() > deadline:
            late = [name for name, one in (view or {"services": {}})["services"].items() if not _settled(name, one)] or ["supervisor"]
            raise _failed(f"{late[0]} was not ready within {PATIENCE_SECONDS:.0f} s", home.log(late[0]))
        time.sleep(0.1)


def runners_ready(home: Home, board: Board) -> None:
    """Waits until every runner has loaded its champion. Raises Failure."""
    deadline = time.monotonic() + RUNNER_SECONDS
    while True:
        view = launch.view(home)
        if view is None:
            raise _failed("the supervisor ended", home.log("supervisor"))
        for name, one in view["services"].items():
            _show(board, name, one)
        late = [name for name, one in view["services"].items() if one["phase"] not in ("ready", "done")]
        if not late:
            return
        if time.monotonic() > deadline:
            raise _failed(f"{late[0]} was not ready within {RUNNER_SECONDS:.0f} s", home.log(late[0]))
        time.sleep(0.1)


def is_runner(name: str) -> bool:
    return name.startswith("runner-")


def _settled(name: str, one: dict[str, Any]) -> bool:
    return one["phase"] in ("ready", "done") or (is_runner(name) and one["phase"] == "starting" and one["pid"] is not None)


def _show(board: Board, name: str, one: dict[str, Any]) -> None:
    """Raises Failure when it is plain that the process will not come up."""
    phase = one["phase"]
    if phase == "failed" or (phase == "restarting" and one["restarts"] >= MOST_RESTARTS):
        board.show(name, "failed", f"exit code {one['exit_code']}")
        raise _failed(one["message"] or f"{name} ends with exit code {one['exit_code']}", Path(one["log"]), name)
    if phase in ("ready", "done"):
        board.show(name, "done", one["message"] or one["url"] or "")
    elif phase == "waiting":
        board.show(name, "waiting")
    elif is_runner(name) and phase == "starting":
        board.show(name, "working", "waiting for a version to serve")
    else:
        board.show(name, "working", one["message"] or phase)


def _failed(words: str, log: Path, name: str = "") -> Failure:
    hint = f"the whole log is {log}"
    if name == "database":
        hint = "start the database, or correct DATABASE_URL, or unset it to use a PostgreSQL of the platform's own; then try again"
    return Failure(words, hint, files.tail(log, SHOWN_LINES))
