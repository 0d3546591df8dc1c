"""Contributions are the Shapley values of the game that TreeSHAP plays, in C and in numpy, and add up to what the model says."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import ensemble
from sklearn.linear_model import LogisticRegression

from bentos import catalogue, contract
from bentos.contract import Floats
from bentos.serving import artifact, explainers, explanations, shapley
from bentos.serving.shapley import TreeExplainer
from tests.versions import build

RANDOM = np.random.default_rng(5)
COMPLETE = RANDOM.normal(size=(600, 5))
MISSING = np.where(RANDOM.random(COMPLETE.shape) < 0.2, np.nan, COMPLETE)
CLASSES = (COMPLETE[:, 0] + COMPLETE[:, 1] ** 2 + RANDOM.normal(size=600) > 1).astype(float)
NUMBERS = COMPLETE[:, 0] * 3 + RANDOM.normal(size=600)

ESTIMATORS = [
    (ensemble.RandomForestClassifier(7, max_depth=4, random_state=0), MISSING, CLASSES),
    (ensemble.RandomForestRegressor(3, random_state=0), MISSING, NUMBERS),
    (ensemble.RandomForestRegressor(3, min_samples_leaf=1000, random_state=0), COMPLETE, NUMBERS),  # leaves only
    (ensemble.ExtraTreesClassifier(4, random_state=0), COMPLETE, CLASSES),
    (ensemble.ExtraTreesRegressor(4, max_depth=12, random_state=0), COMPLETE, NUMBERS),
    (ensemble.HistGradientBoostingClassifier(max_iter=12), MISSING, CLASSES),
    (ensemble.HistGradientBoostingRegressor(max_iter=6, max_leaf_nodes=200, min_samples_leaf=2), MISSING, NUMBERS),
    (ensemble.GradientBoostingClassifier(n_estimators=5, max_depth=5, random_state=0), COMPLETE, CLASSES),
    (ensemble.GradientBoostingRegressor(n_estimators=5, init="zero", random_state=0), COMPLETE, NUMBERS),
]
each_estimator = pytest.mark.parametrize(("estimator", "matrix", "target"), ESTIMATORS, ids=lambda part: type(part).__name__)


def by_definition(explainer: TreeExplainer, row: Floats) -> tuple[float, Floats]:
    """The mean and the Shapley values, from all coalitions: a tree goes both ways at a feature that is not among them, as often as its rows did."""
    nodes, values, roots = explainer.trees
    count = explainer.features
    numbers = row.astype(nodes["threshold"].dtype)

    def walk(place: int, known: tuple[int, ...]) -> float:
        node, left = nodes[place], int(nodes[place]["left"])
        if left == place:
            return float(values[place])
        if node["feature"] in known:
            number = numbers[node["feature"]]
            return walk(left + int(node["missing_right"] if np.isnan(number) else number > node["threshold"]), known)
        ways = (walk(side, known) * explainer.covers[side] for side in (left, left + 1))
        return float(sum(ways) / explainer.covers[place])

    coalitions = [known for size in range(count + 1) for known in itertools.combinations(range(count), size)]
    worth = {known: (explainer.base + sum(walk(int(root), known) for root in roots)) / explainer.divisor for known in coalitions}
    found = np.zeros(count)
    for known, feature in itertools.product(coalitions, range(count)):
        if feature not in known:
            weight = math.factorial(len(known)) * math.factorial(count - len(known) - 1) / math.factorial(count)
            found[feature] += weight * (worth[tuple(sorted((*known, feature)))] - worth[known])
    return worth[()], found


def explainer_of(estimator: Any, *, native: bool) -> TreeExplainer:
    found = shapley.candidate(estimator, native=native)
    assert found is not None
    return found


@each_estimator
@pytest.mark.usefixtures("native")
def test_they_are_shapley_values(estimator: Any, matrix: Floats, target: Floats) -> None:
    estimator.fit(matrix, target)
    in_c, in_numpy = explainer_of(estimator, native=True), explainer_of(estimator, native=False)
    assert (in_c.native, in_numpy.native) == (True, False)
    for explainer in (in_c, in_numpy):
        contributions, _ = explainer.explain(matrix[:4])
        for row, found in zip(matrix[:4], contributions, strict=True):
            base, wanted = by_definition(explainer, row)
            assert explainer.base_value == pytest.approx(base, abs=1e-13)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13)


@each_estimator
@pytest.mark.usefixtures("native")
def test_c_and_numpy_agree_and_both_add_up(estimator: Any, matrix: Floats, target: Floats) -> None:
    estimator.fit(matrix, target)
    in_c, in_numpy = (explainer_of(estimator, native=native).explain(matrix[:100]) for native in (True, False))
    np.testing.assert_allclose(in_c.contributions, in_numpy.contributions, rtol=0, atol=1e-13)
    assert np.array_equal(in_c.scores, in_numpy.scores)
    scores = estimator.predict_proba(matrix[:100])[:, 1] if hasattr(estimator, "classes_") else estimator.predict(matrix[:100])
    explainers.check(explainer_of(estimator, native=True), matrix[:100], scores)


def test_deep_trees_lose_no_digits() -> None:
    """Twenty features on a path, each split often: where polynomials that are divided again lose half of the digits."""
    rows = RANDOM.normal(size=(3000, 40))
    target = rows @ RANDOM.normal(size=40) + RANDOM.normal(size=3000)
    forest = ensemble.ExtraTreesRegressor(5, max_features=1, random_state=0).fit(rows, target)
    assert max(tree.get_depth() for tree in forest.estimators_) > 20
    explainer = explainer_of(forest, native=True)
    contributions, scores = explainer.explain(rows)
    assert np.abs(explainer.base_value + contributions.sum(axis=1) - scores).max() < 1e-12


def test_no_row_and_a_matrix_of_another_width() -> None:
    explainer = explainer_of(ensemble.RandomForestRegressor(2, random_state=0).fit(COMPLETE, NUMBERS), native=True)
    assert explainer.explain(np.empty((0, 5))).contributions.shape == (0, 5)
    with pytest.raises(ValueError, match="the engine wants 5 columns"):
        explainer.explain(np.zeros((1, 4)))


def test_it_is_stored_and_read_again(tmp_path: Path) -> None:
    explainer = explainer_of(ensemble.HistGradientBoostingClassifier(max_iter=5).fit(MISSING, CLASSES), native=True)
    explainer.save(tmp_path)
    again = TreeExplainer.read(tmp_path)
    assert again.settings == explainer.settings
    assert again.base_value == explainer.base_value
    assert np.array_equal(again.explain(MISSING).contributions, explainer.explain(MISSING).contributions)


@pytest.mark.parametrize("covers", [np.zeros(9), np.ones(4), np.full(9, np.nan)])
def test_covers_that_cannot_be_are_refused(covers: Floats) -> None:
    found = explainer_of(ensemble.RandomForestRegressor(1, max_leaf_nodes=5, random_state=0).fit(COMPLETE, NUMBERS), native=True)
    assert len(found.covers) == 9
    with pytest.raises(ValueError, match="reached by no row"):
        TreeExplainer(found.trees, covers, **found.settings)


def test_what_is_no_tree_has_no_explainer_of_trees() -> None:
    assert shapley.candidate(LogisticRegression().fit(COMPLETE, CLASSES)) is None


@pytest.mark.parametrize("model", catalogue.names())
def test_every_model_of_the_catalogue_adds_up(model: str, tmp_path: Path) -> None:
    version = build(tmp_path / "version", model, seed=1)
    read = artifact.read(version.folder, model, version.sha256)
    explainer = explainers.of(read)
    matrix = contract.features(model).matrix(examples_of(model, 1000))
    assert len(matrix) >= 1000
    scores = read.engine.scores(matrix)
    explainers.check(explainer, matrix, scores)
    assert explainer.method == ("tree_shap" if (version.folder / shapley.DATA).exists() else "linear")


@pytest.mark.parametrize("model", catalogue.names())
def test_every_contribution_is_somebodys(model: str) -> None:
    known = explanations.words(model)
    np.testing.assert_allclose(known.parts.sum(axis=1), 1.0, rtol=0, atol=1e-15)
    assert [field["field"] for field in known.fields] == list(contract.schema(model).Input.model_fields)
    assert all(field["title"] for field in known.fields)


def examples_of(model: str, rows: int) -> Any:
    """Columns of at least so many."""
    examples = contract.train(model).examples(contract.data(model).synthetic(rows + 500, 3, 0.0))
    return examples.columns
