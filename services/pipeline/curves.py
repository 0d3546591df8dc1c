"""Areas under the ROC and precision-recall curves when row i counts weights[:, i] times; one result per row of `weights`."""

import numpy as np

from bentos.contract import Floats


def _by_score(truth: Floats, scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """(positives, negatives) at each distinct score, rising: (resamples, distinct scores) each."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    sorted_weights = weights[:, order]
    positive = np.add.reduceat(sorted_weights * truth[order], starts, axis=1)
    return positive, np.add.reduceat(sorted_weights, starts, axis=1) - positive


def roc_auc(truth: Floats, scores: Floats, weights: Floats) -> Floats:
    """Probability that a positive row scores above a negative one, ties counted half. NaN where a class is absent."""
    positive, negative = _by_score(truth, scores, weights)
    below = np.cumsum(negative, axis=1) - negative / 2
    area: Floats = (positive * below).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1))
    return area


def average_precision(truth: Floats, scores: Floats, weights: Floats) -> Floats:
    """Precision at each distinct score as a threshold, weighted by the recall gained there. NaN without positives."""
    positive, negative = (part[:, ::-1] for part in _by_score(truth, scores, weights))
    hits = np.cumsum(positive, axis=1)
    flagged = hits + np.cumsum(negative, axis=1)
    precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
    area: Floats = (positive * precision).sum(axis=1) / positive.sum(axis=1)
    return area
