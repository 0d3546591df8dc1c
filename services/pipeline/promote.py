"""The gate, and what follows from its verdict."""

import json
import logging
import re
from pathlib import Path
from typing import Any

from bentos import contract
from bentos.serving import artifact, engines
from bentos.serving.artifact import Artifact, Refused
from bentos.serving.estimators import EstimatorEngine
from services.pipeline import dataset, fit, gate, metrics
from services.pipeline.failure import Failure
from services.pipeline.job import Job
from services.pipeline.register import ENGINE
from services.pipeline.runs import Run

log = logging.getLogger(__name__)


BY_ITSELF = re.compile(r"(drift|schedule|performance|data)\b")
"""How the reasons of trainings begin that nobody asked for."""


def run(job: Job, *, version: str, reason: str, force: bool, rollout: str | None = None) -> dict[str, Any]:
    """A refused version is a result, not a failure. For the version that serves, or is tried, already, the stored verdict is returned.

    `rollout`: `direct`, or `shadow` to be tried beside the champion first; without it, that is for trainings that nobody asked for.
    """
    stored = job.control.version(job.model, version)
    serving = job.control.serving(job.model)
    champion = serving["champion"] and str(serving["champion"]["version"])
    if champion == version:
        log.info("version %s serves already", version)
        return {"promoted": True, "verdict": stored["verdict"]}
    if serving.get("challenger") and serving["challenger"]["version"] == version:
        log.info("version %s is being tried already", version)
        return {"promoted": False, "challenger": True, "verdict": stored["verdict"]}
    opened = job.runs.open(job.model, stored["run_id"])
    verdict = gate.judge(job.entry.gate, _candidate(job, opened, stored, champion))
    for rule in verdict["rules"]:
        log.info("%s %s: %s", "passed" if rule["passed"] else "FAILED", rule["rule"], rule["words"])
    opened.put_document("gate/verdict.json", verdict | {"champion": champion})
    job.runs.tag_version(job.model, version, {"gate": "passed" if verdict["passed"] else "failed"})
    job.control.store_verdict(job.model, version, verdict)
    if verdict["passed"] and champion is not None and tried_first(job, rollout, reason):
        job.control.challenge(job.model, version, reason)
        log.info("version %s is tried in the shadow of version %s", version, champion)
        opened.finish()
        return {"promoted": False, "challenger": True, "verdict": verdict}
    promoted = verdict["passed"] or force
    if promoted:
        job.control.promote(job.model, version, reason, force)
        log.info("version %s serves now%s", version, "" if verdict["passed"] else " (forced)")
    else:
        log.info("version %s is not promoted; %s goes on", version, f"version {champion}" if champion else "nothing")
    opened.finish()
    return {"promoted": promoted, "verdict": verdict}


def tried_first(job: Job, rollout: str | None, reason: str) -> bool:
    if rollout is not None:
        return rollout == "shadow"
    return job.entry.rollout is not None and BY_ITSELF.match(reason) is not None


def _candidate(job: Job, run: Run, stored: dict[str, Any], champion: str | None) -> gate.Candidate:
    problem, loaded = None, None
    try:
        loaded = artifact.read(job.runs.download(run.id, job.place("candidate")), job.model, run.tags["sha256"])
    except Refused as refused:
        problem = str(refused)
    served = None if champion is None else job.control.version(job.model, champion)
    improvement: gate.Improvement | str | None = None
    if served is not None:
        improvement = "the version's own artifact is refused" if loaded is None else _improvement(job, run, loaded, served)
    return gate.Candidate(
        metric=stored["metrics"]["holdout"]["metrics"][job.entry.gate.metric],
        source=stored["source"],
        champion_source=None if served is None else served["source"],
        improvement=improvement,
        engine=run.get_document(ENGINE),
        golden_problem=problem,
    )


def _improvement(job: Job, run: Run, candidate: Artifact, champion: dict[str, Any]) -> gate.Improvement | str:
    _, holdout = dataset.parts(job, run)
    log.info("comparing with version %s on %d hold-out rows", champion["version"], len(holdout))
    rows = fit.matrix(job.model, holdout)
    try:
        folder = job.runs.download(champion["run_id"], job.place("champion"))
        _same_features(job.model, folder)
        if holdout.time is None:
            # Without the checks of its load: a champion of an older scikit-learn may well be compared.
            scores = candidate.engine.scores(rows), engines.load(folder).scores(rows)
        else:
            # Both as they were before they learned from their hold-outs too: neither has seen these rows.
            runs = run, job.runs.look(job.model, champion["run_id"])
            scores = tuple(EstimatorEngine(fit.measured(job, one)).scores(rows) for one in runs)  # type: ignore[assignment]
    except (Failure, ValueError, OSError) as error:
        return str(error)
    new, old = (fit.predictions(job.model, job.entry.task, one, holdout.columns) for one in scores)
    metric = job.entry.gate.metric
    found = metrics.improvement(job.entry.task, metric, holdout.truth, new, old, holdout.baseline, groups=holdout.groups, time=holdout.time)
    return gate.Improvement(champion["version"], found["value"], found["low"], found["high"])


def _same_features(model: str, folder: Path) -> None:
    features = json.loads((folder / artifact.CONTRACT).read_text(encoding="utf-8"))["features"]
    if features != list(contract.features(model).FEATURES):
        raise ValueError("it was trained on other features than this code makes; promote with --force if that is meant")
