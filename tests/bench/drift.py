"""`python -m tests.bench.drift`: how often checks for drift raise a false alarm, how often they see a real one, and what a check costs.

Each model of the catalogue is trained once, its reference kept as `register` does. A run is a whole check, all tests corrected together, of 1000 rows
that the version has never seen: as they come (any alarm is false), or with one number moved by half a standard deviation (it has to be found).
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bentos import catalogue, contract
from bentos.catalogue import Drift
from bentos.contract import Columns, Floats
from bentos.serving.estimators import EstimatorEngine
from services.pipeline import fit, reference, split
from services.pipeline.drift import bins, verdicts, window

Say = Callable[[str], None]

NORMAL = "normal"
RUNS, ROWS, SHIFT = 200, 1000, 0.5
MOST_FALSE, LEAST_POWER, MOST_PSI_MS = 0.01, 0.95, 5.0
EXTRA = 500
"""Rows of which windows of a series are the end: so that its beginning, which has no history, is not among them."""


@dataclass(frozen=True)
class Subject:
    model: str
    profile: dict[str, Any]
    engine: EstimatorEngine | None
    """None of rows that no model has learned from."""
    policy: Drift


@dataclass(frozen=True)
class Rows:
    checked: dict[str, Any]
    scores: Floats


def subject(model: str, rows: int | None = None, seed: int = 7) -> Subject:
    entry = catalogue.load().models[model]
    examples = contract.train(model).examples(contract.data(model).synthetic(rows or entry.training.rows, seed, 0.0))
    training, holdout = split.holdout(examples.take(examples.learn))
    matrix = fit.matrix(model, training)
    engine = EstimatorEngine(fit.fitted(model, seed, matrix, training.target))
    scores = engine.scores(fit.matrix(model, holdout))
    profile = reference.profile(training.columns, contract.features(model).FEATURES, matrix, scores, ordered=holdout.time is not None)
    return Subject(model, profile, engine, entry.drift)


def asked(of: Subject, seed: int, drift: float = 0.0) -> Rows:
    """A window of rows by another seed than training's."""
    made = ROWS + (EXTRA if of.profile["ordered"] else 0)
    examples = contract.train(of.model).examples(contract.data(of.model).synthetic(made, seed, drift)).take(slice(-ROWS, None))  # type: ignore[arg-type]
    return _rows(of, examples.columns)


def _rows(of: Subject, columns: Columns) -> Rows:
    matrix = contract.features(of.model).matrix(columns)
    assert of.engine is not None
    return Rows(window.checked(of.model, columns, matrix), of.engine.scores(matrix))


def normal(rows: int = 10_000) -> Subject:
    """Sixteen standard normal numbers, where half a deviation is the textbook's: KS 0.197, PSI 0.25. The score is their mean."""
    values = np.random.default_rng(7).normal(size=(rows, 16))
    columns = {f"x{number}": values[:, number] for number in range(16)}
    profile = reference.profile(columns, (), values, values.mean(axis=1), ordered=False)
    return Subject("normal", profile, None, Drift())


def normal_rows(seed: int) -> Rows:
    values = np.random.default_rng([seed, 1]).normal(size=(ROWS, 16))
    return Rows({f"x{number}": values[:, number] for number in range(16)}, values.mean(axis=1))


def check(of: Subject, rows: Rows, moved: str | None = None) -> dict[str, Any]:
    """With `moved`, that number is half a standard deviation of the reference larger in every row."""
    columns = rows.checked
    if moved is not None:
        known = of.profile["columns"] | of.profile["features"]
        columns = columns | {moved: columns[moved] + SHIFT * known[moved]["std"]}
    return verdicts.check(of.profile, columns, rows.scores, of.policy)


