"""`python local_supervisor.py HOME PROCESSES.json`: the real supervisor over processes that a test declares."""

import asyncio
import json
import signal
import sys
from pathlib import Path

from services.local.lock import lock
from services.local.paths import Home
from services.local.process import Process
from services.local.supervisor import Supervisor


def main() -> None:
    home = Home(Path(sys.argv[1]))
    home.create()
    declared = json.loads(Path(sys.argv[2]).read_text())
    processes = [
        Process(
            name=one["name"],
            command=one["command"],
            probe=one.get("probe"),
            once=one.get("once", False),
            needs=frozenset(one.get("needs", [])),
            after=frozenset(one.get("after", [])),
            stop_signal=signal.Signals[one.get("stop_signal", "SIGTERM")],
            grace=one.get("grace", 2),
        )
        for one in declared
    ]
    with lock(home):
        asyncio.run(Supervisor(home, processes, {}).run())


if __name__ == "__main__":
    main()
