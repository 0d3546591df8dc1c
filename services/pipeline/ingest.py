"""A data set, and the run that carries it through the other steps."""

import logging
import subprocess
from pathlib import Path
from typing import Any

from bentos import contract
from bentos.contract import BadData, Problem
from services.pipeline import dataset
from services.pipeline.job import Job

log = logging.getLogger(__name__)


def run(job: Job, *, source: str | None, data_dir: Path | None, rows: int | None, seed: int | None, drift: float) -> dict[str, Any]:
    """Raises BadData for files that cannot be read as the model's data, and for arguments that name none."""
    defaults = job.entry.training
    source = source or ("files" if data_dir else defaults.source)
    provider = contract.data(job.model)
    params: dict[str, Any]
    if source == "files":
        paths = _files(data_dir)
        log.info("reading %s", ", ".join(path.name for path in paths))
        frame = provider.files(paths)
        params = {"source": source, "files": ", ".join(path.name for path in paths)}
    else:
        params = {
            "source": source,
            "rows": defaults.rows if rows is None else rows,
            "data_seed": defaults.seed if seed is None else seed,
            "drift": drift,
        }
        log.info("making %s rows, seed %s, drift %s", params["rows"], params["data_seed"], drift)
        frame = provider.synthetic(params["rows"], params["data_seed"], drift)
    data_hash = dataset.fingerprint(frame)
    tags = {"source": source, "data_hash": data_hash, "mlflow.runName": f"{source} {data_hash[:8]}", **_revision()}
    started = job.runs.start(job.model, params, tags)
    path = job.folder / "dataset.parquet"
    frame.to_parquet(path)
    started.put(path, "data")
    log.info("run %s: %d rows, sha256 %s", started.id, len(frame), data_hash)
    return {"run_id": started.id, "rows": len(frame), "data_hash": data_hash, "source": source}


def _files(place: Path | None) -> list[Path]:
    if place is None:
        raise BadData([Problem("--data-dir", "is needed with --source files: the folder with the published files")])
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise BadData([Problem("--data-dir", f"there is no folder {place}")])
    found = sorted(path for path in place.iterdir() if path.name.endswith((".csv", ".csv.gz")))
    if not found:
        raise BadData([Problem("--data-dir", f"{place} has no .csv or .csv.gz file")])
    return found


def _revision() -> dict[str, str]:
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"mlflow.source.git.commit": found.stdout.strip()}
