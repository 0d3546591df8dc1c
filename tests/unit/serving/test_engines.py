"""Engines agree with scikit-learn to the bit, and the comparison catches the ones that do not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from sklearn import ensemble
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from bentos.contract import Floats
from bentos.serving import engines, parity
from bentos.serving.estimators import EstimatorEngine
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


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(("estimator", "matrix", "target"), TREES, ids=lambda part: type(part).__name__)
def test_tree_ensembles_are_reproduced_to_the_bit(estimator: Any, matrix: Floats, target: Floats, tmp_path: Path) -> None:
    choice = engines.choose(estimator.fit(matrix, target), matrix)
    assert choice.engine.kind.partition("+")[0] == "native", "large batches may have another one: that is measured"
    report = choice.report
    assert report["rows"] >= 100_000
    assert report["splits_tried"] == report["splits"] > 100
    assert report["threshold_rows"] > 2 * report["splits"]
    assert [(one["kind"], one["different_rows"]) for one in report["candidates"][:3]] == [("native", 0), ("gtil", 0), ("numpy", 0)]
    assert choice.stored.forms[0].kind == "native"
    engines.save(choice.stored, tmp_path)
    assert np.array_equal(engines.load(tmp_path).scores(matrix), EstimatorEngine(estimator).scores(matrix))


@pytest.mark.parametrize(("estimator", "target"), LINEAR, ids=lambda part: type(part).__name__)
def test_linear_models_become_a_dot_product(estimator: Any, target: Floats, tmp_path: Path) -> None:
    choice = engines.choose(estimator.fit(COMPLETE, target), COMPLETE)
    assert choice.engine.kind == "linear"
    assert choice.report["candidates"][0]["largest_difference"] <= 1e-12
    assert choice.report["candidates"][0]["flipped_decisions"] == 0
    engines.save(choice.stored, tmp_path)
    assert np.array_equal(engines.load(tmp_path).scores(COMPLETE), choice.engine.scores(COMPLETE))


@pytest.mark.parametrize(("estimator", "target"), OTHERS, ids=lambda part: type(part).__name__)
def test_anything_else_serves_itself(estimator: Any, target: Floats) -> None:
    fitted = estimator.fit(COMPLETE, target)
    assert [engine.kind for engine in engines.candidates(fitted)] == ["estimator"]


def forest() -> Any:
    return ensemble.RandomForestClassifier(**SMALL).fit(COMPLETE, CLASSES)


@pytest.mark.usefixtures("native")
def test_forests_have_other_choices_that_are_exact_too() -> None:
    fitted = forest()
    found = engines.candidates(fitted)
    assert [engine.kind for engine in found] == ["native", "gtil", "numpy", "trees", "estimator"]
    agreeing, report = parity.compare(fitted, COMPLETE, found)
    assert agreeing == found
    assert [candidate["different_rows"] for candidate in report["candidates"]] == [0] * 5
    for one in report["candidates"]:
        assert list(one["us_per_row"]) == ["1", "8", "64", "1024"]
        assert all(us > 0 for us in one["us_per_row"].values())
        assert one["one_row_us"] == one["us_per_row"]["1"]


def test_an_engine_that_does_not_round_to_float32_is_caught_at_the_thresholds_only(tmp_path: Path) -> None:
    fitted = forest()
    right = candidate(fitted)
    assert right is not None
    right.save(tmp_path)
    wrong = GtilEngine(tmp_path / "engine.tl", **(right.settings | {"float32": False}))
    assert np.array_equal(wrong.scores(COMPLETE), fitted.predict_proba(COMPLETE)[:, 1])
    reference = EstimatorEngine(fitted)
    agreeing, report = parity.compare(fitted, COMPLETE, [wrong, reference])
    assert agreeing == [reference]
    assert report["candidates"][0]["different_rows"] > 0


class ByNumber:
    """Right for many rows, wrong for few: as an engine with a way of its own for single rows could be."""

    kind = "gtil"

    def __init__(self, right: engines.Form, few: int) -> None:
        self._right, self._few = right, few

    def scores(self, matrix: Floats) -> Floats:
        return self._right.scores(matrix) + (1e-9 if len(matrix) <= self._few else 0)

    def save(self, folder: Path) -> dict[str, Any]:
        return self._right.save(folder)

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> Self:
        return cls(GtilEngine.load(folder, settings), 0)


@pytest.mark.parametrize("few", [1, 8, 64])
def test_an_engine_that_is_wrong_for_few_rows_is_caught(few: int) -> None:
    fitted = forest()
    right = candidate(fitted)
    assert right is not None
    reference = EstimatorEngine(fitted)
    agreeing, _ = parity.compare(fitted, COMPLETE, [ByNumber(right, few), reference])
    assert agreeing == [reference]


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
    agreeing, _ = parity.compare(fitted, COMPLETE, [wrong, *engines.candidates(fitted)[1:]])
    assert [engine.kind for engine in agreeing] == ["estimator"]


def test_extreme_scores_stay_numbers() -> None:
    engine = LinearEngine(np.zeros(1), np.ones(1), np.array([1.0]), 0.0, logistic=True)
    assert engine.scores(np.array([[-1e6], [0.0], [1e6]])).tolist() == [0.0, 0.5, 1.0]


def test_gtil_refuses_a_matrix_of_another_width() -> None:
    engine = candidate(forest())
    assert engine is not None
    with pytest.raises(ValueError, match=r"shape \(2, 7\), the engine wants 8 columns"):
        engine.scores(np.zeros((2, 7)))


def test_a_damaged_or_unknown_engine_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text('{"forms": [{"kind": "onnx"}], "us_per_row": {}}')
    with pytest.raises(ValueError, match="unknown kind 'onnx', known are native"):
        engines.load(tmp_path)
    (tmp_path / "engine.tl").write_bytes(b"not a model")
    with pytest.raises(ValueError, match="treelite: "):
        GtilEngine(tmp_path / "engine.tl", float32=True, width=2)


class Named:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.calls: list[int] = []

    def scores(self, matrix: Floats) -> Floats:
        self.calls.append(len(matrix))
        return np.zeros(len(matrix))


def test_the_table_says_which_engine_scores_how_many_rows() -> None:
    few, many = Named("few"), Named("many")
    by_kind = {"few": few, "many": many}
    table = {"few": {"1": 1.0, "8": 1.0, "64": 2.0, "1024": 2.0}, "many": {"1": 9.0, "8": 5.0, "64": 1.0, "1024": 0.5}}
    chosen = engines.assembled([by_kind[kind] for kind in engines.fastest(["many", "few"], table)])
    for rows in (0, 1, 7, 8, 63, 64, 1023, 1024, 5000):
        chosen.scores(np.zeros((rows, 2)))
    assert (few.calls, many.calls) == ([0, 1, 7, 8, 63], [64, 1023, 1024, 5000])
    assert chosen.kind == "few+many"
    assert engines.forms(chosen) == [few, many]
    assert engines.assembled([few] * 4) is few
    assert engines.fastest(["few"], table) == ["few"] * 4
    assert engines.fastest(["many", "few"], {}) == ["many"] * 4
