"""How a process is started that works on what strangers sent: it reads standard input, and `bounds.bound` is the first thing that it does."""

import os
import sys
from pathlib import Path


def command(program: Path, memory: int, seconds: int, *more: str) -> list[str]:
    """Without what a usual start of Python looks for. The program's arguments begin with those of `bounds.bound`."""
    return [sys.executable, "-S", "-P", str(program), *map(str, (os.getpid(), memory, seconds)), *more]


def environment() -> dict[str, str]:
    """It knows of ours only where the modules are: no password and no key."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
