"""Assets, candles and forecasts of the small gateway, in the shapes of the gateway."""

import math
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4


def asset(symbol: str, wsname: str, key: int = 1) -> dict[str, Any]:
    held = [
        {"interval": interval, "candles": 300, "first": _hour() - 300 * interval * 60, "last": _hour(), "gaps": 0, "stale_seconds": 600}
        for interval in (60, 1440)
    ]
    return {
        "id": key,
        "symbol": symbol,
        "wsname": wsname,
        "base": wsname[:3],
        "quote": "USD",
        "added_by": "admin",
        "added_at": _now(),
        "intervals": held,
        "price": "90123.4",
        "price_at": _now(),
        "backfill": {"state": "done", "done": 600, "total": 600, "error": None},
    }


def pairs(search: str) -> dict[str, Any]:
    listed = [{"symbol": f"{name}USD", "wsname": f"{name}/USD", "base": name, "quote": "USD", "status": "online"} for name in ("XBT", "ETH", "SOL")]
    return {"pairs": [one for one in listed if search.upper() in one["symbol"]], "fetched_at": _now(), "stale_seconds": 5}


def _close(stamp: int) -> float:
    return 90_000 + 900 * math.sin(stamp / 40_000) + 250 * math.sin(stamp / 7_000)


def candles(symbol: str, interval: int) -> dict[str, Any]:
    step = interval * 60
    found = []
    for stamp in range(_hour() - 160 * step, _hour(), step):
        opened, closed = _close(stamp), _close(stamp + step)
        found.append(
            {
                "timestamp": stamp,
                "open": f"{opened:.1f}",
                "high": f"{max(opened, closed) + 90:.1f}",
                "low": f"{min(opened, closed) - 80:.1f}",
                "close": f"{closed:.1f}",
                "volume": f"{5 + 3 * math.cos(stamp / 9_000):.4f}",
                "trades": 900,
            }
        )
    return {"asset": symbol, "interval": interval, "candles": found, "stale_seconds": 600, "complete": True}


def _forecast(stamp: int, step: int, actual: str | None) -> dict[str, Any]:
    value = _close(stamp) + 60
    bands = {"lower_80": value - 220, "upper_80": value + 220, "lower_95": value - 420, "upper_95": value + 420}
    return bands | {
        "prediction_id": str(uuid4()),
        "forecast_for": stamp,
        "prediction": value,
        "naive": _close(stamp),
        "actual": actual,
        "model_version": "1",
        "created_at": datetime.fromtimestamp(stamp - step, UTC).isoformat(),
    }


def forecast(interval: int) -> dict[str, Any]:
    return _forecast(_hour(), interval * 60, None) | {"direction": "up", "typical_move": 240.0, "model": "prices", "policy_version": None}


def forecasts(interval: int) -> dict[str, Any]:
    step = interval * 60
    past = [_forecast(stamp, step, f"{_close(stamp + step):.1f}") for stamp in range(_hour() - 40 * step, _hour(), step)]
    return {
        "forecasts": [*past, _forecast(_hour(), step, None)],
        "coverage": {"n": 40, "within_80": 0.825, "within_95": 0.95, "mae": 71.2, "naive_mae": 75.9},
        "next": None,
    }


def _hour() -> int:
    return int(datetime.now(UTC).timestamp()) // 3600 * 3600


def _now() -> str:
    return datetime.now(UTC).isoformat()
