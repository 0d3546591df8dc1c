"""`python -m bentos.crypto_price.walk_forward FILE…`: the table of README.md, from models that never saw the period they are judged on."""

import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from bentos.contract import BadData, Examples, Floats
from bentos.crypto_price import data, features, train
from bentos.crypto_price.schema import LOOKBACK
from bentos.serving import intervals

FOLDS = 5

PERIODS = (
    ("2017-07-01", "2017-07-01", "2018-07-01"),
    ("2018-07-01", "2018-07-01", "2019-07-01"),
    ("2019-07-01", "2019-07-01", "2020-07-01"),
    ("2020-07-01", "2020-07-01", "2021-07-01"),
    ("2021-01-01", "2021-01-01", "2021-07-01"),
    ("2020-07-01", "2021-01-01", "2021-07-01"),
)
"""Trained on candles that ended before the first day, judged on forecasts from the second day until before the third."""


def judged(forecast: Floats, truth: Floats, naive: Floats) -> tuple[float, float, float, int]:
    """RMSE relative to the naive forecast's; share of right directions among candles that moved, half its 95 % interval (binomial), their number."""
    moved = truth != naive
    hits = np.sign(forecast - naive)[moved] == np.sign(truth - naive)[moved]
    ratio = np.sqrt(np.mean((forecast - truth) ** 2) / np.mean((naive - truth) ** 2))
    share = hits.mean()
    return float(ratio), float(share), float(1.96 * np.sqrt(share * (1 - share) / len(hits))), len(hits)


def periods(frame: pd.DataFrame) -> Iterator[tuple[str, Examples, Examples]]:
    """Training and test examples of each period; the last candle of a training example ends before the first forecast."""
    step = frame["interval"] * 60
    for trained, since, until in PERIODS:
        cut, first, end = (int(pd.Timestamp(day, tz="UTC").timestamp()) for day in (trained, since, until))
        before = frame[frame["timestamp"] + step <= cut]
        after = frame[(frame["timestamp"] >= first - LOOKBACK * step) & (frame["timestamp"] < end)]
        if len(before) and len(after):
            known = train.examples(before)
            yield f"{trained} | {since} .. {until}", known.take(known.learn), train.examples(after)


def errors(known: Examples, seed: int) -> Floats:
    """Of the scores of models that learned from what ended before, as the pipeline's folds have them: what the intervals are made of."""
    assert known.time is not None  # noqa: S101 - candles have times
    matrix, true = features.matrix(known.columns), features.score_of(known.truth, known.columns)
    edges = np.quantile(known.time, np.arange(1, FOLDS + 1) / (FOLDS + 1), method="higher").tolist()
    found = []
    for begin, end in pairwise([*edges, np.inf]):
        learned, later = known.time + known.columns["interval"] * 60 <= begin, (known.time >= begin) & (known.time < end)
        model = train.estimator(seed).fit(matrix[learned], known.target[learned])
        found.append(true[later] - model.predict(matrix[later]))
    return np.concatenate(found)


def table(frame: pd.DataFrame, seed: int = 7) -> list[str]:
    columns = ["trained before", "judged on", "candles", "forecasts", "RMSE / naive", "direction, 95 %", "within 80 %", "within 95 %"]
    lines = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    for label, known, unseen in periods(frame):
        model = train.estimator(seed).fit(features.matrix(known.columns), known.target)
        answers = features.answer(model.predict(features.matrix(unseen.columns)), unseen.columns, intervals.shifts(errors(known, seed)))
        within = [(answers[f"lower_{level}"] <= unseen.truth) & (unseen.truth <= answers[f"upper_{level}"]) for level in intervals.LEVELS]
        for group in np.unique(unseen.groups):
            of = unseen.groups == group
            ratio, share, half, count = judged(answers["prediction"][of], unseen.truth[of], unseen.baseline[of])
            shares = " | ".join(f"{inside[of].mean():.3f}" for inside in within)
            lines.append(f"| {label} | {group} | {count} | {ratio:.4f} | {share:.3f} ± {half:.3f} | {shares} |")
    return lines


def main(arguments: Sequence[str]) -> int:
    try:
        print("\n".join(table(data.files([Path(name) for name in arguments]))))
    except BadData as bad:
        print("\n".join(map(str, bad.problems)), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
