"""When schedules are due, and that each moment has one run."""

from datetime import UTC, datetime, timedelta

import pytest

from bentos import catalogue
from services.control.schedules.moments import last_due, next_due
from services.control.schedules.service import MADE_UP_FOR, id_of
from services.kit.ids import timestamp_of


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "now", "due"),
    [
        ("5 * * * *", "2026-11-22T14:07:00", "2026-11-22T14:05:00"),
        ("5 * * * *", "2026-11-22T14:05:00", "2026-11-22T14:05:00"),
        ("5 * * * *", "2026-11-22T14:04:59", None),
        ("5 * * * *", "2026-11-22T14:16:00", None),
        ("*/3 * * * *", "2026-11-22T14:10:30", "2026-11-22T14:09:00"),
        ("30 3 * * 0", "2026-11-22T03:31:00", "2026-11-22T03:30:00"),
        ("@hourly", "2026-11-22T15:00:01", "2026-11-22T15:00:00"),
    ],
)
def test_a_moment_is_due_until_it_is_too_long_ago(schedule: str, now: str, due: str | None) -> None:
    assert last_due(schedule, at(now), MADE_UP_FOR) == (None if due is None else at(due))


def test_the_next_moment_is_later() -> None:
    assert next_due("5 * * * *", at("2026-11-22T14:05:00")) == at("2026-11-22T15:05:00")
    with pytest.raises(ValueError, match="is none"):
        next_due("61 * * * *", at("2026-11-22T14:05:00"))


def test_every_schedule_of_the_catalogue_is_one() -> None:
    for entry in catalogue.load().models.values():
        for when in entry.schedules.values():
            assert next_due(when, datetime.now(UTC)) < datetime.now(UTC) + timedelta(days=400)


def test_a_moment_has_one_id() -> None:
    moment = at("2026-11-22T14:05:00")
    ids = {id_of(model, kind, moment + timedelta(hours=hour)) for model in "ab" for kind in ("train", "drift") for hour in range(3)}
    assert len(ids) == 12
    assert id_of("a", "train", moment) == id_of("a", "train", moment)
    assert timestamp_of(id_of("a", "train", moment)) == moment
    assert {one.version for one in ids} == {7}
