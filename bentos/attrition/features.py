"""From an employee's columns to the matrix of the linear model.

Steps in a scale of grades are not equally large (the fall from level 1 to 2 is most of it), so every short scale is one column per grade. Tenure counts
less the longer it gets, so its root stands beside it. Only operations that IEEE 754 rounds correctly are used (no logarithm): a row gives the same
bits alone, in a batch and on another processor.
"""

import numpy as np

from bentos.contract import Columns, Floats
from bentos.encoding import codes

PLAIN = (
    "monthly_income",
    "percent_salary_hike",
    "performance_rating",
    "distance_from_home",
    "education",
    "training_times_last_year",
    "num_companies_worked",
    "total_working_years",
    "years_at_company",
    "years_in_current_role",
    "years_since_last_promotion",
    "years_with_curr_manager",
)
ROOTS = ("monthly_income", "total_working_years", "years_at_company", "years_in_current_role", "years_with_curr_manager")
RATIOS = ("income_per_level", "years_per_employer", "promotion_wait_share")
GRADES: dict[str, tuple[int, ...]] = {
    "job_level": (1, 2, 3, 4, 5),
    "stock_option_level": (0, 1, 2, 3),
    "environment_satisfaction": (1, 2, 3, 4),
    "job_satisfaction": (1, 2, 3, 4),
    "relationship_satisfaction": (1, 2, 3, 4),
    "work_life_balance": (1, 2, 3, 4),
    "job_involvement": (1, 2, 3, 4),
}
CATEGORIES: dict[str, tuple[str, ...]] = {
    "over_time": ("No", "Yes"),
    "business_travel": ("Non-Travel", "Travel_Rarely", "Travel_Frequently"),
    "department": ("Human Resources", "Research & Development", "Sales"),
    "job_role": (
        "Healthcare Representative",
        "Human Resources",
        "Laboratory Technician",
        "Manager",
        "Manufacturing Director",
        "Research Director",
        "Research Scientist",
        "Sales Executive",
        "Sales Representative",
    ),
    "education_field": ("Human Resources", "Life Sciences", "Marketing", "Medical", "Technical Degree", "Other"),
}

_CODES = {name: {level: code for code, level in enumerate(levels)} for name, levels in CATEGORIES.items()}
_LEVELS = [*GRADES.items(), *((name, tuple(range(len(levels)))) for name, levels in CATEGORIES.items())]
# For each indicator column: which scale it belongs to, and the grade or code it stands for.
_SCALE = np.array([i for i, (_, levels) in enumerate(_LEVELS) for _ in levels])
_LEVEL = np.array([level for _, levels in _LEVELS for level in levels], dtype=np.float64)

FEATURES: tuple[str, ...] = (
    *PLAIN,
    *(f"root({name})" for name in ROOTS),
    *RATIOS,
    *(f"{name}={level}" for name, levels in (GRADES | CATEGORIES).items() for level in levels),
)


def matrix(columns: Columns) -> Floats:
    rows = len(columns["job_level"])
    out = np.empty((rows, len(FEATURES)), dtype=np.float64)
    at = 0
    for name in PLAIN:
        out[:, at] = columns[name]
        at += 1
    for name in ROOTS:
        np.sqrt(columns[name], out=out[:, at])
        at += 1
    out[:, at] = columns["monthly_income"] / columns["job_level"]
    out[:, at + 1] = columns["total_working_years"] / (columns["num_companies_worked"] + 1)
    out[:, at + 2] = columns["years_since_last_promotion"] / (columns["years_at_company"] + 1)
    scales = np.empty((rows, len(_LEVELS)), dtype=np.float64)
    for i, name in enumerate(GRADES):
        scales[:, i] = columns[name]
    for i, name in enumerate(CATEGORIES, start=len(GRADES)):
        scales[:, i] = codes(name, columns[name], _CODES[name])
    np.equal(scales[:, _SCALE], _LEVEL, out=out[:, at + len(RATIOS) :], casting="unsafe")
    return out
