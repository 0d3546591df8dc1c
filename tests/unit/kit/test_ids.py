from datetime import UTC, datetime, timedelta
from uuid import RFC_4122

import pytest

from services.kit import ids


def test_ids_are_version_7_and_rise() -> None:
    made = [ids.uuid7() for _ in range(20_000)]
    assert made == sorted(set(made))
    assert {(value.version, value.variant) for value in made} == {(7, RFC_4122)}


def test_time_is_that_of_creation() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    assert before <= ids.timestamp_of(ids.uuid7()) <= datetime.now(UTC) + timedelta(seconds=1)


def test_ids_go_on_rising_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = ids.uuid7()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 0)
    later = [ids.uuid7() for _ in range(100)]
    assert [first, *later] == sorted({first, *later})


def test_floor_is_below_every_id_of_its_moment() -> None:
    identifier = ids.uuid7()
    moment = ids.timestamp_of(identifier)
    assert ids.floor_of(moment) <= identifier < ids.floor_of(moment + timedelta(milliseconds=1))
