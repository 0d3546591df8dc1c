"""Invented applications with a documented relation: Home Credit's table may not be passed on, so this is what the platform trains on by default."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bentos.credit_scoring.features import CATEGORIES
from bentos.credit_scoring.train import TARGET


def synthetic(rows: int, seed: int, drift: float) -> pd.DataFrame:
    """Applications with the ranges and gaps of Home Credit's: about 8 % run into payment difficulties.

    The log odds of difficulties are -3.0 - 2.4 × (score 1 - 0.5) - 3.2 × (score 2 - 0.51) - 3.6 × (score 3 - 0.51), an unknown score counting 0,
    + 2.5 × (annuity / income - 0.18) + 0.8 × (credit / goods price - 1.1) - 0.018 × (age - 44) - 0.05 × (years in the job - 6), - 0.1 without a job,
    - 0.07 × (years with the phone number - 2.6) - 0.03 × (age of the document - 8) + 0.35 × (region rating - 2) - 0.25 × (education - 1, from 0 to 4)
    - 0.45 for a revolving loan - 0.25 with a car of up to 10 years + 0.3 below 30 years of age with more than 30 payments.

    `drift` 1 makes clients about 6 years younger, lowers incomes by 25 %, raises loans by 30 %, lowers the outside scores by 0.1 and loses a quarter
    more of score 3; and takes 60 % off the scores' weights, so that a model trained before ranks worse. Values between mix in proportion.
    """
    random = np.random.default_rng(seed)

    def choose(values: tuple[Any, ...], odds: list[float]) -> NDArray[Any]:
        return np.array(values, dtype=object)[random.choice(len(values), size=rows, p=np.array(odds) / sum(odds))]

    def score(middle: Any, missing: float) -> NDArray[np.float64]:
        values = np.clip(random.normal(middle - 0.1 * drift, 0.19, rows), 0.0005, 0.96).round(6)
        return np.where(random.random(rows) < missing, np.nan, values)

    def gaps(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(random.random(rows) < 0.002, np.nan, values)

    age = (20.5 + 48.5 * random.beta(1.9, 2.0 + 1.3 * drift, rows)).round(1)
    retired = random.random(rows) < 1 / (1 + np.exp(-(age - 58) / 2.2))
    income_type = np.where(retired, "Pensioner", choose(CATEGORIES["income_type"][:-1], [0.001, 0.001, 0.0005, 0.63, 0.28, 0.085, 0.0005]))
    employed = np.minimum(random.gamma(1.0, 6.5, rows), 0.7 * (age - 18)).round(1)
    income = (147_000 * (1 - 0.25 * drift) * np.exp(random.normal(0, 0.5, rows)) / 4500).round().clip(6) * 4500.0
    revolving = random.random(rows) < 0.095
    credit = (np.where(revolving, 270_000, 510_000) * (1 + 0.3 * drift) * np.exp(random.normal(0, 0.65, rows)) / 4500).round().clip(10, 900) * 4500.0
    payments = np.where(revolving, 20.0, 10 + 35 * random.beta(1.5, 3.2, rows))
    car_age = np.where(random.random(rows) < 0.34, np.floor(random.gamma(1.6, 7.5, rows)).clip(0, 65), np.nan)
    frame = pd.DataFrame(
        {
            "contract_type": np.where(revolving, "Revolving loans", "Cash loans"),
            "credit_amount": credit,
            "annuity": gaps((credit / payments / 4.5).round() * 4.5),
            "goods_price": gaps((credit / random.choice([1.0, 1.05, 1.1, 1.2, 1.3], size=rows) / 4500).round().clip(9) * 4500.0),
            "income_total": income,
            "income_type": income_type,
            "education": choose(CATEGORIES["education"], [0.012, 0.71, 0.033, 0.244, 0.001]),
            "age_years": age,
            "employed_years": np.where(np.isin(income_type, ["Pensioner", "Unemployed"]), np.nan, employed),
            "id_document_years": random.uniform(0, 17, rows).round(1),
            "phone_change_years": gaps(np.minimum(random.exponential(2.7, rows), 11.7).round(1)),
            "own_car_age_years": car_age,
            "region_rating": random.choice([1, 2, 3], size=rows, p=[0.11, 0.747, 0.143]),
            "ext_source_1": score(0.5 + 0.007 * (age - 44), 0.56),
            "ext_source_2": score(0.51, 0.002),
            "ext_source_3": score(0.51, min(0.2 + 0.25 * drift, 1.0)),
        }
    )
    frame[TARGET] = (random.random(rows) < 1 / (1 + np.exp(-_odds(frame, drift)))).astype(np.int64)
    return frame


def _odds(frame: pd.DataFrame, drift: float) -> pd.Series[float]:
    """Log odds of payment difficulties, as the docstring of `synthetic` gives them."""
    payments = frame["credit_amount"] / frame["annuity"]
    scores = (
        2.4 * (frame["ext_source_1"] - 0.5).fillna(0.0) + 3.2 * (frame["ext_source_2"] - 0.51).fillna(0.0) + 3.6 * (frame["ext_source_3"] - 0.51).fillna(0.0)
    )
    return (
        -3.0
        - (1 - 0.6 * drift) * scores
        + 2.5 * (frame["annuity"] / frame["income_total"] - 0.18).fillna(0.0)
        + 0.8 * (frame["credit_amount"] / frame["goods_price"] - 1.1).fillna(0.0)
        - 0.018 * (frame["age_years"] - 44)
        - (0.05 * (frame["employed_years"] - 6)).fillna(0.1)
        - 0.07 * (frame["phone_change_years"] - 2.6).fillna(0.0)
        - 0.03 * (frame["id_document_years"] - 8)
        + 0.35 * (frame["region_rating"] - 2)
        - 0.25 * (frame["education"].map({level: code for code, level in enumerate(CATEGORIES["education"])}) - 1)
        - 0.45 * (frame["contract_type"] == "Revolving loans")
        - 0.25 * (frame["own_car_age_years"] <= 10)
        + 0.3 * ((frame["age_years"] < 30) & (payments > 30))
    )
