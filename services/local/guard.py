"""Outlives the supervisor by a moment. `python -m services.local.guard MARK` reads `+session` and `-session` lines from its standard
input, a pipe that closes when the supervisor ends, however that came about; then it ends every process that is left."""

import os
import signal
import sys


def main() -> int:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    mark = sys.argv[1]
    sessions: set[int] = set()
    for line in sys.stdin:
        number = int(line[1:])
        if line[0] == "+":
            sessions.add(number)
        else:
            sessions.discard(number)

    from services.local import leftovers  # only now: psutil would double what this process costs all day

    os.chdir("/")
    return 0 if leftovers.end(mark, sessions) >= 0 else 1


if __name__ == "__main__":
    sys.exit(main())
