"""Scoring of a large file, end to end: from the run's submission to its success, all steps and their starts among it; each row audited, and each part."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet as pq

from bentos import contract
from tests.bench.ours import Platform
from tests.bench.processes import Server

Say = Callable[[str], None]

SEED = 41
MADE = 500_000
"""Rows that are made up; a larger file has them several times."""
MEGABYTE = 1e6
LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 1800.0
LEAST = {"summary": 50_000, "rows": 20_000}
"""Rows a second that are to be reached."""


def run(platform: Platform, rows: int, folder: Path, say: Say, *, forms: tuple[str, ...] = ("parquet", "csv")) -> dict[str, Any]:
    mlflow = platform.start_mlflow()
    found: dict[str, Any] = {"rows": rows}
    files = {form: made(platform.model, rows, folder / f"applications.{form}") for form in forms}
    for audit in LEAST:
        for form, file in files.items():
            one = found[f"{audit}, {form}"] = _scored(platform, file, rows, audit, [*platform.running.values()])
            say(
                f"{rows} rows of {form} ({file.stat().st_size / MEGABYTE:.0f} MB), audit {audit}: {one['seconds']:.1f} s, {one['rows_per_second']:.0f} rows/s,"
                f" {one['cpu_us']:.1f} µs of CPU a row in all processes, a step's largest process {one['peak_mb']:.0f} MB, {one['recorded']} rows recorded"
            )
    mlflow.stop()
    return found


def made(model: str, rows: int, file: Path) -> Path:
    """The model's synthetic source, with a column of the file's own, written a block at a time."""
    frame = contract.data(model).synthetic(min(rows, MADE), SEED, 0.0)
    table = pa.Table.from_pandas(frame.drop(columns=contract.train(model).TARGET), preserve_index=False)
    begun, writer = 0, None
    while begun < rows:
        part = table.slice(0, rows - begun)
        part = part.append_column("application", pa.array(range(begun, begun + part.num_rows)))
        if writer is None:
            writer = pq.ParquetWriter(file, part.schema) if file.suffix == ".parquet" else arrow_csv.CSVWriter(file, part.schema)
        writer.write_table(part)
        begun += part.num_rows
    if writer is not None:
        writer.close()
    return file


def _scored(platform: Platform, file: Path, rows: int, audit: str, servers: list[Server]) -> dict[str, Any]:
    """Raises RuntimeError for a run that fails, or whose rows are not all there."""
    before, stored = sum(server.cpu() for server in servers), platform.stored()
    asked = {"model": platform.model, "input": str(file), "audit": audit, "reason": "bench"}
    run, peak, started = platform.ask("/prediction/score", asked), 0.0, time.perf_counter()
    while run["status"] in ("queued", "running"):
        if time.perf_counter() - started > PATIENCE_SECONDS:
            raise RuntimeError(f"{file.name}, audit {audit}: not scored within {PATIENCE_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
        peak = max(peak, _largest(platform.running["control"]))
        run = platform.ask(f"/workflows/{run['id']}")
    seconds = time.perf_counter() - started
    cpu = sum(server.cpu() for server in servers) - before
    recorded = platform.stored() - stored
    if run["status"] != "succeeded" or run["result"]["rows"] != rows or recorded != (rows if audit == "rows" else 0):
        raise RuntimeError(f"{file.name}, audit {audit}: {run['status']} ({run['error']}), {recorded} rows recorded")
    steps = {step["name"]: step["result"].get("seconds") or _took(step) for step in run["steps"]}
    return {"seconds": seconds, "rows_per_second": rows / seconds, "cpu_us": cpu / rows * 1e6, "peak_mb": peak, "recorded": recorded, "steps": steps}


def _largest(control: Server) -> float:
    """Resident MB of the largest process of the step that runs."""
    found = [0.0]
    for process in control.tree()[1:]:
        try:
            found.append(process.memory_info().rss / MEGABYTE)
        except psutil.NoSuchProcess:
            continue
    return max(found)


def _took(step: dict[str, Any]) -> float:
    return (datetime.fromisoformat(step["finished_at"]) - datetime.fromisoformat(step["started_at"])).total_seconds()


def misses(found: dict[str, Any]) -> list[str]:
    """What is slower than it has to be, in words."""
    speeds = {name: one["rows_per_second"] for name, one in found.items() if isinstance(one, dict)}
    return [f"{name}: {speed:.0f} rows/s" for name, speed in speeds.items() if speed < LEAST[name.partition(",")[0]]]
