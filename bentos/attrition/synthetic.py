"""Invented employees with a documented relation, so that everything runs without the published file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bentos.attrition.features import CATEGORIES
from bentos.attrition.train import TARGET

LAB = ("Healthcare Representative", "Laboratory Technician", "Manufacturing Director", "Research Director", "Research Scientist")
ROLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Human Resources": (("Human Resources",), ("Human Resources", "Manager")),
    "Research & Development": (LAB[1::3], (LAB[0], LAB[2], LAB[3], "Manager")),
    "Sales": (("Sales Representative", "Sales Executive"), ("Sales Executive", "Manager")),
}
"""Each department's roles up to job level 2, and above."""


def synthetic(rows: int, seed: int, drift: float) -> pd.DataFrame:
    """Employees like IBM's: about 16 % leave.

    The log odds of leaving are -3.1 + 1.5 for overtime + 0.6 for each step of travel + 0.95 at job level 1 + 0.8 without stock options
    + 0.45 for each of five grades that is 1 - 0.30 × (each of those grades - 2.7, added up) + 0.04 × (distance - 9) + 0.12 × (earlier employers - 2.7)
    - 0.45 × root(years in the role) + 0.09 × years since promotion - 0.10 × (income / 1000 above what is usual at the level) - 0.04 × (age - 37).

    `drift` 1 makes the workforce younger by about five years, worked harder (overtime 28 → 58 %), lower in its grades by about half a step and paid
    20 % more; and halves the effect of overtime while that of distance doubles. Values between mix in proportion.
    """
    random = np.random.default_rng(seed)

    def choose(values: tuple[Any, ...], odds: list[float]) -> NDArray[Any]:
        chances = np.array(odds) / sum(odds)
        return np.array(values)[random.choice(len(values), size=rows, p=chances)]

    def part(whole: NDArray[np.int64], a: float, b: float, most: int) -> NDArray[np.int64]:
        return np.minimum(np.floor((whole + 0.999) * random.beta(a, b, rows)).astype(np.int64), np.minimum(whole, most))

    def grade() -> NDArray[Any]:
        return choose((1, 2, 3, 4), [0.15 + 0.2 * drift, 0.22 + 0.1 * drift, 0.38, max(0.25 - 0.2 * drift, 0.01)])

    age = np.floor(18 + 42.99 * random.beta(2.3, 2.9 + 1.5 * drift, rows)).astype(np.int64)
    working = np.maximum(age - 18 - random.poisson(6, rows), 0)
    employers = np.where(working < 2, 1, np.minimum(random.poisson(2.7, rows), 9))
    tenure = np.where(employers <= 1, np.maximum(working - 1 + employers, 0), part(working, 1.6, 1.9, 40))
    level = np.clip(np.round(0.8 + working / 10 + random.normal(0, 0.6, rows)), 1, 5).astype(np.int64)
    usual = np.array([2800, 5500, 9800, 15500, 19200])[level - 1]
    income = np.round(usual * (1 + 0.2 * drift) * np.exp(random.normal(0, 0.18, rows))).astype(np.int64).clip(1000)
    department = choose(CATEGORIES["department"], [0.04, 0.65, 0.31])
    pick = random.random(rows)
    role = np.empty(rows, dtype=object)
    for name, (junior, senior) in ROLES.items():
        for titles, there in ((junior, level <= 2), (senior, level > 2)):
            here = (department == name) & there
            role[here] = np.array(titles)[(pick[here] * len(titles)).astype(int)]
    marital = choose(("Single", "Married", "Divorced"), [0.32, 0.46, 0.22])
    stock = np.where(marital == "Single", 0, choose((0, 1, 2, 3), [0.17, 0.59, 0.16, 0.08]))
    hike = np.minimum(11 + np.floor(random.exponential(4.2, rows)), 25).astype(np.int64)
    frame = pd.DataFrame(
        {
            "age": age,
            "gender": choose(("Female", "Male"), [0.4, 0.6]),
            "marital_status": marital,
            "department": department,
            "job_role": role,
            "job_level": level,
            "monthly_income": income,
            "percent_salary_hike": hike,
            "stock_option_level": stock,
            "over_time": choose(("No", "Yes"), [0.72 - 0.3 * min(drift, 2), 0.28 + 0.3 * min(drift, 2)]),
            "business_travel": choose(CATEGORIES["business_travel"], [0.1, 0.71, 0.19]),
            "distance_from_home": np.minimum(1 + np.floor(random.exponential(8.5, rows)), 29).astype(np.int64),
            "education": choose((1, 2, 3, 4, 5), [0.12, 0.19, 0.39, 0.27, 0.03]),
            "education_field": choose(CATEGORIES["education_field"], [0.02, 0.41, 0.11, 0.32, 0.09, 0.05]),
            "environment_satisfaction": grade(),
            "job_satisfaction": grade(),
            "relationship_satisfaction": grade(),
            "work_life_balance": grade(),
            "job_involvement": grade(),
            "performance_rating": np.where(hike >= 20, 4, 3),
            "training_times_last_year": np.minimum(random.poisson(2.8, rows), 6),
            "num_companies_worked": employers,
            "total_working_years": working,
            "years_at_company": tenure,
            "years_in_current_role": part(tenure, 2.5, 1.6, 18),
            "years_since_last_promotion": part(tenure, 0.7, 1.6, 15),
            "years_with_curr_manager": part(tenure, 2.5, 1.7, 17),
        }
    )
    usual_income = pd.Series(usual * 1.0)
    frame[TARGET] = (random.random(rows) < 1 / (1 + np.exp(-_odds(frame, usual_income, drift)))).astype(np.int64)
    return frame


def _odds(frame: pd.DataFrame, usual_income: pd.Series[float], drift: float) -> pd.Series[float]:
    """Log odds of leaving, as the docstring of `synthetic` gives them."""
    grades = frame[["environment_satisfaction", "job_satisfaction", "relationship_satisfaction", "work_life_balance", "job_involvement"]]
    return (
        -3.1
        + 1.5 * (1 - 0.5 * drift) * (frame["over_time"] == "Yes")
        + 0.6 * frame["business_travel"].map({"Non-Travel": -1, "Travel_Rarely": 0, "Travel_Frequently": 1})
        + 0.95 * (frame["job_level"] == 1)
        + 0.8 * (frame["stock_option_level"] == 0)
        + 0.45 * (grades == 1).sum(axis=1)
        - 0.30 * (grades - 2.7).sum(axis=1)
        + 0.04 * (1 + drift) * (frame["distance_from_home"] - 9)
        + 0.12 * (frame["num_companies_worked"] - 2.7)
        - 0.45 * frame["years_in_current_role"] ** 0.5
        + 0.09 * frame["years_since_last_promotion"]
        - 0.10 * (frame["monthly_income"] - usual_income) / 1000
        - 0.04 * (frame["age"] - 37)
    )
