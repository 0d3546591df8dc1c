"""The walkers give scikit-learn's bits for every number that a float can be; the native one does, or is not used at all."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special
from sklearn import ensemble

from bentos.contract import Floats
from bentos.serving import engines, ensembles, gtil, parity, walker
from bentos.serving.ensembles import Trees
from bentos.serving.estimators import EstimatorEngine, TreesEngine
from bentos.serving.walker import NativeEngine, NumpyEngine

RANDOM = np.random.default_rng(11)
COMPLETE = RANDOM.normal(size=(700, 6))
COMPLETE[:, 5] *= 1e-39  # thresholds among the denormals of float32
MISSING = np.where(RANDOM.random(COMPLETE.shape) < 0.2, np.nan, COMPLETE)
CLASSES = (COMPLETE[:, 0] + COMPLETE[:, 1] ** 2 + COMPLETE[:, 5] * 1e39 + RANDOM.normal(size=700) > 1).astype(float)
NUMBERS = COMPLETE[:, 0] * 3 + RANDOM.normal(size=700)

FORESTS = [
    (ensemble.RandomForestClassifier(7, max_depth=1, random_state=0), MISSING, CLASSES),
    (ensemble.RandomForestClassifier(40, random_state=0), MISSING, CLASSES),
    (ensemble.RandomForestRegressor(9, random_state=0), MISSING, NUMBERS),
    (ensemble.ExtraTreesClassifier(8, max_depth=12, random_state=0), MISSING, CLASSES),
    (ensemble.ExtraTreesRegressor(1, random_state=0), COMPLETE, NUMBERS),
    (ensemble.RandomForestRegressor(3, min_samples_leaf=1000, random_state=0), COMPLETE, NUMBERS),  # leaves only
]
BOOSTED = [
    (ensemble.HistGradientBoostingClassifier(max_iter=12), MISSING, CLASSES),
    (ensemble.HistGradientBoostingRegressor(max_iter=20, max_depth=2), MISSING, NUMBERS),
    (ensemble.GradientBoostingClassifier(n_estimators=12, max_depth=6, random_state=0), COMPLETE, CLASSES),
    (ensemble.GradientBoostingRegressor(n_estimators=9, learning_rate=0.37, init="zero", random_state=0), COMPLETE, NUMBERS),
]

pytestmark = pytest.mark.usefixtures("native")


def walkers(estimator: Any) -> tuple[NativeEngine, NumpyEngine]:
    native, pure = walker.candidates(estimator)
    assert isinstance(native, NativeEngine)
    assert isinstance(pure, NumpyEngine)
    return native, pure


def corners(estimator: Any, rows: int) -> Floats:
    """Rows of thresholds of the column, their neighbours in float32 and float64, and the numbers that are hard."""
    trees, _ = parity._trees(estimator)
    hard = np.array([0.0, -0.0, 5e-324, -5e-324, 1e-45, 1.4e-45, -1e-40, 1e300, -1e300, 3.5e38, np.inf, -np.inf, np.nan])
    out = np.empty((rows, COMPLETE.shape[1]))
    for column in range(out.shape[1]):
        at = np.concatenate([threshold[feature == column] for feature, threshold, *_ in trees])
        at = at[np.isfinite(at)]
        single = at.astype(np.float32)
        near = [np.nextafter(single, np.float32(side)).astype(np.float64) for side in (-np.inf, np.inf)]
        pool = np.concatenate([at, single, *near, np.nextafter(at, -np.inf), np.nextafter(at, np.inf), hard, COMPLETE[:50, column]])
        out[:, column] = RANDOM.choice(pool, rows)
    return out


@pytest.mark.parametrize(("estimator", "matrix", "target"), FORESTS + BOOSTED, ids=lambda part: type(part).__name__)
def test_every_number_goes_the_way_that_scikit_learn_sends_it(estimator: Any, matrix: Floats, target: Floats) -> None:
    estimator.fit(matrix, target)
    # Forests are asked without their wrapper, which refuses infinities.
    reference = TreesEngine(estimator) if hasattr(estimator, "n_outputs_") else EstimatorEngine(estimator)
    rows = corners(estimator, 1000)
    if isinstance(estimator, ensemble.GradientBoostingClassifier | ensemble.GradientBoostingRegressor):
        rows = rows[(np.abs(rows) < 1e38).all(axis=1)]
    with np.errstate(over="ignore", invalid="ignore"):
        expected = reference.scores(rows)
        pure = gtil.candidate(estimator)
        assert pure is not None
        assert np.array_equal(pure.scores(rows), expected)
    assert len(rows) > 40
    native, in_numpy = walkers(estimator)
    assert np.array_equal(native.scores(rows), expected)
    assert np.array_equal(in_numpy.scores(rows), expected)
    for size in (1, 2, 7, 8, 9, 63, 64, 65, 71):
        for found in (native, in_numpy):
            parts = [found.scores(np.ascontiguousarray(rows[start : start + size])) for start in range(0, min(len(rows), 200), size)]
            together = np.concatenate(parts)
            assert np.array_equal(together, expected[: len(together)])


@pytest.mark.parametrize("which", [0, 1])
def test_any_layout_of_the_matrix_will_do(which: int) -> None:
    fitted = ensemble.RandomForestClassifier(5, random_state=0).fit(COMPLETE, CLASSES)
    found = walkers(fitted)[which]
    expected = EstimatorEngine(fitted).scores(COMPLETE)
    for other in (np.asfortranarray(COMPLETE), np.repeat(COMPLETE, 2, axis=0)[::2]):
        assert np.array_equal(found.scores(other), expected)
    locked = COMPLETE.copy()
    locked.flags.writeable = False
    assert np.array_equal(found.scores(locked), expected)
    assert found.scores(COMPLETE[:0]).shape == (0,)
    with pytest.raises(ValueError, match=r"shape \(700, 5\), the engine wants 6 columns"):
        found.scores(COMPLETE[:, :5])


@pytest.mark.parametrize(
    "estimator",
    [
        ensemble.GradientBoostingClassifier(n_estimators=5, loss="exponential"),
        ensemble.GradientBoostingRegressor(n_estimators=5, init=ensemble.RandomForestRegressor(3)),
        ensemble.HistGradientBoostingRegressor(max_iter=5, loss="poisson"),
        ensemble.HistGradientBoostingRegressor(max_iter=5, categorical_features=[0]),
    ],
)
def test_what_it_does_not_do_it_is_not_chosen_for(estimator: Any) -> None:
    matrix = np.column_stack([np.arange(700) % 5, COMPLETE])
    target = CLASSES if hasattr(estimator, "predict_proba") else np.abs(NUMBERS)
    expected = EstimatorEngine(estimator.fit(matrix, target)).scores(matrix)
    assert not any(np.array_equal(found.scores(matrix), expected) for found in walker.candidates(estimator))


def trees(nodes: list[tuple[float, int, int, int]], roots: list[int]) -> Trees:
    return Trees(np.array(nodes, dtype=ensembles.NODES[True]), np.zeros(len(nodes)), np.array(roots, dtype=np.int32))


SETTINGS: dict[str, Any] = {"features": 2, "float32": True, "base": 0.0, "divisor": 1.0, "logistic": False}
LEAF = np.inf


@pytest.mark.parametrize(
    ("nodes", "roots"),
    [
        ([(0.5, 0, 0, 0), (LEAF, 1, 0, 0)], [0]),  # walks for ever
        ([(0.5, 1, 0, 0), (LEAF, 1, 0, 0)], [0]),  # the right child is behind the end
        ([(0.5, 1, 0, 0), (LEAF, 1, 0, 0), (0.5, 0, 0, 0)], [0]),  # goes back
        ([(0.5, 1, 2, 0), (LEAF, 1, 0, 0), (LEAF, 2, 0, 0)], [0]),  # a third feature
        ([(0.5, 1, -1, 0), (LEAF, 1, 0, 0), (LEAF, 2, 0, 0)], [0]),
        ([(0.5, 1, 0, 7), (LEAF, 1, 0, 0), (LEAF, 2, 0, 0)], [0]),
        ([(LEAF, 0, 0, 1)], [0]),  # a missing number would leave the leaf
        ([(LEAF, 0, 0, 0)], [1]),
        ([(LEAF, 0, 0, 0)], [-1]),
        ([(LEAF, 0, 0, 0)], []),
    ],
)
def test_arrays_that_would_lead_astray_are_refused(nodes: list[tuple[float, int, int, int]], roots: list[int]) -> None:
    with pytest.raises(ValueError, match=r"walker\.npz: the arrays are no trees over 2 features"):
        NativeEngine(trees(nodes, roots), **SETTINGS)
    sound = trees([(0.5, 1, 0, 0), (LEAF, 1, 0, 0), (LEAF, 2, 0, 0)], [0])
    NativeEngine(sound, **SETTINGS)
    with pytest.raises(ValueError, match="other types than agreed"):
        NativeEngine(sound, **(SETTINGS | {"float32": False}))


def compiled(folder: Path, source: str) -> Path:
    (folder / "other.c").write_text(source)
    subprocess.run([shutil.which("cc") or "cc", "-shared", "-fPIC", "-o", str(folder / "other.so"), str(folder / "other.c")], check=True)
    return folder / "other.so"


def test_a_library_that_does_not_fit_is_not_called(tmp_path: Path) -> None:
    with pytest.raises(walker.Unavailable, match="cannot open shared object file"):
        walker.library(tmp_path / "absent.so")
    (tmp_path / "broken.so").write_bytes(bytes(5000))
    with pytest.raises(walker.Unavailable, match="invalid ELF header"):
        walker.library(tmp_path / "broken.so")
    with pytest.raises(walker.Unavailable, match="modelyard_walker_abi"):
        walker.library(compiled(tmp_path, "int something_else(void) { return 1; }"))


def test_a_library_of_another_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(walker.Unavailable, match=f"other.so has ABI 99, this runner calls {walker.ABI}: build it again"):
        walker.library(compiled(tmp_path, "int modelyard_walker_abi(void) { return 99; }"))


def test_a_version_serves_with_and_without_the_native_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fitted = ensemble.RandomForestClassifier(12, random_state=0).fit(MISSING, CLASSES)
    expected = EstimatorEngine(fitted).scores(MISSING)
    both, pure = tmp_path / "both", tmp_path / "pure"
    for folder in (both, pure):
        folder.mkdir()
    engines.save(engines.choose(fitted, MISSING).stored, both)
    with_it, without = engines.load(both), engines.load(both, library=tmp_path / "absent.so")
    assert [loaded.kind.partition("+")[0] for loaded in (with_it, without)] == ["native", "gtil"]
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == ["the native walker cannot be used, a slower engine scores"]
    assert np.array_equal(with_it.scores(MISSING), expected)
    assert np.array_equal(without.scores(MISSING), expected)
    form = gtil.candidate(fitted)
    assert form is not None
    engines.save(engines.Stored([form], {}), pure)
    assert engines.load(pure).kind == "gtil"
    engines.save(engines.Stored([walkers(fitted)[0]], {}), pure)
    with pytest.raises(ValueError, match="there is a native form only"):
        engines.load(pure, library=tmp_path / "absent.so")


def test_scores_far_from_zero_are_those_of_scipy() -> None:
    values = np.array([-1e300, -745.0, -709.8, -709.782712893384, -709.7, -40.0, -0.0, 1.0, 36.8, 709.8, 1e300])
    expected = special.expit(values)
    assert np.array_equal(gtil.expit(values), expected)
    for value, score in zip(values.tolist(), expected.tolist(), strict=True):
        leaf = trees([(LEAF, 0, 0, 0)], [0])
        for engine in (NativeEngine, NumpyEngine):
            assert engine(leaf, **(SETTINGS | {"base": value, "logistic": True})).scores(np.zeros((1, 2))).tolist() == [score]
