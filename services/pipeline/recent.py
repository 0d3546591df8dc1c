"""The data source `recent`: the reference of the version that serves, and what has been answered since and is known. docs/retraining.md has the rule."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from bentos import contract
from bentos.contract import BadData, Problem
from services.pipeline import dataset, split
from services.pipeline.job import Job

log = logging.getLogger(__name__)

AT = dataset.AT
REFERENCE_ROWS = 2000
"""At least so many rows of the reference, where it has them: a few hundred recent ones alone would make a worse model, whatever has drifted."""
FEWEST_OF_A_CLASS = 10
"""In the hold-out; no figure says anything below."""

Frame = pd.DataFrame


def read(job: Job, otherwise: Callable[[], Frame]) -> tuple[Frame, dict[str, Any]]:
    """The data set and how it came about; `otherwise` is the reference where nothing serves. Raises BadData when too little is known to learn from."""
    if contract.schema(job.model).Record is not contract.schema(job.model).Input:
        raise BadData([Problem("--source", f"recent is for models whose answered rows are examples; those of {job.model} are not: its feed has what is new")])
    answered = _answered(job)
    _enough(job, answered)
    reference, origin = _reference(job, otherwise)
    sampled = sample(job, reference, max(len(answered), REFERENCE_ROWS))
    frame = pd.concat([sampled, alike(answered, sampled)], ignore_index=True)
    log.info("%d of %d reference rows (%s) and %d answered rows with an outcome", len(sampled), len(reference), origin, len(answered))
    moments = [datetime.fromtimestamp(float(answered[AT].agg(edge)), UTC).isoformat(timespec="seconds") for edge in ("min", "max")]
    about = {"reference": origin, "reference_rows": len(sampled), "recent_rows": len(answered), "recent_from": moments[0], "recent_to": moments[1]}
    return frame, {"source": "recent", **about}


def _answered(job: Job) -> Frame:
    """Oldest first, with the moment of the prediction."""
    limits, fields, target = job.entry.retraining, contract.kinds(contract.schema(job.model).Input), contract.train(job.model).TARGET
    since = datetime.now(UTC) - timedelta(days=limits.recent_days)
    rows = list(job.control.audit(job.model, known=True, newest=True, since=since.isoformat(), limit=limits.most_rows))[::-1]
    frame = pd.DataFrame({name: [row["input"].get(name) for row in rows] for name in fields})
    return frame.assign(**{target: [float(row["outcome"]) for row in rows], AT: [float(row["at"]) for row in rows]})


def _enough(job: Job, answered: Frame) -> None:
    least, target = job.entry.retraining.min_outcomes, contract.train(job.model).TARGET
    if len(answered) < least:
        raise BadData([Problem("outcomes", f"at least {least} answered rows with an outcome are needed, there are {len(answered)}")])
    if job.entry.task == "classification":
        held_out = answered[target][answered[AT] >= split.newest(answered[AT].to_numpy(dtype=np.float64))]
        counts = {label: int((held_out == label).sum()) for label in (0, 1)}
        if min(counts.values()) < FEWEST_OF_A_CLASS:
            rule = f"each at least {FEWEST_OF_A_CLASS} times among the newest fifth of the outcomes, found {counts[0]} times 0 and {counts[1]} times 1"
            raise BadData([Problem("outcomes", rule)])


def _reference(job: Job, otherwise: Callable[[], Frame]) -> tuple[Frame, str]:
    """The original rows that the champion's data set has; what was recent then is read anew from the audit, if it still is."""
    champion = job.control.champion(job.model)
    if champion is None:
        return otherwise(), "the catalogue's source"
    run = job.runs.look(job.model, job.control.version(job.model, champion)["run_id"])
    frame = dataset.frame(job, run)
    if AT in frame:
        frame = frame[frame[AT].isna()].drop(columns=AT)
    return frame.reset_index(drop=True), f"version {champion}"


def sample(job: Job, reference: Frame, most: int) -> Frame:
    """The same rows whenever it is asked for as many, in their order. Those that every training holds out are not among them."""
    names = [*contract.schema(job.model).Record.model_fields, contract.train(job.model).TARGET]
    place = split.content(contract.columns_of_frame(reference, contract.kinds(contract.schema(job.model).Record)))
    known = np.flatnonzero(place >= split.HOLDOUT)
    chosen = np.sort(known[np.argsort(place[known], kind="stable")[:most]])
    return reference.iloc[chosen][[name for name in names if name in reference]].assign(**{AT: np.nan})


def alike(answered: Frame, reference: Frame) -> Frame:
    """JSON's values in the types of the reference, so that a column has one type."""
    found = {str(name): _typed(answered[name], reference[name].dtype) for name in answered if name in reference}
    return pd.DataFrame(found)[[str(name) for name in reference]]


def _typed(values: "pd.Series[Any]", wanted: Any) -> "pd.Series[Any]":
    if wanted.kind in "biuf":
        numbers = pd.to_numeric(values.astype(object).where(values.notna(), None))
        lossless = bool(numbers.notna().all() and (numbers % 1 == 0).all())
        return numbers.astype(wanted) if wanted.kind == "f" or lossless else numbers.astype("float64")
    return values.astype(wanted)
