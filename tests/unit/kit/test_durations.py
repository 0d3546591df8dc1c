import pytest

from services.kit.durations import Durations


def learned(*calls: tuple[int, float]) -> Durations:
    durations = Durations()
    for size, seconds in calls:
        durations.observe(size, seconds)
    return durations


def test_nothing_is_known_at_first() -> None:
    assert (Durations().of(100), Durations().mean) == (0.0, 0.0)


def test_a_line_is_found() -> None:
    durations = learned(*((size, 0.01 + 0.002 * size) for size in (1, 5, 2, 9) * 5))
    assert durations.of(1) == pytest.approx(0.012)
    assert durations.of(100) == pytest.approx(0.21)
    assert durations.size_within(0.21) == pytest.approx(100)
    assert durations.size_within(0.005) == 0


def test_calls_of_one_row_say_nothing_about_more_rows() -> None:
    assert learned(*[(1, 0.01)] * 50).of(64) == pytest.approx(0.01)


def test_no_call_gets_shorter_by_growing_or_takes_less_than_nothing() -> None:
    shrinking, steep = learned((1, 0.1), (10, 0.01)), learned((10, 0.0), (11, 1.0))
    assert shrinking.of(100) == shrinking.of(1) > 0
    assert steep.of(0) == pytest.approx(0)


def test_what_was_long_ago_is_forgotten() -> None:
    assert learned(*[(1, 1.0), (9, 2.0)] * 10, *[(1, 0.001), (9, 0.002)] * 300).of(1) == pytest.approx(0.001, rel=0.1)
