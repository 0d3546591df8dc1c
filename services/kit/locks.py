"""Advisory locks of PostgreSQL: one number each, here and nowhere else, so that no two mean the same by accident."""

from enum import IntEnum, unique


@unique
class AdvisoryLock(IntEnum):
    MIGRATIONS = 7239000
    PARTITIONS = 7239001
    """Taken by `ensure_prediction_partitions`, in the database itself."""
    FIRST_ADMIN = 7239002
    MARKET = 7239003
    ROLLOUTS = 7239004
    SCHEDULES = 7239005
    NOTIFICATIONS = 7239006
    ALARMS = 7239007
