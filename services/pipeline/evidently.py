"""Evidently's report of the rows that the step `sample` put side by side. Runs where Evidently is: it cannot be installed beside our own packages."""

import json
import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.pipeline.job import Job
from services.pipeline.runs import Run

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

REPORT = "evidently/report.html"
COUNT = "DriftedColumnsCount"


def run(job: Job, *, run_id: str) -> dict[str, Any]:
    """`artifact` is the page's place below MLflow's proxy of artifacts. What it calls drift is by Evidently's own tests and limits; nothing follows from it."""
    opened = job.runs.open(job.model, run_id)
    reference, current = (_read(job, opened, name) for name in ("reference", "current"))
    shared = [name for name in current if current[name].notna().any() and reference[name].notna().any()]
    path = job.place("evidently") / "report.html"
    found = _report(reference[shared], current[shared], path)
    opened.put(path, "evidently")
    opened.log(metrics={"evidently_drifted": found["drifted"], "evidently_columns": found["columns"]})
    opened.finish()
    log.info("%s; %.1f MB", found["words"], path.stat().st_size / 1e6)
    return {"run_id": run_id, "artifact": f"{opened.root}/{REPORT}", "rows": len(current), **found}


def _read(job: Job, opened: Run, name: str) -> "pd.DataFrame":
    import pandas as pd

    return pd.read_parquet(opened.get(f"sample/{name}.parquet", job.place(name)))


def _report(reference: "pd.DataFrame", current: "pd.DataFrame", path: Path) -> dict[str, Any]:
    os.environ["DO_NOT_TRACK"] = "1"  # else it tells its makers about each call
    warnings.filterwarnings("ignore")  # of libraries, about each other's versions
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numbers = [name for name in current if current[name].dtype.kind in "biuf"]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=[name for name in current if name not in numbers])
    now, then = (Dataset.from_pandas(frame, data_definition=definition) for frame in (current, reference))
    made = Report([DataDriftPreset()]).run(now, then)
    made.save_html(str(path))
    counted = next(one["value"] for one in json.loads(made.json())["metrics"] if one["metric_name"].startswith(COUNT))
    drifted, columns = int(counted["count"]), len(current.columns)
    return {"drifted": drifted, "columns": columns, "words": f"Evidently sees drift in {drifted} of {columns} columns"}
