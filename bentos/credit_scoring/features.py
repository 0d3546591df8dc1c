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
_CODES = {name: {level: code for code, level in enumerate(levels)} for name, levels in CATEGORIES.items()}

FEATURES: tuple[str, ...] = (*CATEGORIES, *NUMBERS, *DERIVED)


def matrix(columns: Columns) -> Floats:
    out = np.empty((len(columns["credit_amount"]), len(FEATURES)), dtype=np.float64)
    for at, name in enumerate(CATEGORIES):
        out[:, at] = codes(name, columns[name], _CODES[name])
    for at, name in enumerate(NUMBERS, start=len(CATEGORIES)):
        out[:, at] = columns[name]
    credit, annuity, income = columns["credit_amount"], columns["annuity"], columns["income_total"]
    at = len(CATEGORIES) + len(NUMBERS)
    out[:, at] = credit / income
    out[:, at + 1] = annuity / income
    out[:, at + 2] = credit / annuity
    out[:, at + 3] = columns["goods_price"] / credit
    out[:, at + 4] = columns["employed_years"] / columns["age_years"]
    scores = out[:, at - 3 : at]
    known = scores == scores
    count = known.sum(axis=1)
    filled = np.where(known, scores, 0.0)
    # None known: 0 / 0 would be NaN with a warning; -1 / 1 is the missing value at once.
    out[:, at + 5] = (filled[:, 0] + filled[:, 1] + filled[:, 2] + MISSING * (count == 0)) / np.maximum(count, 1)
    np.fmin.reduce(scores, axis=1, out=out[:, at + 6])
    np.fmax.reduce(scores, axis=1, out=out[:, at + 7])
    out[np.isnan(out)] = MISSING
    return out
