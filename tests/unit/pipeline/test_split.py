from dataclasses import replace

import numpy as np
import pytest

from bentos.contract import Examples
from services.pipeline import split


def tabular(rows: int, seed: int = 1) -> Examples:
    random = np.random.default_rng(seed)
    columns = {"number": random.normal(size=rows).round(3), "text": random.choice(np.array(["a", "b", None], dtype=object), rows)}
    target = (random.random(rows) < 0.2).astype(np.float64)
    return Examples(columns, target, target, np.full(rows, target.mean()), None, np.ones(rows, dtype=bool), np.full(rows, "all", dtype=object))


def timed(hours: int = 1000, days: int = 42) -> Examples:
    """Two series, hourly and daily, over the same time."""
    time = np.concatenate([np.arange(hours) * 3600, np.arange(days) * 86_400])
    order = np.argsort(time, kind="stable")
    groups = np.array(["hourly"] * hours + ["daily"] * days, dtype=object)[order]
    values = np.arange(len(time), dtype=np.float64)
    return Examples({"x": values}, values, values, values, time[order], np.ones(len(values), dtype=bool), groups)


def rows(examples: Examples) -> set[tuple[object, ...]]:
    return set(zip(examples.columns["number"].tolist(), examples.columns["text"].tolist(), strict=True))


def test_about_a_fifth_is_held_out_and_nothing_lost() -> None:
    training, holdout = split.holdout(tabular(5000))
    assert len(training) + len(holdout) == 5000
    assert 900 < len(holdout) < 1100


def test_repeated_rows_stay_together() -> None:
    examples = tabular(5000)
    doubled = examples.take(np.concatenate([np.arange(5000), np.arange(2500)]))
    training, holdout = split.holdout(doubled)
    assert not rows(training) & rows(holdout)


def test_a_row_that_was_held_out_stays_so_in_any_order_and_company() -> None:
    examples = tabular(3000)
    _, before = split.holdout(examples)
    more = examples.take(np.random.default_rng(2).permutation(3000)[:1500])
    training, holdout = split.holdout(more)
    assert rows(holdout) <= rows(before)
    assert not rows(training) & rows(before)


def test_lists_of_numbers_count_as_content() -> None:
    values = np.random.default_rng(3).normal(size=(1000, 4))
    examples = Examples({"series": values}, values[:, 0], values[:, 0], values[:, 0], None, np.ones(1000, dtype=bool), np.full(1000, "all", dtype=object))
    _, holdout = split.holdout(examples)
    assert 150 < len(holdout) < 250


def test_time_is_cut_at_the_end_and_what_was_not_known_then_is_purged() -> None:
    training, holdout = split.holdout(timed())
    assert training.time is not None
    assert holdout.time is not None
    begin = holdout.time.min()
    assert len(holdout) == pytest.approx(0.2 * 1042, abs=2)
    hourly, daily = (training.time[training.groups == group].max() for group in ("hourly", "daily"))
    assert begin - 2 * 3600 < hourly <= begin - 3600
    assert begin - 2 * 86_400 < daily <= begin - 86_400


def test_folds_in_time_learn_from_the_past_only() -> None:
    examples = timed()
    assert examples.time is not None
    checked = []
    for learn, check in split.folds(examples, 7):
        assert examples.time[learn].max() < examples.time[check].min()
        checked += check.tolist()
    assert len(checked) == len(set(checked)) > 0.8 * len(examples)


def test_folds_otherwise_are_stratified_and_the_same_for_a_seed() -> None:
    examples = tabular(500)
    folds = list(split.folds(examples, 7))
    assert sorted(np.concatenate([check for _, check in folds])) == list(range(500))
    positives = [examples.target[check].sum() for _, check in folds]
    assert max(positives) - min(positives) <= 1
    assert all(np.array_equal(one[1], other[1]) for one, other in zip(folds, split.folds(examples, 7), strict=True))


def test_of_answered_rows_the_newest_are_held_out_and_never_learned_from() -> None:
    random = np.random.default_rng(3)
    whole = tabular(3000)
    answered = np.where(np.arange(3000) < 1000, np.nan, random.permutation(3000).astype(np.float64))
    # Some of the reference are asked about again in the end.
    for values in whole.columns.values():
        values[:50] = values[np.argsort(-np.nan_to_num(answered, nan=-1))[:50]]
    mixed = replace(whole, answered=answered)
    training, holdout = split.holdout(mixed)
    assert training.answered is not None
    assert holdout.answered is not None
    assert len(holdout) == 400
    assert np.nanmax(training.answered) < holdout.answered.min()
    assert not np.isin(split.content(training.columns), split.content(holdout.columns)).any()
    old, _ = split.holdout(whole.take(np.arange(1000)))
    known = split.content(training.columns)[np.isnan(training.answered)]
    assert np.isin(known, split.content(old.columns)).all(), "what every training holds out stays out"
