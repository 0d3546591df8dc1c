"""Registered versions, as they are served."""

from bentos.serving import artifact
from bentos.serving.artifact import Artifact, Refused
from services.pipeline.failure import Final
from services.pipeline.job import Job


def loaded(job: Job, version: str) -> Artifact:
    """As control knows it. Raises as `verified`."""
    known = job.control.version(job.model, version)
    return verified(job, version, known["run_id"], known["sha256"])


def verified(job: Job, version: str, run_id: str, sha256: str) -> Artifact:
    """Raises Final when the run's files are not those of that hash, or cannot be used with this code."""
    try:
        return artifact.read(job.runs.download(run_id, job.place(f"version-{version}")), job.model, sha256)
    except Refused as refused:
        raise Final(f"version {version} is refused: {refused}") from None
