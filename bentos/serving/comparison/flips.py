"""Rows that two versions decide differently, overall and where."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from bentos.serving.comparison import intervals
from bentos.serving.comparison.pairs import Flags, Pairs

MOST_VALUES = 12
"""Of a category; the rarer ones are one segment together."""
FEWEST_ROWS = 20
"""Smaller segments say nothing."""
OTHERS = "others"


def overall(pairs: Pairs) -> dict[str, Any] | None:
    """None for a regression, which decides nothing."""
    if pairs.decided is None or pairs.decides is None:
        return None
    known = pairs.scored
    decided, decides = pairs.decided[known], pairs.decides[known]
    found = _counted(int((decided != decides).sum()), len(decided))
    return found | {"to_positive": int((~decided & decides).sum()), "to_negative": int((decided & ~decides).sum())}


def segments(pairs: Pairs) -> list[dict[str, Any]]:
    """Of each column: every common value of a category, every quarter of a number. Most flips first."""
    if pairs.decided is None or pairs.decides is None:
        return []
    flipped = (pairs.decided != pairs.decides) & pairs.scored
    found = [
        {"feature": feature, "segment": segment} | _counted(int((flipped & rows).sum()), count)
        for feature, segment, rows in _parts(pairs)
        if (count := int((rows & pairs.scored).sum())) >= FEWEST_ROWS
    ]
    return sorted(found, key=lambda one: -one["share"])


def _counted(hits: int, rows: int) -> dict[str, Any]:
    low, high = intervals.share(hits, rows)
    return {"rows": rows, "flips": hits, "share": hits / rows if rows else 0.0, "low": low, "high": high}


def _parts(pairs: Pairs) -> Iterator[tuple[str, str, Flags]]:
    for feature, values in pairs.columns.items():
        if values.dtype == object:
            yield from ((feature, segment, rows) for segment, rows in _categories(values))
        elif values.ndim == 1:
            yield from ((feature, segment, rows) for segment, rows in _quarters(values))


def _categories(values: Any) -> Iterator[tuple[str, Flags]]:
    texts = np.array(["missing" if value is None else str(value) for value in values.tolist()])
    names, codes, counts = np.unique(texts, return_inverse=True, return_counts=True)
    common = np.argsort(-counts)[:MOST_VALUES]
    for place in common:
        yield str(names[place]), codes == place
    if len(names) > MOST_VALUES:
        yield OTHERS, ~np.isin(codes, common)


def _quarters(values: Any) -> Iterator[tuple[str, Flags]]:
    """Where a value is so frequent that two bounds are the same, there are fewer parts."""
    known = ~np.isnan(values)
    if not known.any():
        return
    edges = np.unique(np.quantile(values[known], (0.25, 0.5, 0.75)))
    codes = np.searchsorted(edges, values, side="right")
    bounds = ["", *map(_bound, edges.tolist()), ""]
    for place in range(len(edges) + 1):
        low, high = bounds[place], bounds[place + 1]
        yield f"{low} – {high}" if low and high else f"from {low}" if low else f"below {high}", (codes == place) & known
    if not known.all():
        yield "missing", ~known


def _bound(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
