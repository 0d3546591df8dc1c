"""One check: the newest rows that a version has answered, beside what it learned from, and its live performance beside its hold-out."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from bentos.serving import artifact
from services.pipeline import live, versions
from services.pipeline.drift import verdicts, window
from services.pipeline.failure import Final
from services.pipeline.job import Job

log = logging.getLogger(__name__)


def perform(job: Job, version: str | None, rows: int | None, hours: int | None) -> dict[str, Any]:
    policy = job.entry.drift
    chosen, since, until, found = window.answered(job, version, rows, hours)
    loaded = versions.loaded(job, chosen)
    reference = json.loads((loaded.folder / artifact.REFERENCE).read_text(encoding="utf-8"))
    if not reference:
        raise Final(f"version {chosen} keeps no reference to compare with")
    if found:
        asked = window.asked(job.model, found)
        checked = verdicts.check(reference, asked.checked, window.scores(loaded, asked.columns, len(found)), policy)
    else:
        checked = {"features": [], "score": None, "tests": 0, "alarm": False, "words": f"too few rows: 0 in the window, {policy.min_rows} is the least"}
    performance = live.drift_of(job, chosen, live.read(job, version=chosen))
    worse = performance is not None and performance["verdict"] == "drift"
    words = f"{checked['words']}; {performance['words']}" if performance and worse else checked["words"]
    document = {
        "version": chosen,
        "window": {
            "from": _moment(found[0]["at"]) if found else since.isoformat(),
            "to": _moment(found[-1]["at"]) if found else until.isoformat(),
            "rows": len(found),
        },
        "policy": policy.model_dump(),
        **checked,
        "performance": performance,
        "alarm": checked["alarm"] or worse,
        "words": words,
    }
    log.info("%s", words)
    stored = job.control.add_drift(job.model, document)
    drifted = [one["feature"] for one in checked["features"] if one["verdict"] == "drift"]
    return {"report": stored["id"], "version": chosen, "rows": len(found), "alarm": document["alarm"], "drifted": drifted, "words": words}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
