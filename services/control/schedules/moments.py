"""When a schedule is due, in UTC. cronsim reads the five fields as Debian's cron does, and so does Argo."""

from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError

NAMED = {"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@hourly": "0 * * * *"}


def last_due(schedule: str, now: datetime, within: timedelta) -> datetime | None:
    """The latest moment it was due, none longer ago than `within`. Raises ValueError."""
    begin, found = now - within, None
    moments = _from(schedule, begin)
    while (due := next(moments)) <= now:
        found = due
    return found


def next_due(schedule: str, now: datetime) -> datetime:
    """Raises ValueError."""
    return next(_from(schedule, now))


def _from(schedule: str, begin: datetime) -> CronSim:
    try:
        return CronSim(NAMED.get(schedule, schedule), begin)
    except CronSimError as error:
        raise ValueError(f"the schedule {schedule!r} is none: {error}") from None
