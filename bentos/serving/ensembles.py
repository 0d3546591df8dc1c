"""Tree ensembles as flat arrays, which the walkers read: the file of a version, its checks, and how scikit-learn's own trees become it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from bentos.contract import Floats

DATA = "walker.npz"
NODES = {
    float32: np.dtype([("threshold", number), ("left", np.int32), ("feature", np.int16), ("missing_right", np.int16)])
    for float32, number in ((True, np.float32), (False, np.float64))
}


class Trees(NamedTuple):
    """All trees in their order. Children are absolute positions behind their parent, the right one behind the left; a leaf is its own left child and its
    threshold is infinity, so that a walk which has arrived stays."""

    nodes: NDArray[np.void]
    values: Floats
    """Of each node; those of leaves are read."""
    roots: NDArray[np.int32]

    def check(self, features: int, float32: bool) -> None:
        """Raises ValueError for trees in which a walk would not end or would leave the arrays."""
        nodes, values, roots = self
        count = len(nodes)
        if nodes.dtype != NODES[float32] or values.dtype != np.float64 or roots.dtype != np.int32 or not nodes.ndim == values.ndim == roots.ndim == 1:
            raise ValueError(f"{DATA}: the arrays have other types than agreed")
        places, left = np.arange(count), nodes["left"]
        leaf = (left == places) & (nodes["threshold"] == np.inf) & (nodes["missing_right"] == 0)
        inner = (left > places) & (left < count - 1)
        sound = (leaf | inner) & (nodes["feature"] >= 0) & (nodes["feature"] < features) & np.isin(nodes["missing_right"], (0, 1))
        if len(values) != count or not len(roots) or not sound.all() or not ((roots >= 0) & (roots < count)).all():
            raise ValueError(f"{DATA}: the arrays are no trees over {features} features")


class Ensemble:
    """Trees and what becomes of the sum of their values. Base of the engines that walk them."""

    def __init__(self, trees: Trees, *, features: int, float32: bool, base: float, divisor: float, logistic: bool) -> None:
        """`float32`: scikit-learn rounds the matrix before it compares (forests and GradientBoosting do). The sum begins with `base`.

        Raises ValueError for arrays that are no trees.
        """
        self.trees = Trees(np.ascontiguousarray(trees.nodes), np.ascontiguousarray(trees.values), np.ascontiguousarray(trees.roots))
        self.trees.check(features, float32)
        self.features, self.float32, self.base, self.divisor, self.logistic = features, float32, base, divisor, logistic

    @property
    def settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("features", "float32", "base", "divisor", "logistic")}

    def check(self, matrix: Floats) -> None:
        """A walk reads as many numbers as it knows of, whatever there is. Raises ValueError."""
        if matrix.ndim != 2 or matrix.shape[1] != self.features:
            raise ValueError(f"matrix has shape {matrix.shape}, the engine wants {self.features} columns")

    def save(self, folder: Path) -> dict[str, Any]:
        np.savez(folder / DATA, **self.trees._asdict())
        return self.settings

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> Self:
        with np.load(folder / DATA, allow_pickle=False) as stored:
            return cls(Trees(stored["nodes"], stored["values"], stored["roots"]), **settings)


class _Tree(NamedTuple):
    """One tree as scikit-learn keeps it; `feature` is -1 at a leaf."""

    feature: NDArray[np.int64]
    threshold: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    value: Floats
    cover: Floats
    """Rows of the training that came by."""


def read(estimator: Any) -> tuple[Trees, dict[str, Any]] | None:
    """What an Ensemble is made of, if `read_with_covers` knows the estimator."""
    found = read_with_covers(estimator)
    return found and (found[0], found[2])


def read_with_covers(estimator: Any) -> tuple[Trees, Floats, dict[str, Any]] | None:
    """Besides what an Ensemble is made of, how many rows of the training came by each node.

    None for estimators that are no tree ensembles of one output (two classes), or that look at categories.

    A loss whose link is neither the identity nor the logistic function is left to the comparison with the estimator, which tells it apart.
    Imports scikit-learn.
    """
    from sklearn import ensemble

    forests = (ensemble.RandomForestClassifier, ensemble.RandomForestRegressor, ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor)
    histograms = (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor)
    boosted = (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor)
    features = getattr(estimator, "n_features_in_", 0)
    if not isinstance(estimator, forests + histograms + boosted) or len(getattr(estimator, "classes_", (0, 1))) != 2 or features > np.iinfo(np.int16).max:
        return None
    settings: dict[str, Any] = {"features": features, "float32": True, "base": 0.0, "divisor": 1.0, "logistic": hasattr(estimator, "classes_")}
    if isinstance(estimator, histograms):
        if estimator.is_categorical_ is not None:
            return None
        found = [_histogram(predictor.nodes) for (predictor,) in estimator._predictors]
        settings |= {"float32": False, "base": float(np.ravel(estimator._baseline_prediction)[0])}
    elif isinstance(estimator, boosted):
        if estimator.init is not None and estimator.init != "zero":
            return None
        found = [_tree(member.tree_, estimator.learning_rate) for member in estimator.estimators_[:, 0]]
        settings |= {"base": float(estimator._raw_predict_init(np.zeros((1, features), dtype=np.float32))[0, 0])}
    elif estimator.n_outputs_ == 1:
        found = [_tree(member.tree_) for member in estimator.estimators_]
        settings |= {"divisor": float(len(found)), "logistic": False}
    else:
        return None
    covers = np.concatenate([tree.cover[_order(tree)] for tree in found])
    return _together(found, settings["float32"]), covers, settings


def _tree(tree: Any, rate: float = 1.0) -> _Tree:
    nodes = tree.__getstate__()["nodes"]
    feature = np.where(tree.children_left < 0, -1, tree.feature)
    missing_left, cover = nodes["missing_go_to_left"].astype(bool), np.array(tree.weighted_n_node_samples)
    return _Tree(feature, tree.threshold, tree.children_left, tree.children_right, missing_left, rate * tree.value[:, 0, -1], cover)


def _histogram(nodes: NDArray[np.void]) -> _Tree:
    feature = np.where(nodes["is_leaf"] == 1, -1, nodes["feature_idx"].astype(np.int64))
    left, right = (nodes[side].astype(np.int64) for side in ("left", "right"))
    return _Tree(feature, nodes["num_threshold"], left, right, nodes["missing_go_to_left"].astype(bool), nodes["value"], nodes["count"].astype(np.float64))


def _together(trees: list[_Tree], float32: bool) -> Trees:
    sizes = [len(order) for order in map(_order, trees)]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    nodes = np.concatenate([_nodes(tree, int(root), float32) for tree, root in zip(trees, roots, strict=True)])
    values = np.concatenate([tree.value[_order(tree)] for tree in trees])
    return Trees(nodes, values.astype(np.float64), roots.astype(np.int32))


def _order(tree: _Tree) -> NDArray[np.int64]:
    """All nodes level by level, so that sisters are neighbours."""
    return np.concatenate(list(_levels(tree)))


def _levels(tree: _Tree) -> Iterator[NDArray[np.int64]]:
    level = np.zeros(1, dtype=np.int64)
    while len(level):
        yield level
        inner = level[tree.feature[level] >= 0]
        level = np.column_stack((tree.left[inner], tree.right[inner])).ravel()


def _nodes(tree: _Tree, root: int, float32: bool) -> NDArray[np.void]:
    order = _order(tree)
    places = np.empty(len(tree.feature), dtype=np.int64)
    places[order] = root + np.arange(len(order))
    leaf = tree.feature[order] < 0
    nodes = np.zeros(len(order), dtype=NODES[float32])
    threshold = tree.threshold[order]
    nodes["threshold"] = np.where(leaf, np.inf, _rounded_down(threshold) if float32 else threshold)
    nodes["left"] = np.where(leaf, places[order], places[np.where(leaf, 0, tree.left[order])])
    nodes["feature"] = np.where(leaf, 0, tree.feature[order])
    nodes["missing_right"] = ~(leaf | tree.missing_left[order])
    return nodes


def _rounded_down(threshold: Floats) -> NDArray[np.float32]:
    """A float32 is at most the threshold exactly when it is at most the largest float32 that is."""
    nearest = threshold.astype(np.float32)
    above = nearest.astype(np.float64) > threshold
    nearest[above] = np.nextafter(nearest[above], np.float32(-np.inf))
    return nearest
