"""Run as a script, `tied.py PARENT COMMAND…`: becomes the command, tied to the life of its parent.

The kernel kills it when the process PARENT ends, however that happens, so that a control that was killed leaves no step behind.
A program of its own because code between fork and exec is unsafe in a process with threads. Does nothing more elsewhere than on Linux.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            raise SystemExit(f"process {parent} has ended already")
    os.execvp(command[0], command)  # noqa: S606 - no shell is meant


if __name__ == "__main__":
    main()
