"""How the attrition model learns: a penalised logistic regression, chosen by the comparison in README.md."""

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bentos import tabular
from bentos.attrition.schema import Record
from bentos.contract import Examples, Problem

TARGET = "attrition"


def problems(frame: pd.DataFrame) -> list[Problem]:
    """Careers that cannot be: a part longer than the whole. Every rule holds in all published rows."""
    return tabular.ordered(
        frame,
        [
            ("years_in_current_role", "years_at_company"),
            ("years_since_last_promotion", "years_at_company"),
            ("years_with_curr_manager", "years_at_company"),
            ("years_at_company", "total_working_years"),
            ("total_working_years", "age"),
        ],
    )


def examples(frame: pd.DataFrame) -> Examples:
    """Metrics are also read per gender, which the model does not see."""
    return tabular.examples(frame, Record, TARGET, groups=frame["gender"])


def estimator(seed: int) -> BaseEstimator:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=2000, random_state=seed))
