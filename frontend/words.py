"""Numbers and times as people read them, in the time zone of their browser."""

import math
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

METRICS = {
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "cost_per_row": "Cost per case",
    "r2": "R²",
    "mae": "Mean absolute error",
    "mse": "Mean squared error",
    "rmse": "Root mean squared error",
    "rmse_ratio": "RMSE against naive",
    "mase": "MAE against naive",
    "direction": "Direction right",
}
LOWER_IS_BETTER = {"brier", "log_loss", "cost_per_row", "mae", "mse", "rmse", "rmse_ratio", "mase"}


def metric(name: str) -> str:
    return METRICS.get(name, name.replace("_", " ").capitalize())


def number(value: float | None, digits: int = 4) -> str:
    """`digits` that matter; thin spaces between thousands."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    places = max(0, min(8, digits - 1 - math.floor(math.log10(abs(value)))))
    text = f"{value:,.{places}f}".replace(",", "\u202f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.1f} %"


def zone() -> ZoneInfo:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def time_of(value: Any) -> datetime | None:
    """From ISO 8601 or UNIX seconds."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def moment(value: Any) -> str:
    found = time_of(value)
    return found.astimezone(zone()).strftime("%-d %b %Y, %H:%M") if found else "–"


def wall(value: Any) -> datetime | None:
    """What a clock on the wall shows: charts know no zones."""
    found = time_of(value)
    return found.astimezone(zone()).replace(tzinfo=None) if found else None


def ago(value: Any) -> str:
    found = time_of(value)
    return f"{span((datetime.now(UTC) - found).total_seconds())} ago" if found else "–"


def span(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    seconds = max(0.0, seconds)
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{seconds:.0f} s"


def tall(rows: int, most: int = 12) -> Any:
    """The height of a table: its own, up to `most` rows; beyond, it scrolls."""
    return "content" if rows <= most else 36 + most * 35


def plain(value: Any) -> str:
    """A value of a row, as it is shown in a table of mixed things."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value, 8)
    if isinstance(value, list):
        return f"{len(value)} values, the last one {plain(value[-1])}" if value else "empty list"
    return str(value)
