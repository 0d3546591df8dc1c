"""A data set of the model's own kind, made up: one CSV file in a run of MLflow, with its samples and how it came about."""

import hashlib
import logging
from typing import Any

from bentos import contract
from services.pipeline.job import Job

log = logging.getLogger(__name__)

ARTIFACT = "data/dataset.csv"


def run(job: Job, *, rows: int | None, seed: int | None, drift: float) -> dict[str, Any]:
    """The same arguments give the same bytes. `artifact` is the file's place below MLflow's proxy of artifacts."""
    defaults = job.entry.training
    params = {"rows": defaults.rows if rows is None else rows, "data_seed": defaults.seed if seed is None else seed, "drift": drift}
    frame = contract.data(job.model).synthetic(int(params["rows"]), int(params["data_seed"]), drift)
    path = job.folder / "dataset.csv"
    frame.to_csv(path, index=False, lineterminator="\n")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    tags = {"source": "synthetic", "sha256": sha256, "mlflow.runName": f"generated {sha256[:8]}"}
    started = job.runs.start(job.model, {"source": "synthetic", **params}, tags)
    started.put(path, "data")
    started.finish()
    log.info("run %s: %d rows, %d bytes, sha256 %s", started.id, len(frame), path.stat().st_size, sha256)
    columns = list(map(str, frame.columns))
    return {"run_id": started.id, "rows": len(frame), "sha256": sha256, "artifact": f"{started.root}/{ARTIFACT}", "columns": columns}
