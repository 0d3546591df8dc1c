"""Path-dependent TreeSHAP: how much each feature has moved a tree ensemble's score away from its mean.

What is computed is what Lundberg et al. 2018 (https://arxiv.org/abs/1802.03888) define: the Shapley values of the game in which a tree, asked about a feature
that is not in the coalition, goes both ways, each as often as the rows of its training did. How it is computed is not their Algorithm 2 but an integral.

For a leaf, let `share_i` be the part of the rows that all steps by feature i on its path let through, and `fits_i` 1 if those steps let this row through, else
0. The game of the leaf is its value times a product, `fits_i` for each feature of the coalition and `share_i` for each other one, so that

    contribution_i = value · ∫₀¹ (fits_i - share_i) · ∏_{j≠i} (share_j + t · (fits_j - share_j)) dt

A Gauss-Legendre quadrature with half as many points as a path has features is exact for this polynomial. The products are made on the way down the tree and
the sums over leaves on the way back, so a tree costs nodes × points. No product ever loses digits: Algorithm 2, which unwinds its polynomials by division
with binomials, does in deep trees.
"""

import ctypes
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from bentos.contract import Floats
from bentos.serving import ensembles, walker
from bentos.serving.ensembles import Ensemble, Trees
from bentos.serving.walker import address

DATA = "explainer.npz"


class Explained(NamedTuple):
    contributions: Floats
    """(n, features), on the scale of `scores`."""
    scores: Floats
    """(n,): what the ensemble says before the logistic function, if it has one; to the bit what its engines say."""


class _Paths(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("parents", "above", "shares", "ends")),
        ("largest", ctypes.c_int32),
        ("points", ctypes.c_int32),
        ("at", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
    )


