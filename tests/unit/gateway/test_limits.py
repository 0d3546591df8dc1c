"""Rate limits: what they allow, and that processes which share one count as one."""

import fcntl
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.gateway.limits import Limit
from services.gateway.windows import SETS, WAYS, Windows
from services.kit import shared
from services.kit.errors import TooManyRequests


class Clock:
    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_each_caller_has_a_limit_of_its_own() -> None:
    limit = Limit("user", "2/minute")
    assert [limit.hit("ann").remaining for _ in range(2)] == [1, 0]
    with pytest.raises(TooManyRequests) as refused:
        limit.hit("ann")
    assert refused.value.headers["Retry-After"] == refused.value.headers["RateLimit-Reset"]
    assert limit.hit("bob").remaining == 1


def test_the_window_slides() -> None:
    clock = Clock(600.0)
    windows = Windows(10, 60, clock=clock)
    assert [windows.hit("ann").allowed for _ in range(11)] == [True] * 10 + [False]
    clock.now += 60 + 15
    # A quarter of the window is over: three quarters of the ten before still count, so three more are allowed.
    assert [windows.hit("ann").allowed for _ in range(4)] == [True] * 3 + [False]
    clock.now += 30
    assert [windows.hit("ann").allowed for _ in range(6)] == [True] * 5 + [False]
    clock.now += 600
    assert [windows.hit("ann").allowed for _ in range(11)] == [True] * 10 + [False]


def test_no_window_ever_allows_more_than_twice_its_amount_and_waiting_for_the_reset_helps() -> None:
    clock, chance = Clock(), random.Random(5)
    windows = Windows(20, 60, clock=clock)
    allowed: list[float] = []
    for _ in range(1500):
        count = windows.hit("ann")
        if count.allowed:
            allowed.append(clock.now)
        else:
            clock.now += count.reset + 1e-6
            assert windows.hit("ann").allowed
            allowed.append(clock.now)
        clock.now += chance.choice([0, 0, 0.01, 1, 20])
    busiest = max(sum(begin <= moment < begin + 60 for moment in allowed) for begin in allowed)
    assert 20 <= busiest <= 40


def test_a_clock_that_is_set_back_forgives_nothing_and_blocks_nobody() -> None:
    clock = Clock()
    windows = Windows(3, 60, clock=clock)
    assert [windows.hit("ann").allowed for _ in range(2)] == [True, True]
    clock.now -= 86_400
    assert [windows.hit("ann").allowed for _ in range(2)] == [True, False]
    clock.now += 86_400 + 180
    assert windows.hit("ann").allowed


def test_more_callers_than_places_push_out_old_and_small_counts_first() -> None:
    clock = Clock()
    windows = Windows(1000, 60, clock=clock)
    for _ in range(50):
        windows.hit("guessing")
    for number in range(SETS * WAYS + 20_000):
        windows.hit(f"{number}")
    assert windows.hit("guessing").hits == 51
    clock.now += 300
    for number in range(1000):
        assert windows.hit(f"new {number}").hits == 1


@pytest.fixture
def folder() -> Iterator[Path]:
    with shared.folder("test") as made:
        yield made
    assert not made.exists()


HITTING = """
import sys
from pathlib import Path
from services.gateway.windows import Windows

most, hits = int(sys.argv[2]), int(sys.argv[3])
windows = Windows(most, 86_400, Path(sys.argv[1]))
print(flush=True)
sys.stdin.readline()
print(sum(windows.hit("ann").allowed for _ in range(hits)), flush=True)
"""


def hitting(folder: Path, most: int, hits: int) -> "subprocess.Popen[str]":
    """A process that is ready to. Not a fork of this one: it has threads, and what one of those holds at a fork is held for ever in the child."""
    command = [sys.executable, "-c", HITTING, str(folder / "limit"), str(most), str(hits)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "\n"
    return process


def begin(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_processes_that_share_a_limit_allow_exactly_its_amount(folder: Path) -> None:
    processes = [hitting(folder, 3000, 2000) for _ in range(4)]
    for process in processes:
        begin(process)
    assert sum(int(process.communicate(timeout=20)[0]) for process in processes) == 3000


def test_a_process_killed_at_any_moment_leaves_a_limit_that_works(folder: Path) -> None:
    windows = Windows(10**9, 86_400, folder / "limit")
    before = windows.hit("ann").hits
    for _ in range(10):
        with hitting(folder, 10**9, 10**9) as process:
            begin(process)
            while windows.hit("ann").hits == before + 1:
                before += 1  # by this process alone
            time.sleep(random.uniform(0.01, 0.03))
            process.kill()
        with (folder / "limit").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises BlockingIOError unless it went with its process
        after = windows.hit("ann").hits
        assert after > before + 1
        before = after


def test_a_stopped_process_that_holds_the_lock_does_not_stop_the_others(folder: Path) -> None:
    windows = Windows(10, 60, folder / "limit")
    with (folder / "limit").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        began = time.perf_counter()
        assert windows.hit("ann").allowed
        assert time.perf_counter() - began < 1


def test_a_hit_costs_microseconds(folder: Path) -> None:
    """Process time, so that a busy machine does not count; with room for a slow one."""
    for limit in (Limit("user", "100000000/hour"), Limit("user", "100000000/hour", folder)):
        limit.hit("ann")
        began = time.process_time()
        for _ in range(20_000):
            limit.hit("ann")
        assert (time.process_time() - began) / 20_000 < 12e-6


def test_folders_that_were_left_behind_go_with_the_next_start() -> None:
    with shared.folder("test-left") as left, shared.folder("test-left") as young:
        # A folder in use is locked, and one that was made a moment ago may not be yet: neither is touched.
        os.utime(left, (0, 0))
        with shared.folder("test-left"):
            assert left.exists()
            assert young.exists()
    abandoned = left.with_name("modelyard-test-left-abandoned")
    abandoned.mkdir()
    os.utime(abandoned, (0, 0))
    with shared.folder("test-left"):
        assert not abandoned.exists()
