"""Whole checks: what is drift, what is chance, what is too little; and a small simulation, of which `python -m tests.bench.drift` is the large one."""

import numpy as np
import pytest

from bentos.catalogue import Drift
from services.pipeline import reference
from services.pipeline.drift import verdicts
from tests.bench import drift as simulation

RANDOM = np.random.default_rng(2)
COLUMNS = {
    "age": RANDOM.normal(40, 10, 5000),
    "gaps": np.where(RANDOM.random(5000) < 0.3, np.nan, RANDOM.normal(size=5000)),
    "role": RANDOM.choice(np.array(["cook", "clerk", "guard", None], dtype=object), 5000, p=[0.5, 0.3, 0.1, 0.1]),
    "same": np.ones(5000),
    "never": np.full(5000, np.nan),
    "nil": np.full(5000, None, dtype=object),
}
PROFILE = reference.profile(COLUMNS, (), np.zeros((5000, 0)), RANDOM.random(2000), ordered=False)


def checked(rows: int = 1000, seed: int = 3, **changed: np.ndarray) -> dict:
    random = np.random.default_rng(seed)
    chosen = random.integers(0, 5000, rows)
    columns = {name: values[chosen] for name, values in COLUMNS.items()} | changed
    return verdicts.check(PROFILE, columns, random.random(rows), Drift())


def of(found: dict, name: str) -> dict:
    return next(one for one in found["features"] if one["feature"] == name)


def test_what_has_not_changed_is_fine() -> None:
    found = checked()
    assert (found["alarm"], found["words"]) == (False, "no drift in 1000 rows")
    assert {one["feature"]: one["verdict"] for one in found["features"]} == {
        **{"age": "ok", "gaps": "ok", "role": "ok", "same": "ok"},
        **{"never": "too_few", "nil": "too_few"},
    }
    assert found["score"]["verdict"] == "ok"
    assert of(found, "gaps")["missing"] == pytest.approx(0.3, abs=0.05)


def test_each_change_is_named_in_words() -> None:
    random = np.random.default_rng(5)
    lost = np.where(random.random(1000) < 0.5, np.nan, random.normal(size=1000))
    strange = random.choice(np.array(["cook", "clerk", "guard", "robot"], dtype=object), 1000, p=[0.5, 0.3, 0.1, 0.1])
    found = checked(age=random.normal(45, 10, 1000), gaps=lost, role=strange, same=np.full(1000, 2.0), never=random.random(1000))
    assert found["alarm"]
    assert "KS" in of(found, "age")["words"]
    assert "standard deviations" in of(found, "age")["words"]
    assert "are missing instead of 30" in of(found, "gaps")["words"]
    assert "texts that were not learned from" in of(found, "role")["words"]
    assert "outside of what was learned from" in of(found, "same")["words"]
    assert "0.0% are missing instead of 100.0%" in of(found, "never")["words"]
    assert found["words"].startswith("age, gaps, role, same, never drifted: 5 of 7 in 1000 rows")


def test_few_rows_are_too_few_and_never_an_alarm() -> None:
    found = checked(rows=150, age=np.full(150, 500.0))
    assert not found["alarm"]
    assert {one["verdict"] for one in (*found["features"], found["score"])} == {"too_few"}
    assert found["words"] == "too few rows: 150 in the window, 200 is the least"


def test_an_effect_that_is_small_is_no_drift_however_certain() -> None:
    """A sixth of a deviation in 100 000 rows."""
    found = checked(rows=100_000, age=np.random.default_rng(6).normal(41.6, 10, 100_000))
    assert of(found, "age")["p_adjusted"] < 1e-6
    assert of(found, "age")["verdict"] == "ok"
    assert not found["alarm"]


def test_scores_that_were_learned_from_are_not_compared_with() -> None:
    """As versions have them that were registered before."""
    then = {name: one for name, one in PROFILE["score"].items() if name not in ("rows", "out_of_sample", "curve")}
    old = {"rows": 5000, "columns": {"age": {name: one for name, one in PROFILE["columns"]["age"].items() if name not in ("rows", "curve")}}, "features": {}}
    found = verdicts.check(old | {"score": then}, {"age": np.random.default_rng(7).normal(47, 10, 1000)}, np.full(1000, 0.99), Drift())
    assert found["score"]["verdict"] == "too_few"
    assert "before scores" in found["score"]["words"]
    assert of(found, "age")["verdict"] == "drift"
    assert of(found, "age")["wasserstein"] is None


def test_the_simulation_in_small() -> None:
    normal = simulation.normal()
    windows = [simulation.normal_rows(number) for number in range(40)]
    assert simulation.false_alarms(normal, windows)["alarms"] == 0
    assert simulation.power(normal, windows, "x3") >= simulation.LEAST_POWER
    assert simulation.psi_ms() < 3 * simulation.MOST_PSI_MS, "leaves room for a busy machine"


@pytest.mark.parametrize("model", ["attrition", "crypto_price"])
def test_a_models_own_rows_raise_no_alarm_until_they_drift(model: str) -> None:
    of = simulation.subject(model, rows=4000)
    assert sum(simulation.check(of, simulation.asked(of, 100 + number))["alarm"] for number in range(8)) == 0
    assert simulation.check(of, simulation.asked(of, 100, drift=1.0))["alarm"]
