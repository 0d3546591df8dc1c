"""Which examples a model learns from, and which it is measured on."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bentos.contract import Columns, Examples

HOLDOUT = 0.2
FOLDS = 5

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]


def holdout(examples: Examples) -> tuple[Examples, Examples]:
    """(training part, hold-out of about a fifth).

    Where time matters, the hold-out is the end, and so it is of answered rows. Otherwise the values of an example's columns decide, so that repeated rows
    stay together, and a row that was held out once is held out from every later training.
    """
    if examples.answered is not None:
        return _newest_answered(examples, examples.answered)
    if examples.time is None:
        outside = content(examples.columns) < HOLDOUT
        return examples.take(~outside), examples.take(outside)
    begin = int(np.quantile(examples.time, 1 - HOLDOUT, method="higher"))
    return examples.take(_known_before(examples, begin)), examples.take(examples.time >= begin)


def newest(moments: NDArray[np.float64]) -> float:
    """From when on answered rows are held out."""
    return float(np.quantile(moments, 1 - HOLDOUT, method="higher"))


def _newest_answered(examples: Examples, answered: NDArray[np.float64]) -> tuple[Examples, Examples]:
    """What was held out before stays out of the training part, and so does a row that is asked about again in the hold-out."""
    place, known = content(examples.columns), ~np.isnan(answered)
    outside = known & (np.nan_to_num(answered, nan=-np.inf) >= newest(answered[known]))
    learn = ~outside & (known | (place >= HOLDOUT)) & ~np.isin(place, place[outside])
    return examples.take(learn), examples.take(outside)


def folds(examples: Examples, seed: int) -> Iterator[tuple[Indices, Indices]]:
    """FOLDS pairs (learn from, check on): stratified and shuffled, or, where time matters, each checked on what follows it."""
    if examples.time is not None:
        edges = np.quantile(examples.time, np.arange(1, FOLDS + 1) / (FOLDS + 1), method="higher").tolist()
        for begin, end in zip(edges, [*edges[1:], np.inf], strict=True):
            yield np.flatnonzero(_known_before(examples, begin)), np.flatnonzero((examples.time >= begin) & (examples.time < end))
        return
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if len(np.unique(examples.target)) == 2 else KFold
    yield from kind(FOLDS, shuffle=True, random_state=seed).split(np.empty(len(examples)), examples.target)


def _known_before(examples: Examples, moment: float) -> Mask:
    """The examples whose truth was known at that time: it shows one step of the example's group later, which is purged."""
    assert examples.time is not None  # noqa: S101 - callers look first
    known = np.zeros(len(examples), dtype=bool)
    for group in np.unique(examples.groups.astype(str)):
        members = examples.groups.astype(str) == group
        steps = np.diff(np.unique(examples.time[members]))
        known[members] = examples.time[members] + (steps.min() if len(steps) else 0) <= moment
    return known


def content(columns: Columns) -> NDArray[np.float64]:
    """A number in [0, 1) per example that depends on nothing but its values."""
    flat = {name: values for name, values in columns.items() if values.ndim == 1}
    for name, values in columns.items():
        flat |= {f"{name}.{i}": values[:, i] for i in range(values.shape[1])} if values.ndim == 2 else {}
    typed = pd.DataFrame({name: pd.Series(values, dtype=values.dtype) for name, values in flat.items()})
    hashed = pd.util.hash_pandas_object(typed, index=False).to_numpy()
    found: NDArray[np.float64] = (hashed >> np.uint64(11)) / 2.0**53
    return found
