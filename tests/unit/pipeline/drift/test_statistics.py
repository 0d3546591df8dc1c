"""The figures against scipy's own on whole samples, and the promises about chance."""

import numpy as np
import pytest
from scipy import stats

from services.pipeline import reference
from services.pipeline.drift import bins, statistics

RANDOM = np.random.default_rng(1)


def kept(values: np.ndarray) -> dict:
    return reference.profile({"x": values}, (), np.zeros((len(values), 0)), np.zeros(len(values)), ordered=False)["columns"]["x"]


@pytest.mark.parametrize("then", [RANDOM.normal(size=4000), RANDOM.lognormal(size=4000).round(1), RANDOM.integers(0, 6, 4000).astype(float)])
def test_distances_are_scipys_of_the_whole_samples(then: np.ndarray) -> None:
    now = RANDOM.choice(then, 1500) * 1.1 + 0.2
    curve = statistics.curve(kept(then))
    assert curve is not None
    whole = stats.ks_2samp(then, now, method="asymp")
    found = statistics.kolmogorov(curve, now)
    assert whole.statistic - 1 / reference.POINTS <= found <= whole.statistic + 1e-12
    assert statistics.kolmogorov_p(whole.statistic, 1500, 4000) == pytest.approx(whole.pvalue)
    distance = statistics.wasserstein(curve, now, then.std())
    assert distance == pytest.approx(stats.wasserstein_distance(then, now) / then.std(), rel=0.02)


def test_a_bin_is_counted_as_the_reference_counted_it() -> None:
    then = np.array([1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, np.nan])
    one = kept(then)
    counts = bins.numbers(then, one["edges"])
    assert counts.sum() == 9
    assert counts / 9 == pytest.approx(one["proportions"])
    assert bins.psi(np.array(one["proportions"]), counts) == pytest.approx(0)
    assert bins.categories(["a", "b", None, "c", "a"], ["a", "b"]).tolist() == [2, 1, 1]


def test_psi_is_its_formula_with_a_floor() -> None:
    then, now = np.array([0.5, 0.5]), np.array([30, 70])
    assert bins.psi(then, now) == pytest.approx((0.3 - 0.5) * np.log(0.3 / 0.5) + (0.7 - 0.5) * np.log(0.7 / 0.5))
    assert np.isfinite(bins.psi(np.array([1.0, 0.0]), np.array([0, 10])))


def test_rare_categories_are_compared_together() -> None:
    shares = np.array([0.6, 0.395, 0.003, 0.002, 0.0])
    statistic, p = statistics.chi2(shares, 5000, np.array([120, 79, 1, 0, 0]))
    pooled = stats.chi2_contingency([[3000, 1975, 25], [120, 79, 1]], correction=False)
    assert (statistic, p) == pytest.approx((pooled.statistic, pooled.pvalue))
    assert statistics.chi2(np.array([1.0, 0.0]), 500, np.array([100, 0])) == (0.0, 1.0)


def test_shares_and_ranges() -> None:
    assert statistics.share_p(30, 100, 0.1, 1000) == pytest.approx(stats.fisher_exact([[30, 70], [100, 900]]).pvalue)
    assert statistics.share_p(0, 100, 0.0, 1000) == 1
    assert statistics.outside_p(0, 100, 1000) == 1
    runs = [np.random.default_rng(seed).random(1100) for seed in range(2000)]
    counts = [int(((one[1000:] < one[:1000].min()) | (one[1000:] > one[:1000].max())).sum()) for one in runs]
    assert np.mean([count >= 2 for count in counts]) == pytest.approx(statistics.outside_p(2, 100, 1000), abs=0.01)


def test_holm_bounds_the_chance_of_any_false_alarm() -> None:
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([]) == []
    drawn = np.random.default_rng(3).random((2000, 40))
    assert np.mean([min(statistics.holm(one)) < 0.05 for one in drawn.tolist()]) == pytest.approx(0.05, abs=0.015)


def test_rows_that_resemble_their_neighbours_are_worth_less() -> None:
    independent = np.random.default_rng(4).normal(size=2000)
    assert statistics.worth(independent) > 0.5
    assert statistics.worth(np.repeat(independent[:200], 10)) < 0.2
    assert statistics.worth(np.ones(100)) == statistics.worth(np.arange(5.0)) == 1
