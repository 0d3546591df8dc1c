import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from services.kit import ids


def test_ids_are_version_7_and_rise() -> None:
    made = [*(ids.uuid7() for _ in range(20_000)), *(UUID(bytes=one) for one in ids.uuid7_block(20_000)), UUID(bytes=ids.uuid7_bytes())]
    assert made == sorted(set(made))
    assert {(value.version, value.variant) for value in made} == {(7, RFC_4122)}
    assert {str(value)[-8:] for value in made} == {ids.node()}


def test_time_is_that_of_creation() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    assert before <= ids.timestamp_of(ids.uuid7()) <= datetime.now(UTC) + timedelta(seconds=1)


def test_ids_go_on_rising_when_the_clock_is_set_back() -> None:
    now = [time.time_ns()]
    clock = ids.Clock(lambda: now[0])

    def make() -> list[bytes]:
        return [clock.encode(value) for value in (*clock.take(), *clock.take(50), *clock.take())]

    made = make()
    for hours_back in (1, 24, 10_000):
        now[0] -= hours_back * 3_600_000_000_000
        made += make()
    now[0] = time.time_ns() + 3_600_000_000_000
    made += make()
    assert made == sorted(set(made))


def test_a_full_counter_runs_on_into_the_next_millisecond() -> None:
    moment = 1_800_000_000_000
    clock = ids.Clock(lambda: moment * 1_000_000)
    made = [clock.encode(value) for value in clock.take(2**42)[-2:]] + [clock.encode(clock.take().start)]
    assert made == sorted(set(made))
    assert ids.timestamp_of(UUID(bytes=made[-1])) == datetime.fromtimestamp(moment // 1000 + 0.001, UTC)


FORKED = """
import os
from services.kit import ids

ids.node()
if child := os.fork():
    os.waitpid(child, 0)
print(ids.node())
"""


def test_a_forked_process_is_a_node_of_its_own() -> None:
    """In an interpreter of its own: this one has threads, and what one of those holds at a fork is held for ever in the child."""
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60, check=True)
    child, parent = done.stdout.split()
    assert child != parent


def test_floor_is_below_every_id_of_its_moment() -> None:
    identifier = ids.uuid7()
    moment = ids.timestamp_of(identifier)
    assert ids.floor_of(moment) <= identifier < ids.floor_of(moment + timedelta(milliseconds=1))
