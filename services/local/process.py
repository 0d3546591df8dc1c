"""What local mode needs to know of a process."""

import pwd
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Phase = Literal["waiting", "starting", "ready", "done", "restarting", "failed", "stopped"]
"""`failed` is a `once` process that ended with an error (it is tried again); `restarting` is a lasting one between two lives."""


@dataclass(frozen=True)
class Process:
    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    probe: str | None = None
    """What readiness.probe is given. None for a `once` process, which is ready when it ends with exit code 0."""
    once: bool = False
    needs: frozenset[str] = frozenset()
    """Start when these are ready; stop before them."""
    after: frozenset[str] = frozenset()
    """Stop before these, but do not wait for them at the start."""
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 3.0
    """Seconds from the stop signal to SIGKILL."""
    account: pwd.struct_passwd | None = None
    folder: Path | None = None
    """Where it is started; an account of its own cannot always enter the project."""
    url: str | None = None
    """Where a person or a program reaches it."""
