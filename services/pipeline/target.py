"""Rules about the target: there, known, both classes present, and not given away by another column."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bentos.contract import Floats, Problem
from services.pipeline import metrics

FEWEST_OF_A_CLASS = 20
TELLTALE_AUC = 0.995
TELLTALE_CORRELATION = 0.999
SHOWN = 20


def problems(frame: pd.DataFrame, target: str, task: str) -> list[Problem]:
    if target not in frame:
        return [Problem(target, "column is missing: it holds what the model learns to predict")]
    unknown = frame.index[frame[target].isna()]
    found = [Problem(target, "must not be empty", [int(line) for line in unknown[:SHOWN]], len(unknown))] if len(unknown) else []
    if task == "classification":
        strange = frame.index[frame[target].notna() & ~frame[target].isin([0, 1])]
        if len(strange):
            found.append(Problem(target, f"must be 0 or 1, found {frame[target][strange].iloc[0]!r}", [int(line) for line in strange[:SHOWN]], len(strange)))
        for label in (0, 1):
            rows = int((frame[target] == label).sum())
            if rows < FEWEST_OF_A_CLASS:
                found.append(Problem(target, f"at least {FEWEST_OF_A_CLASS} rows must be {label}, {rows} are"))
    return found


def leaks(frame: pd.DataFrame, target: str, columns: list[str], task: str) -> list[Problem]:
    """Columns that alone predict the target (nearly) without error: they probably hold the answer, or were written after it."""
    known = frame[frame[target].notna()]
    try:
        truth = known[target].to_numpy(dtype=np.float64)
    except ValueError:
        return []  # not numbers: named by `problems`
    if len(np.unique(truth)) < 2:
        return []
    found = []
    for name in columns:
        values = _numbers(known[name], truth)
        if task == "classification":
            auc = metrics.roc_auc(truth, values)
            power, what, telltale = max(auc, 1 - auc), "ROC AUC", TELLTALE_AUC
        else:
            power, what, telltale = _correlation(truth, values), "correlation", TELLTALE_CORRELATION
        if power >= telltale:
            found.append(Problem(name, f"predicts the target alone ({what} {power:.4f}): it seems to hold the answer; leave it out"))
    return found


def _numbers(series: "pd.Series[Any]", truth: Floats) -> Floats:
    """Numbers as they are, missing ones lowest; text as the mean of the target over the same text in the other half of the rows."""
    if series.dtype.kind in "biuf":
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isnan(values), np.nanmin(values, initial=0) - 1, values)
    codes = pd.factorize(series, use_na_sentinel=False)[0]
    half: NDArray[np.bool_] = np.arange(len(codes)) % 2 == 0
    encoded = np.empty(len(codes))
    for part in (half, ~half):
        total = np.bincount(codes[~part], truth[~part], codes.max() + 1)
        rows = np.bincount(codes[~part], minlength=codes.max() + 1)
        encoded[part] = np.where(rows > 0, total / np.maximum(rows, 1), truth.mean())[codes[part]]
    return encoded


def _correlation(truth: Floats, values: Floats) -> float:
    return 0.0 if values.std() == 0 else float(abs(np.corrcoef(truth, values)[0, 1]))
