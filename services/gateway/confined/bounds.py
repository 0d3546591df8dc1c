"""What the process may take, and when it has to end."""

import ctypes
import os
import resource
import sys

PR_SET_PDEATHSIG, SIGKILL = 1, 9
NICE = 5
"""Single predictions come first, also where there are fewer cores than processes."""
FIRST_TO_DIE = b"1000"
"""When the machine has no memory left: this process, and not the gateway."""


def bound(parent: int, memory: int, seconds: int) -> None:
    """`memory`: bytes of address space; `seconds` of computing, after which SIGXCPU ends the process. `parent`: with whose end the kernel kills it.

    Other kernels than Linux know neither the bound of memory nor the parent's end.
    """
    _limit(resource.RLIMIT_CPU, seconds, seconds + 1)
    _limit(resource.RLIMIT_CORE, 0, 0)
    _step_back()
    if sys.platform == "linux":
        _limit(resource.RLIMIT_AS, memory, memory)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
        if os.getppid() != parent:
            raise SystemExit(f"process {parent} has ended already")


def _step_back() -> None:
    """As far as a sandbox lets it."""
    try:
        os.nice(NICE)
        with open("/proc/self/oom_score_adj", "wb") as file:  # noqa: PTH123 - importing pathlib takes longer than all of this
            file.write(FIRST_TO_DIE)
    except OSError:
        pass


def _limit(kind: int, soft: int, hard: int) -> None:
    given = resource.getrlimit(kind)[1]
    if given != resource.RLIM_INFINITY:
        soft, hard = min(soft, given), min(hard, given)
    resource.setrlimit(kind, (soft, hard))
