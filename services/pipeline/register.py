"""From the run to a version: the engine, the artifact's folder, MLflow's registry, control."""

import logging
from typing import Any

import numpy as np

from bentos import contract
from bentos.serving import artifact, engines, estimators
from services.pipeline import dataset, fit, golden, reference
from services.pipeline.evaluate import METRICS
from services.pipeline.job import Job
from services.pipeline.runs import COMMIT, MODEL_FOLDER, Run
from services.pipeline.train import TRAINING

log = logging.getLogger(__name__)

ENGINE = "evaluation/engine.json"
VERSION = "modelyard.version"


def run(job: Job, *, run_id: str) -> dict[str, Any]:
    """Repeated after a failure, it goes on with the version that the run has become, if it has."""
    opened = job.runs.open(job.model, run_id)
    figures, policy = opened.get_document(METRICS), opened.get_document(TRAINING)["policy"]
    if VERSION in opened.tags:
        result = {"version": opened.tags[VERSION], "engine": opened.tags["engine"], "sha256": opened.tags["sha256"]}
        log.info("the run is version %s already", result["version"])
    else:
        result = _register(job, opened)
    version = {
        **result,
        "run_id": run_id,
        "artifact": f"{opened.root}/{MODEL_FOLDER}",
        "source": opened.tags["source"],
        "data_hash": opened.tags["data_hash"],
        "metrics": figures | {"code_revision": opened.tags.get(COMMIT)},
        "policy": policy,
    }
    job.control.add_version(job.model, version)
    opened.finish()
    log.info("version %s, engine %s", result["version"], result["engine"])
    return result


def _register(job: Job, run: Run) -> dict[str, str]:
    learned = whole = dataset.whole(job, run)
    training, holdout = dataset.divide(job, learned)
    measured = fit.measured(job, run)
    if holdout.time is None:
        estimator, learned = measured, training
    else:
        # What comes next resembles the newest: the version that serves has learned from that too. The figures are those of the one that had not.
        log.info("fitting once more on all %d examples, the hold-out included", len(learned))
        seed = run.get_document(TRAINING)["seed"]
        estimator = fit.fitted(job.model, seed, fit.matrix(job.model, learned), learned.target)
    rows = fit.matrix(job.model, holdout)
    log.info("choosing the engine: comparing at every split, measuring")
    choice = engines.choose(estimator, rows)
    for one in choice.report["candidates"]:
        times = ", ".join(f"{us} (of {size})" for size, us in one["us_per_row"].items())
        log.info("%s: %s, µs a row: %s", one["kind"], "agrees" if one["agrees"] else "differs", times)

    examples = golden.rows(job.model, holdout, choice.engine.scores(rows))
    served = contract.features(job.model).matrix(contract.columns_of_rows(examples, contract.kinds(contract.schema(job.model).Input)))
    described = dataset.population(whole, training, holdout)
    matrix = fit.matrix(job.model, described)
    # Of rows that were not learned from: what is asked later is new too.
    scores = estimators.EstimatorEngine(measured).scores(rows)
    folder = job.folder / MODEL_FOLDER
    sha256 = artifact.write(
        folder,
        model=job.model,
        task=job.entry.task,
        estimator=estimator,
        stored=choice.stored,
        golden=examples,
        golden_scores=np.concatenate([choice.engine.scores(served[i : i + 1]) for i in range(len(served))]),
        reference=reference.profile(described.columns, contract.features(job.model).FEATURES, matrix, scores, ordered=holdout.time is not None),
        run_id=run.id,
        shifts=run.get_document(TRAINING).get("intervals"),
    )
    size = sum(path.stat().st_size for path in folder.iterdir())
    log.info("artifact of %.2f MB, sha256 %s", size / 1e6, sha256)
    run.put(folder, MODEL_FOLDER)
    run.put_document(ENGINE, choice.report | {"artifact_bytes": size})
    tags = {"engine": choice.engine.kind, "sha256": sha256, "data_hash": run.tags["data_hash"], "source": run.tags["source"]}
    version = job.runs.add_version(run, job.model, job.entry.summary, tags)
    run.log(tags={**tags, VERSION: version})
    return {"version": version, "engine": choice.engine.kind, "sha256": sha256}
