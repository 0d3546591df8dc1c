"""The verb `drift`. Imports its parts when it is carried out: those who count or test need not wait for the rest."""

from typing import Any

from services.pipeline.job import Job


def run(job: Job, *, version: str | None, rows: int | None, hours: int | None) -> dict[str, Any]:
    from services.pipeline.drift.check import perform

    return perform(job, version, rows, hours)
