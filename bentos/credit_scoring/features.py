"""From an application's columns to the matrix of the forest.

A missing value becomes -1, below everything that a column can hold, so that a split can tell it apart and no NaN reaches the trees. Only operations
that IEEE 754 rounds correctly are used: a row gives the same bits alone, in a batch and on another processor.
"""

import numpy as np

from bentos.contract import Columns, Floats
from bentos.encoding import codes

MISSING = -1.0

CATEGORIES: dict[str, tuple[str, ...]] = {
    "contract_type": ("Cash loans", "Revolving loans"),
    "income_type": ("Unemployed", "Student", "Maternity leave", "Working", "Commercial associate", "State servant", "Businessman", "Pensioner"),
    "education": ("Lower secondary", "Secondary / secondary special", "Incomplete higher", "Higher education", "Academic degree"),
}
NUMBERS = (
    "credit_amount",
    "annuity",
    "goods_price",
    "income_total",
    "age_years",
    "employed_years",
    "id_document_years",
    "phone_change_years",
    "own_car_age_years",
    "region_rating",
    "ext_source_1",
    "ext_source_2",
    "ext_source_3",
)
DERIVED = (
    "credit_per_income",
    "annuity_per_income",
    "payments",
    "goods_per_credit",
    "employed_share_of_age",
    "ext_sources_mean",
    "ext_sources_min",
    "ext_sources_max",
)
RATIOS = (
    ("credit_amount", "income_total"),
    ("annuity", "income_total"),
    ("credit_amount", "annuity"),
    ("goods_price", "credit_amount"),
    ("employed_years", "age_years"),
)
_CODES = {name: {level: code for code, level in enumerate(levels)} for name, levels in CATEGORIES.items()}

FEATURES: tuple[str, ...] = (*CATEGORIES, *NUMBERS, *DERIVED)

SOURCES: dict[str, tuple[str, ...]] = {
    **dict(zip(DERIVED, RATIOS, strict=False)),
    **dict.fromkeys(DERIVED[len(RATIOS) :], ("ext_source_1", "ext_source_2", "ext_source_3")),
}
"""The fields that a derived feature is made of."""

_FIRST_DERIVED = len(CATEGORIES) + len(NUMBERS)
_OVER, _UNDER = (np.array([FEATURES.index(pair[side]) for pair in RATIOS]) for side in (0, 1))


def matrix(columns: Columns) -> Floats:
    """Filled feature by feature and turned at the end: few steps for a single row, and long ones for many."""
    out = np.empty((len(FEATURES), len(columns["credit_amount"])), dtype=np.float64)
    out[: len(CATEGORIES)] = codes(columns, _CODES)
    out[len(CATEGORIES) : _FIRST_DERIVED] = [columns[name] for name in NUMBERS]
    at = _FIRST_DERIVED + len(RATIOS)
    np.divide(out.take(_OVER, axis=0), out.take(_UNDER, axis=0), out=out[_FIRST_DERIVED:at])
    scores = out[_FIRST_DERIVED - 3 : _FIRST_DERIVED]
    count = np.add.reduce(scores == scores, axis=0)
    known = np.fmax(scores, 0.0)  # a score is never below; an unknown one adds nothing
    # None known: 0 / 0 would be NaN with a warning; -1 / 1 is the missing value at once.
    np.divide(known[0] + known[1] + known[2] + MISSING * (count == 0), np.maximum(count, 1), out=out[at])
    np.fmin.reduce(scores, axis=0, out=out[at + 1])
    np.fmax.reduce(scores, axis=0, out=out[at + 2])
    out[np.isnan(out)] = MISSING
    return np.ascontiguousarray(out.T)
