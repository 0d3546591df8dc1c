"""Live performance: every version that has answered rows whose outcome is known, by day of prediction and by segment."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from services.pipeline import live
from services.pipeline.job import Job
from services.pipeline.live import measure

log = logging.getLogger(__name__)


def run(job: Job) -> dict[str, Any]:
    """Everything is measured anew each time: an outcome that came late changes the day of its prediction."""
    days = job.entry.drift.performance_days
    since = datetime.now(UTC) - timedelta(days=days)
    known = live.read(job)
    champion, answered = job.control.champion(job.model), job.control.answered(job.model, since.isoformat())
    versions = [] if known is None else measure.versions(job, known, answered)
    drifted = next((one["drift"] for one in versions if one["version"] == champion and one["drift"]["verdict"] == "drift"), None)
    words = _words(0 if known is None else len(known), answered, champion, versions)
    document = {
        "champion": champion,
        "days": days,
        "rows": 0 if known is None else len(known),
        "answered": sum(one["answered"] for one in answered),
        "versions": versions,
        "alarm": drifted is not None,
        "words": words,
    }
    log.info("%s", words)
    stored = job.control.add_performance(job.model, document)
    return {"report": stored["id"], "rows": document["rows"], "versions": [one["version"] for one in versions], "alarm": document["alarm"], "words": words}


def _words(rows: int, answered: list[dict[str, Any]], champion: str | None, versions: list[dict[str, Any]]) -> str:
    if not rows:
        return f"no outcome is known of {sum(one['answered'] for one in answered)} answers"
    serving = next((one for one in versions if one["version"] == champion), None)
    return f"{rows} outcomes" if serving is None else f"version {champion}: {serving['drift']['words']}"
