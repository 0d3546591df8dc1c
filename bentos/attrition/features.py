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
_LEVEL = np.array([level for _, levels in _LEVELS for level in levels], dtype=np.float64)[:, None]

FEATURES: tuple[str, ...] = (
    *PLAIN,
    *(f"root({name})" for name in ROOTS),
    *RATIOS,
    *(f"{name}={level}" for name, levels in (GRADES | CATEGORIES).items() for level in levels),
)


SOURCES: dict[str, str | tuple[str, ...]] = {
    **{f"root({name})": name for name in ROOTS},
    "income_per_level": ("monthly_income", "job_level"),
    "years_per_employer": ("total_working_years", "num_companies_worked"),
    "promotion_wait_share": ("years_since_last_promotion", "years_at_company"),
    **{f"{name}={level}": name for name, levels in (GRADES | CATEGORIES).items() for level in levels},
}
"""The fields that a feature is made of where it has not the field's name."""

_GRADED = len(PLAIN) + len(ROOTS) + len(RATIOS)


def matrix(columns: Columns) -> Floats:
    """Filled feature by feature and turned at the end: few steps for a single row, and long ones for many."""
    rows = len(columns["job_level"])
    out = np.empty((len(FEATURES), rows), dtype=np.float64)
    out[: len(PLAIN)] = [columns[name] for name in PLAIN]
    at = len(PLAIN)
    np.sqrt([columns[name] for name in ROOTS], out=out[at : at + len(ROOTS)])
    at += len(ROOTS)
    np.divide(columns["monthly_income"], columns["job_level"], out=out[at])
    np.divide(columns["total_working_years"], columns["num_companies_worked"] + 1, out=out[at + 1])
    np.divide(columns["years_since_last_promotion"], columns["years_at_company"] + 1, out=out[at + 2])
    scales = np.empty((len(_LEVELS), rows), dtype=np.float64)
    scales[: len(GRADES)] = [columns[name] for name in GRADES]
    scales[len(GRADES) :] = codes(columns, _CODES)
    np.equal(scales.take(_SCALE, axis=0), _LEVEL, out=out[_GRADED:], casting="unsafe")
    return np.ascontiguousarray(out.T)
