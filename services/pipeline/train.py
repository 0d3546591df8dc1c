"""Cross-validation, threshold and the final fit, all on the training part."""

import logging
import time
from typing import Any

import numpy as np

from bentos.serving import estimators
from services.pipeline import dataset, environment, fit, threshold
from services.pipeline.job import Job

log = logging.getLogger(__name__)

OUT_OF_FOLD, TRAINING = "training/out_of_fold.npz", "training/training.json"


def run(job: Job, *, run_id: str, seed: int | None) -> dict[str, Any]:
    seed = job.entry.training.seed if seed is None else seed
    opened = job.runs.open(job.model, run_id)
    training, holdout = dataset.parts(job, opened)
    log.info("%d examples to learn from, %d held out", len(training), len(holdout))
    found = fit.cross_validate(job.model, job.entry.task, training, seed)
    policy = None
    if job.entry.policy is not None:
        policy = threshold.suggest(job.entry.policy, training.truth[found.known], found.prediction[found.known])
        log.info("decision threshold %.4f", policy["threshold"])
    shifts = fit.shifts(job.model, training, found)
    log.info("final fit")
    rows = fit.matrix(job.model, training)
    start = time.perf_counter()
    estimator = fit.fitted(job.model, seed, rows, training.target)
    seconds = time.perf_counter() - start

    folder = job.place("training")
    estimators.store(estimator, folder)
    np.savez(folder / "out_of_fold.npz", prediction=found.prediction, fold=found.fold)
    opened.put(folder, "training")
    opened.put_document(TRAINING, {"policy": policy, "intervals": shifts, "train_seconds": seconds, "seed": seed})
    opened.put(environment.write(folder))
    card = environment.model_card(job.model)
    if card is not None:
        opened.put(card)
        opened.log(tags={"mlflow.note.content": card.read_text(encoding="utf-8")})
    settings = {f"estimator.{name}": str(value)[:500] for name, value in estimator.get_params().items()}
    opened.log(params={"seed": seed, **settings}, metrics={"train_seconds": seconds, "training_rows": len(training), "holdout_rows": len(holdout)})
    log.info("fitted in %.1f s", seconds)
    return {
        "run_id": run_id,
        "training_rows": len(training),
        "holdout_rows": len(holdout),
        "threshold": None if policy is None else policy["threshold"],
        "train_seconds": round(seconds, 3),
    }
