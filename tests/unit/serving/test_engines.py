"""Engines agree with scikit-learn to the bit, and the comparison catches the ones that do not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import ensemble
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from bentos.contract import Floats
from bentos.serving import engines, parity
from bentos.serving.gtil import GtilEngine, candidate
from bentos.serving.linear import LinearEngine

RANDOM = np.random.default_rng(3)
COMPLETE = RANDOM.normal(size=(1500, 8))
MISSING = np.where(RANDOM.random(COMPLETE.shape) < 0.05, np.nan, COMPLETE)
CLASSES = (COMPLETE[:, 0] + COMPLETE[:, 1] ** 2 + RANDOM.normal(size=1500) > 1).astype(float)
NUMBERS = COMPLETE[:, 0] * 3 + RANDOM.normal(size=1500)

SMALL = {"n_estimators": 12, "max_depth": 6, "random_state": 0}
TREES = [
    (ensemble.RandomForestClassifier(**SMALL), MISSING, CLASSES),
    (ensemble.RandomForestRegressor(**SMALL), MISSING, NUMBERS),
    (ensemble.ExtraTreesClassifier(**SMALL), MISSING, CLASSES),
    (ensemble.ExtraTreesRegressor(**SMALL), COMPLETE, NUMBERS),
    (ensemble.HistGradientBoostingClassifier(max_iter=10), MISSING, CLASSES),
    (ensemble.HistGradientBoostingRegressor(max_iter=10), MISSING, NUMBERS),
    (ensemble.GradientBoostingClassifier(**SMALL), COMPLETE, CLASSES),
    (ensemble.GradientBoostingRegressor(**SMALL), COMPLETE, NUMBERS),
]
LINEAR = [
    (make_pipeline(StandardScaler(), LogisticRegression()), CLASSES),
    (make_pipeline(StandardScaler(with_mean=False), Ridge()), NUMBERS),
    (LinearRegression(), NUMBERS),
]
OTHERS = [
    (make_pipeline(MinMaxScaler(), LogisticRegression()), CLASSES),
    (LogisticRegression(), np.digitize(NUMBERS, [-1, 1])),
    (DecisionTreeClassifier(max_depth=3), CLASSES),
]


@pytest.mark.parametrize(("estimator", "matrix", "target"), TREES, ids=lambda part: type(part).__name__)
def test_tree_ensembles_are_reproduced_to_the_bit(estimator: Any, matrix: Floats, target: Floats, tmp_path: Path) -> None:
    choice = engines.choose(estimator.fit(matrix, target), matrix)
    assert choice.engine.kind == "gtil"
    report = choice.report
    assert report["rows"] >= 100_000
    assert report["splits_tried"] == report["splits"] > 100
    assert report["threshold_rows"] > 2 * report["splits"]
    assert report["candidates"][0]["different_rows"] == 0
    engines.save(choice.engine, tmp_path)
    assert np.array_equal(engines.load(tmp_path).scores(matrix), choice.engine.scores(matrix))


@pytest.mark.parametrize(("estimator", "target"), LINEAR, ids=lambda part: type(part).__name__)
def test_linear_models_become_a_dot_product(estimator: Any, target: Floats, tmp_path: Path) -> None:
    choice = engines.choose(estimator.fit(COMPLETE, target), COMPLETE)
    assert choice.engine.kind == "linear"
    assert choice.report["candidates"][0]["largest_difference"] <= 1e-12
    assert choice.report["candidates"][0]["flipped_decisions"] == 0
    engines.save(choice.engine, tmp_path)
    assert np.array_equal(engines.load(tmp_path).scores(COMPLETE), choice.engine.scores(COMPLETE))


@pytest.mark.parametrize(("estimator", "target"), OTHERS, ids=lambda part: type(part).__name__)
def test_anything_else_serves_itself(estimator: Any, target: Floats) -> None:
    fitted = estimator.fit(COMPLETE, target)
    assert [engine.kind for engine in engines.candidates(fitted)] == ["estimator"]


def forest() -> Any:
    return ensemble.RandomForestClassifier(**SMALL).fit(COMPLETE, CLASSES)


def test_forests_have_a_second_choice_that_is_exact_too() -> None:
    fitted = forest()
    found = engines.candidates(fitted)
    assert [engine.kind for engine in found] == ["gtil", "trees", "estimator"]
    _, report = parity.compare(fitted, COMPLETE, found)
    assert [candidate["different_rows"] for candidate in report["candidates"]] == [0, 0, 0]


def test_an_engine_that_does_not_round_to_float32_is_caught_at_the_thresholds_only(tmp_path: Path) -> None:
    fitted = forest()
    right = candidate(fitted)
    assert right is not None
    right.save(tmp_path)
    wrong = GtilEngine(tmp_path / "engine.tl", **(right.settings | {"float32": False}))
    assert np.array_equal(wrong.scores(COMPLETE), fitted.predict_proba(COMPLETE)[:, 1])
    chosen, report = parity.compare(fitted, COMPLETE, [wrong, *engines.candidates(fitted)[1:]])
    assert chosen.kind == "trees"
    assert report["candidates"][0]["different_rows"] > 0


def test_every_split_is_reached_by_the_rows_made_for_it() -> None:
    """Of the three rows of a split, the two outside ones take different ways: no split's pair has the same leaf in its tree."""
    fitted = forest()
    rows, float32, covered, total = parity.threshold_rows(fitted, COMPLETE)
    assert float32
    assert covered == total == len(rows) / 3
    start = 0
    for tree in fitted.estimators_:
        splits = int(np.count_nonzero(tree.tree_.children_left >= 0))
        own = rows[3 * start : 3 * (start + splits)].astype(np.float32)
        leaves = tree.tree_.apply(own).reshape(-1, 3)
        assert (leaves[:, 0] != leaves[:, 1]).all()
        start += splits


def test_a_linear_engine_that_is_off_by_a_millionth_is_refused() -> None:
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(COMPLETE, CLASSES)
    right = engines.candidates(fitted)[0]
    assert isinstance(right, LinearEngine)
    wrong = LinearEngine(right.mean, right.scale, right.coefficients * (1 + 1e-6), right.intercept, right.logistic)
    chosen, _ = parity.compare(fitted, COMPLETE, [wrong, *engines.candidates(fitted)[1:]])
    assert chosen.kind == "estimator"


def test_extreme_scores_stay_numbers() -> None:
    engine = LinearEngine(np.zeros(1), np.ones(1), np.array([1.0]), 0.0, logistic=True)
    assert engine.scores(np.array([[-1e6], [0.0], [1e6]])).tolist() == [0.0, 0.5, 1.0]


def test_gtil_refuses_a_matrix_of_another_width() -> None:
    engine = candidate(forest())
    assert engine is not None
    with pytest.raises(ValueError, match=r"shape \(2, 7\), the engine wants 8 columns"):
        engine.scores(np.zeros((2, 7)))


def test_a_damaged_or_unknown_engine_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text('{"kind": "onnx"}')
    with pytest.raises(ValueError, match="unknown kind 'onnx', known are gtil"):
        engines.load(tmp_path)
    (tmp_path / "engine.tl").write_bytes(b"not a model")
    with pytest.raises(ValueError, match="treelite: "):
        GtilEngine(tmp_path / "engine.tl", float32=True, width=2)
