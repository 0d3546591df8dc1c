"""A data set, and the run that carries it through the other steps."""

import logging
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd

from bentos import contract
from bentos.contract import BadData, Problem
from services.pipeline import dataset, recent
from services.pipeline.job import Job
from services.pipeline.runs import COMMIT

log = logging.getLogger(__name__)

PARQUET = ".parquet"
"""A file with the fields of the model's `Record` as its columns, and the target where it is known."""


def run(job: Job, *, source: str | None, data_dir: Path | None, rows: int | None, seed: int | None, drift: float) -> dict[str, Any]:
    """Raises as `read` does."""
    frame, params = read(job, source, data_dir, rows, seed, drift)
    source = params["source"]
    data_hash = dataset.fingerprint(frame)
    tags = {"source": source, "data_hash": data_hash, "mlflow.runName": f"{source} {data_hash[:8]}", **_revision(job.revision)}
    started = job.runs.start(job.model, params, tags)
    path = job.folder / "dataset.parquet"
    frame.to_parquet(path)
    started.put(path, "data")
    log.info("run %s: %d rows, sha256 %s", started.id, len(frame), data_hash)
    return {"run_id": started.id, "rows": len(frame), "data_hash": data_hash, "source": source}


def read(job: Job, source: str | None, data_dir: Path | None, rows: int | None, seed: int | None, drift: float) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The data set, and how it came about. Raises BadData for files that cannot be read as the model's data, and for arguments that name none."""
    defaults = job.entry.training
    provider = contract.data(job.model)
    source = source or ("files" if data_dir else defaults.source)
    if source == "recent":
        return recent.read(job, lambda: read(job, None, None, None, None, 0.0)[0])
    if source == "live":
        paths = _live(job)
        names = ", ".join(path.name for path in paths)
        log.info("collected: %s", names)
        return provider.files(paths), {"source": "live", "files": names}
    if source == "files":
        paths = _files(data_dir)
        names = ", ".join(path.name for path in paths)
        log.info("reading %s", names)
        return _parquet(paths[0]) if paths[0].suffix == PARQUET else provider.files(paths), {"source": "files", "files": names}
    params = {"rows": defaults.rows if rows is None else rows, "data_seed": defaults.seed if seed is None else seed, "drift": drift}
    log.info("making %s rows, seed %s, drift %s", params["rows"], params["data_seed"], drift)
    return provider.synthetic(int(params["rows"]), int(params["data_seed"]), drift), {"source": "synthetic", **params}


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


def _live(job: Job) -> list[Path]:
    """What control has collected, as the archives that the model's `files` reads. Raises BadData when there is nothing."""
    if job.entry.feed is None:
        raise BadData([Problem("--source", f"live is for models with a `feed` in the catalogue; {job.model} has none")])
    folder, names = job.place("live"), job.control.archives()
    if not names:
        raise BadData([Problem("--source live", "there are no candles yet: add an asset, and wait for its back-fill")])
    return [job.control.archive(name, folder) for name in names]


def _parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise BadData([Problem(path.name, f"cannot be read as Parquet: {error}")]) from None
    if not len(frame):
        raise BadData([Problem(path.name, "has no rows")])
    return frame.reset_index(drop=True)


def _revision(told: str | None) -> dict[str, str]:
    if told is not None:
        return {COMMIT: told}
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    return {COMMIT: found.stdout.strip()}
