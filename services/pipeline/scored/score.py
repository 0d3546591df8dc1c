"""The step `score` of an input: the parts that are missing, by as many processes as there are cores, or one partition of them in this process."""

import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from bentos.serving import artifact
from bentos.serving.artifact import Refused
from services.kit.settings import read
from services.pipeline.artifacts import Artifacts
from services.pipeline.control import Control
from services.pipeline.failure import Final
from services.pipeline.gateway import Gateway
from services.pipeline.job import Job
from services.pipeline.runs import Runs
from services.pipeline.scored import plan as planned
from services.pipeline.scored.answering import Here, Recorded
from services.pipeline.scored.checking import Checker
from services.pipeline.scored.part import Parts
from services.pipeline.scored.plan import Plan
from services.pipeline.settings import PipelineSettings

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
BUSY_ATTEMPTS = 40
"""The gateway works on few large batches at a time: parts wait for each other."""

_parts: Parts


def run(job: Job, *, run_id: str, partition: int | None) -> dict[str, Any]:
    """What control knows to be done is left out."""
    started = time.perf_counter()
    plan = planned.read_plan(planned.opened(job, run_id))
    if partition is not None and partition >= plan.partitions:
        raise Final(f"there is no partition {partition}: the input has {plan.partitions}, counted from 0")
    done = {one["part"] for one in job.control.scored(job.model, plan.run_id)}
    missing = [number for number in plan.parts_of(partition) if number not in done]
    if missing and plan.audit == "summary":
        _fetch(job.runs.artifacts, plan, job.place("version"))
    skipped = len(plan.parts_of(partition)) - len(missing)
    if skipped:
        log.info("%d parts are done already", skipped)
    rows = sum(one["rows"] for one in _worked(job, plan, missing, alone=partition is not None))
    seconds = time.perf_counter() - started
    log.info("%d rows in %.1f s: %.0f rows/s", rows, seconds, rows / seconds)
    return {"rows": rows, "parts": len(missing), "parts_done_before": skipped, "seconds": round(seconds, 3)}


def _fetch(artifacts: Artifacts, plan: Plan, folder: Path) -> None:
    """The version's files, with every check of a runner's load. Raises Final."""
    sums = artifacts.get(f"{plan.artifact}/{artifact.SUMS}")
    try:
        (folder / artifact.SUMS).write_bytes(sums)
        for name in artifact.parse_sums(sums, plan.sha256):
            (folder / name).write_bytes(artifacts.get(f"{plan.artifact}/{name}"))
        artifact.check_bytes(folder, plan.sha256)
    except Refused as refused:
        raise Final(f"version {plan.version} is refused: {refused}") from None


def _worked(job: Job, plan: Plan, missing: list[int], *, alone: bool) -> list[dict[str, Any]]:
    processes = min(len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1, len(missing))
    begun = (job.model, plan, job.folder / "version")
    if alone or processes < 2:
        with ExitStack() as stack:
            parts = _opened(stack, *begun) if missing else None
            return [parts.work(number) for number in missing] if parts else []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin, (os.getpid(), *begun)) as pool:
        waiting = [pool.submit(_work, number) for number in missing]
        try:
            return [one.result() for one in as_completed(waiting)]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _begin(parent: int, model: str, plan: Plan, folder: Path) -> None:
    """In each process: it ends with the one that started it, however that ends."""
    global _parts  # what a process of the pool works with, made once
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    logging.basicConfig(level=logging.WARNING, format="score: %(message)s", stream=sys.stderr)
    logging.getLogger("services").setLevel(logging.INFO)
    _parts = _opened(ExitStack(), model, plan, folder)


def _work(number: int) -> dict[str, Any]:
    return _parts.work(number)


def _opened(stack: ExitStack, model: str, plan: Plan, folder: Path) -> Parts:
    settings = read("score", PipelineSettings)
    artifacts = stack.enter_context(closing(Runs(settings.mlflow_url))).artifacts
    control = stack.enter_context(closing(Control(settings.control_url, settings.control_token.get_secret_value(), settings.actor)))
    answering: Here | Recorded
    if plan.audit == "rows":
        key = settings.gateway_key
        gateway = stack.enter_context(closing(Gateway(settings.gateway_url, key.get_secret_value() if key else "", BUSY_ATTEMPTS)))
        answering = Recorded(model, gateway, plan)
    else:
        try:
            answering = Here(model, artifact.read(folder, model, plan.sha256), plan)
        except Refused as refused:
            raise Final(f"version {plan.version} is refused: {refused}") from None
    return Parts(model, plan, Checker(model, plan.texts), answering, artifacts, control)