class TreeExplainer(Ensemble):
    """In C where the native part is here, else in numpy: the same numbers but for the last bits."""

    method = "tree_shap"

    def __init__(self, trees: Trees, covers: Floats, *, native: bool = True, **settings: Any) -> None:
        """`covers`: of each node, how many rows of the training came by. Raises ValueError for arrays that are no trees or covers that cannot be."""
        super().__init__(trees, **settings)
        self.covers = covers
        nodes, values, roots = self.trees
        count = len(nodes)
        if roots[0] != 0 or (np.diff(roots) <= 0).any():
            raise ValueError(f"{DATA}: the trees do not follow each other")
        if covers.dtype != np.float64 or covers.shape != (count,) or not (np.isfinite(covers) & (covers > 0)).all():
            raise ValueError(f"{DATA}: a node of a tree was reached by no row")
        self._inner = np.flatnonzero(nodes["left"] != np.arange(count))
        left = nodes["left"][self._inner]
        self._parents = np.full(count, -1, dtype=np.int32)
        self._parents[left] = self._parents[left + 1] = self._inner
        self._levels, self._above, self._shares, reach = self._paths()
        self._ends = np.append(roots[1:], count).astype(np.int32)
        points = max((len(self._features_on_a_path()) + 1) // 2, 1)
        at, weights = np.polynomial.legendre.leggauss(points)
        self._at, self._weights = (at + 1) / 2, weights / 2
        leaves = np.setdiff1d(np.arange(count), self._inner)
        self.base_value = (self.base + float(values[leaves] @ reach[leaves])) / self.divisor
        self.native = native and _is_here()
        self._described = walker.described(self)
        arrays = (self._parents, self._above, self._shares, self._ends)
        sizes = int((self._ends - roots).max()), points
        self._native = _Paths(*(part.ctypes.data for part in arrays), *sizes, self._at.ctypes.data, self._weights.ctypes.data)

    def _paths(self) -> tuple[list[NDArray[np.intp]], NDArray[np.int32], Floats, Floats]:
        """The nodes below the roots level by level; of each node the earlier step by the same feature, its share, and the part of all rows that reaches it."""
        nodes, parents = self.trees.nodes, self._parents
        above = np.full(len(nodes), -1, dtype=np.int32)
        shares, reach = np.ones(len(nodes)), np.ones(len(nodes))
        # For each node of the level before and each feature, the last step by it on the way there.
        last = np.full((len(self.trees.roots), self.features), -1, dtype=np.int32)
        place = np.full(len(nodes), -1, dtype=np.intp)
        place[self.trees.roots] = np.arange(len(self.trees.roots))
        levels = []
        level = self.trees.roots.astype(np.intp)
        while len(level := self._children(level)):
            levels.append(level)
            before = parents[level]
            feature = nodes["feature"][before]
            above[level] = last[place[before], feature]
            part = self.covers[level] / self.covers[before]
            shares[level] = part * np.where(above[level] < 0, 1.0, shares[above[level]])
            reach[level] = part * reach[before]
            last = last[place[before]]
            last[np.arange(len(level)), feature] = level
            place[level] = np.arange(len(level))
        return levels, above, shares, reach

    def _children(self, level: NDArray[np.intp]) -> NDArray[np.intp]:
        left = self.trees.nodes["left"][level]
        left = left[left != level]
        return np.column_stack((left, left + 1)).ravel().astype(np.intp)

    def _features_on_a_path(self) -> range:
        """As many as the path with the most different ones has."""
        distinct = np.zeros(len(self.trees.nodes), dtype=np.int64)
        for level in self._levels:
            distinct[level] = distinct[self._parents[level]] + (self._above[level] < 0)
        return range(int(distinct.max()))

    def explain(self, matrix: Floats) -> Explained:
        self.check(matrix)
        matrix = np.ascontiguousarray(matrix, dtype=np.float64)
        rows = len(matrix)
        if not self.native:
            each = [self._in_numpy(row) for row in matrix]
            return Explained(np.array([found for found, _ in each]).reshape(rows, self.features), np.array([score for _, score in each]))
        out, scores = np.empty((rows, self.features)), np.empty(rows)
        call = walker.library().modelyard_walker_contributions
        places = ctypes.addressof(self._described), ctypes.addressof(self._native)
        if rows and call(*places, address(matrix), rows, address(out), address(scores)):
            raise MemoryError
        return Explained(out, scores)

    def _in_numpy(self, row: Floats) -> tuple[Floats, float]:
        nodes, values, roots = self.trees
        parents, above, shares = self._parents, self._above, self._shares[:, None]
        with np.errstate(over="ignore"):
            numbers = row.astype(nodes["threshold"].dtype)[nodes["feature"]]
        right = np.where(np.isnan(numbers), nodes["missing_right"] == 1, numbers > nodes["threshold"])
        goes = np.ones(len(nodes), dtype=np.bool_)
        below = np.concatenate(self._levels) if self._levels else np.empty(0, dtype=np.intp)
        goes[below] = (below - nodes["left"][parents[below]] == 1) == right[parents[below]]
        fits, reached = goes.copy(), goes.copy()
        for level in self._levels:
            fits[level] &= (above[level] < 0) | fits[above[level]]
            reached[level] &= reached[parents[level]]
        slopes = fits[:, None] - shares
        terms = shares + self._at * slopes
        gains = slopes / terms
        sums = np.empty_like(terms)
        sums[roots] = self._weights
        again = (above >= 0)[:, None]
        steps = np.where(again, terms / terms[above], terms)
        for level in self._levels:
            sums[level] = sums[parents[level]] * steps[level]
        leaves = nodes["left"] == np.arange(len(nodes))
        sums[leaves] *= values[leaves, None]
        for level in reversed(self._levels):
            sums[parents[level[::2]]] = sums[level[::2]] + sums[level[1::2]]
        each = (sums * (gains - np.where(again, gains[above], 0.0))).sum(axis=1)
        contributions = np.bincount(nodes["feature"][parents[below]], each[below], minlength=self.features) / self.divisor
        reached_values = values[leaves & reached]
        return contributions, float(np.add.accumulate([self.base, *reached_values])[-1] / self.divisor)

    def save(self, folder: Path) -> dict[str, Any]:
        arrays: dict[str, Any] = {**self.trees._asdict(), "covers": self.covers, **self.settings}
        np.savez_compressed(folder / DATA, **arrays)
        return self.settings

    @classmethod
    def read(cls, folder: Path, *, native: bool = True) -> Self:
        """Raises ValueError or OSError for a file that cannot be understood."""
        with np.load(folder / DATA, allow_pickle=False) as stored:
            settings = {name: stored[name].item() for name in ("features", "float32", "base", "divisor", "logistic")}
            return cls(Trees(stored["nodes"], stored["values"], stored["roots"]), stored["covers"], native=native, **settings)


def candidate(estimator: Any, *, native: bool = True) -> TreeExplainer | None:
    """None for what is no tree ensemble that `ensembles` knows, and where a node was reached by no row. Imports scikit-learn."""
    found = ensembles.read_with_covers(estimator)
    if found is None:
        return None
    trees, covers, settings = found
    return TreeExplainer(trees, covers, native=native, **settings) if (covers > 0).all() else None


def _is_here() -> bool:
    try:
        walker.library()
    except walker.Unavailable:
        return False
    return True
