"""The next candle of every asset, forecast by what serves and recorded like anybody's. Its outcome is the candle, when it has come."""

import logging
from typing import Any

from services.pipeline.failure import Failure
from services.pipeline.job import Job

log = logging.getLogger(__name__)


def run(job: Job, *, interval: int, key: str | None) -> dict[str, Any]:
    """One asset's failure stops no other's. Raises Failure when the gateway could answer for none of them, though it has assets: trying again may help."""
    made: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for symbol in job.gateway.assets():
        try:
            answer = job.gateway.forecast(symbol, interval, f"{key}.{symbol}.{interval}" if key else None)
        except Failure as failure:
            skipped[symbol] = str(failure)
            log.warning("%s is left out: %s", symbol, failure)
        else:
            made[symbol] = str(answer["prediction_id"])
            log.info("%s: %s, prediction %s", symbol, answer["prediction"], answer["prediction_id"])
    if skipped and not made:
        raise Failure(f"no asset could be forecast: {next(iter(skipped.values()))}")
    return {"forecasts": len(made), "predictions": made, "skipped": skipped, "interval": interval}
