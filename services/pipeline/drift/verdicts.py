"""From tests to verdicts: an effect over the policy that chance does not explain is drift, whatever is small or may be chance is not."""

from collections.abc import Mapping, Sequence
from typing import Any

from bentos.catalogue import Drift
from bentos.contract import Columns, Floats
from services.pipeline.drift import statistics
from services.pipeline.drift.compare import Compared, column

SCORE = "score"
NOT_KEPT = "the version was registered before scores of rows that it had not learned from were kept: its next training keeps them"
MOST_NAMED = 5


def check(reference: Mapping[str, Any], columns: Columns, scores: Floats, policy: Drift) -> dict[str, Any]:
    """{features, score, tests, alarm, words}. `columns` are those to be checked, by the reference's names; `scores` are the version's for the same rows."""
    known = reference["columns"] | reference["features"]
    there = {"ordered": reference.get("ordered", False), "default_rows": reference["rows"]}
    compared = [column(name, known[name], values, policy, **there) for name, values in columns.items() if name in known]
    compared.append(column(SCORE, reference[SCORE], scores, policy, **there))
    if not reference[SCORE].get("out_of_sample"):
        compared[-1].tests.clear()
    enough = len(scores) >= policy.min_rows
    tests = [test for one in compared for test in one.tests] if enough else []
    corrected = dict(zip(map(id, tests), statistics.holm([test.p_value for test in tests]), strict=True))
    *features, score = (_verdict(one, corrected, policy) for one in compared)
    if not reference[SCORE].get("out_of_sample"):
        score |= {"verdict": "too_few", "words": NOT_KEPT}
    drifted = [one["feature"] for one in (*features, score) if one["verdict"] == "drift"]
    return {"features": features, "score": score, "tests": len(tests), "alarm": bool(drifted), "words": _words(drifted, features, len(scores), policy)}


def _verdict(one: Compared, corrected: Mapping[int, float], policy: Drift) -> dict[str, Any]:
    made = [(test, corrected[id(test)]) for test in one.tests if id(test) in corrected]
    drifted = [(test, p) for test, p in made if test.over and p < policy.significance]
    test, p = min(drifted or made, key=lambda pair: pair[1], default=(None, None))
    return {
        "feature": one.feature,
        "kind": one.kind,
        "rows": one.rows,
        "missing": one.missing,
        "reference_missing": one.reference_missing,
        **one.figures,
        "p_value": None if test is None else test.p_value,
        "p_adjusted": p,
        "tests": [{"test": test.name, "p_value": test.p_value, "p_adjusted": p, "over": test.over} for test, p in made],
        "bins": one.bins,
        "verdict": "drift" if drifted else "too_few" if one.rows < policy.min_rows or not made else "ok",
        "words": _of_column(one, [words for test, _ in drifted for words in test.over], [words for test, _ in made for words in test.over], policy),
    }


def _of_column(one: Compared, drifted: Sequence[str], over: Sequence[str], policy: Drift) -> str:
    if drifted:
        return "; ".join(drifted)
    if one.rows < policy.min_rows:
        return f"too few values: {one.rows}, {policy.min_rows} is the least"
    return f"{'; '.join(over)}, which may be chance" if over else ""


def _words(drifted: Sequence[str], features: Sequence[Mapping[str, Any]], rows: int, policy: Drift) -> str:
    if rows < policy.min_rows:
        return f"too few rows: {rows} in the window, {policy.min_rows} is the least"
    if not drifted:
        return f"no drift in {rows} rows"
    more = f" and {len(drifted) - MOST_NAMED} more" if len(drifted) > MOST_NAMED else ""
    return f"{', '.join(drifted[:MOST_NAMED])}{more} drifted: {len(drifted)} of {len(features) + 1} in {rows} rows"
