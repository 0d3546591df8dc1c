"""One column of a window beside the reference of its version: every figure, and the tests that a verdict is made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bentos.catalogue import Drift
from services.pipeline.drift import bins, statistics

Reference = Mapping[str, Any]
FIGURES = ("psi", "ks", "wasserstein", "chi2", "unseen", "out_of_range")


@dataclass(frozen=True)
class Test:
    """Something that may have changed: `over` has the effects that exceed the policy, in words, `p_value` how probable all this is if nothing has changed."""

    name: str
    p_value: float
    over: list[str]


@dataclass
class Compared:
    """`rows` are those with a value; None is a figure that does not belong to the kind of the column, or that the reference cannot give."""

    feature: str
    kind: str
    rows: int
    missing: float
    reference_missing: float
    figures: dict[str, float | None]
    bins: dict[str, Any]
    tests: list[Test] = field(default_factory=list)


def column(feature: str, reference: Reference, values: NDArray[Any], policy: Drift, *, ordered: bool = False, default_rows: int = 0) -> Compared:
    """`default_rows`: of a reference that does not say how many rows it is of."""
    there = reference.get("rows", default_rows)
    if reference["kind"] == "number":
        return _numbers(feature, reference, np.asarray(values, dtype=np.float64), policy, ordered, there)
    return _categories(feature, reference, values, policy, there)


def _numbers(feature: str, reference: Reference, values: NDArray[np.float64], policy: Drift, ordered: bool, reference_rows: float) -> Compared:
    known = values[~np.isnan(values)]
    missing = 1 - len(known) / len(values)
    found = Compared(feature, "number", len(known), missing, reference["missing"], dict.fromkeys(FIGURES), {})
    # Rows of the reference resemble their neighbours just as much.
    weight = statistics.worth(values) if ordered else 1.0
    reference_rows *= weight
    found.tests += _missing(found, len(values), weight, reference_rows, policy)
    edges = reference["edges"]
    if not reference["proportions"]:
        return found
    counts = bins.numbers(values, edges)
    shares, known_then = np.array(reference["proportions"]), reference_rows * (1 - reference["missing"])
    found.bins = {"edges": edges, "reference": shares.tolist(), "now": (counts / max(len(known), 1)).tolist()}
    if len(known) < policy.min_rows:
        return found
    figures, kept = found.figures, statistics.curve(reference)
    figures["psi"] = bins.psi(shares, counts)
    # A version from before curves has nothing but its bins: their edges are points of the distribution too.
    ks = float(np.abs(np.cumsum(counts / len(known) - shares)).max()) if kept is None else statistics.kolmogorov(kept, known)
    figures["ks"] = ks
    figures["wasserstein"] = None if kept is None else statistics.wasserstein(kept, known, reference["std"])
    outside = int(np.count_nonzero((known < reference["min"]) | (known > reference["max"])))
    figures["out_of_range"] = outside / len(known)
    p_value = statistics.kolmogorov_p(ks, len(known) * weight, known_then)
    found.tests.append(Test("distribution", p_value, list(_over(figures, policy, "psi", "ks", "wasserstein"))))
    p_value = statistics.outside_p(outside * weight, len(known) * weight, known_then)
    found.tests.append(Test("range", p_value, list(_over(figures, policy, "out_of_range"))))
    return found


def _categories(feature: str, reference: Reference, values: NDArray[Any], policy: Drift, reference_rows: float) -> Compared:
    names, other = list(reference["categories"]), reference["other"]
    counts = bins.categories(values, names)
    rows = int(counts.sum())
    found = Compared(feature, "category", rows, 1 - rows / len(values), reference["missing"], dict.fromkeys(FIGURES), {})
    found.tests += _missing(found, len(values), 1.0, reference_rows, policy)
    shares, known_then = np.array([*reference["categories"].values(), other]), reference_rows * (1 - reference["missing"])
    found.bins = {"names": [*names, "other"], "reference": shares.tolist(), "now": (counts / max(rows, 1)).tolist()}
    if rows < policy.min_rows or not names:
        return found
    figures = found.figures
    figures["psi"] = bins.psi(shares, counts)
    figures["chi2"], p_value = statistics.chi2(shares, known_then, counts)
    found.tests.append(Test("distribution", p_value, list(_over(figures, policy, "psi"))))
    if not other:
        figures["unseen"] = float(counts[-1]) / rows
        p_value = statistics.share_p(float(counts[-1]), rows, 0.0, known_then)
        found.tests.append(Test("unseen", p_value, list(_over(figures, policy, "unseen"))))
    return found


def _missing(found: Compared, rows: int, weight: float, reference_rows: float, policy: Drift) -> Iterator[Test]:
    if rows < policy.min_rows:
        return
    change = found.missing - found.reference_missing
    words = [f"{found.missing:.1%} are missing instead of {found.reference_missing:.1%}"] if abs(change) > policy.missing else []
    yield Test("missing", statistics.share_p(found.missing * rows * weight, rows * weight, found.reference_missing, reference_rows), words)


WORDS = {
    "psi": "PSI {:.3g} is over {:g}",
    "ks": "KS {:.3g} is over {:g}",
    "wasserstein": "it has moved by {:.3g} standard deviations, over {:g}",
    "out_of_range": "{:.1%} lie outside of what was learned from, over {:.1%}",
    "unseen": "{:.1%} are texts that were not learned from, over {:.1%}",
}


def _over(figures: Mapping[str, float | None], policy: Drift, *names: str) -> Iterator[str]:
    for name in names:
        value, limit = figures[name], getattr(policy, name)
        if value is not None and value > limit:
            yield WORDS[name].format(value, limit)
