"""A clock that somebody else sets: the file's number of seconds is added to what the machine's clock tells."""

import os
import time
from pathlib import Path

_offset = Path(os.environ["MODELYARD_CLOCK_OFFSET"])
_time, _time_ns = time.time, time.time_ns


def _seconds() -> int:
    return int(_offset.read_text() or 0)


time.time = lambda: _time() + _seconds()
time.time_ns = lambda: _time_ns() + _seconds() * 1_000_000_000