def false_alarms(of: Subject, windows: list[Rows]) -> dict[str, Any]:
    named: Counter[str] = Counter()
    alarms, took = 0, []
    for rows in windows:
        started = time.perf_counter()
        found = check(of, rows)
        took.append(1e3 * (time.perf_counter() - started))
        alarms += found["alarm"]
        named.update(one["feature"] for one in (*found["features"], found["score"]) if one["verdict"] == "drift")
    return {
        "runs": len(windows),
        "alarms": alarms,
        "share": alarms / len(windows),
        "tests": found["tests"],
        "named": dict(named),
        "ms": statistics.median(took),
    }


def power(of: Subject, windows: list[Rows], feature: str) -> float:
    """The share of checks that find just this one."""
    found = [check(of, rows, feature) for rows in windows]
    return statistics.mean(any(one["feature"] == feature and one["verdict"] == "drift" for one in each["features"]) for each in found)


def numbers(of: Subject, rows: Rows) -> list[str]:
    """Those that can move by a part of their deviation: what has two values cannot."""
    known = of.profile["columns"] | of.profile["features"]
    return [name for name in rows.checked if known[name]["kind"] == "number" and len(known[name]["curve"]["values"]) > 2]


def psi_ms(rows: int = 10_000, columns: int = 16) -> float:
    """The median of 50 times."""
    random = np.random.default_rng(1)
    then = [random.normal(size=rows) for _ in range(columns)]
    kept = [reference.profile({"x": values}, (), np.zeros((rows, 0)), values, ordered=False)["columns"]["x"] for values in then]
    now, took = random.normal(size=(columns, rows)), []
    shares = [np.array(one["proportions"]) for one in kept]
    for _ in range(50):
        started = time.perf_counter()
        for values, one, share in zip(now, kept, shares, strict=True):
            bins.psi(share, bins.numbers(values, one["edges"]))
        took.append(1e3 * (time.perf_counter() - started))
    return statistics.median(took)


def run(runs: int, say: Say) -> dict[str, Any]:
    found: dict[str, Any] = {"psi_ms": psi_ms(), "models": {}}
    say(f"PSI of 10 000 x 16 with kept bins: {found['psi_ms']:.2f} ms")
    for model in (NORMAL, *catalogue.names()):
        of = normal() if model == NORMAL else subject(model)
        windows = [normal_rows(number) if model == NORMAL else asked(of, 1000 + number) for number in range(runs)]
        false = false_alarms(of, windows)
        say(f"{model}: {false['alarms']} false alarms in {runs} checks of {ROWS} rows ({false['tests']} tests each, {false['ms']:.0f} ms)")
        powers = {name: power(of, windows, name) for name in ([] if of.profile["ordered"] else numbers(of, windows[0]))}
        if powers:
            least = min(powers, key=lambda name: powers[name])
            say(f"{model}: {len(powers)} numbers, each moved by {SHIFT:g} standard deviations; the hardest, {least}, is found in {powers[least]:.1%}")
        known = None
        if model != NORMAL:
            known = statistics.mean(check(of, asked(of, 5000 + number, 1.0))["alarm"] for number in range(runs))
            say(f"{model}: rows of its generator with drift 1 raise an alarm in {known:.1%} of {runs} checks")
        found["models"][model] = {"false_alarms": false, "power": powers, "drift_1": known}
    return found


def misses(found: dict[str, Any]) -> list[str]:
    """What is not as it should be, in words."""
    wrong = [f"PSI takes {found['psi_ms']:.1f} ms"] if found["psi_ms"] > MOST_PSI_MS else []
    for model, one in found["models"].items():
        if one["false_alarms"]["share"] > MOST_FALSE:
            wrong.append(f"{model}: {one['false_alarms']['share']:.1%} false alarms")
        if one["drift_1"] is not None and one["drift_1"] < LEAST_POWER:
            wrong.append(f"{model}: drift 1 is found in {one['drift_1']:.1%} alone")
        wrong += [f"{model}: {name} is found in {share:.1%} alone" for name, share in one["power"].items() if share < LEAST_POWER]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.drift", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"default {RUNS}")
    wrong = misses(run(parser.parse_args().runs, lambda line: print(line, flush=True)))
    for line in wrong:
        print(f"MISSED: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
