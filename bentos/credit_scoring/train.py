"""How the credit model learns: a random forest whose probabilities are those of its leaves, without class weights, so that costs can be applied to them."""

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier

from bentos import tabular
from bentos.contract import Examples, Problem
from bentos.credit_scoring.schema import Record

TARGET = "default"


def problems(frame: pd.DataFrame) -> list[Problem]:
    """Only what cannot be: the published table is known to hold many odd rows that are real."""
    return tabular.ordered(frame, [("annuity", "credit_amount"), ("employed_years", "age_years")])


def examples(frame: pd.DataFrame) -> Examples:
    """Metrics are also read per age group: age may count in a score, but must not be all of it."""
    groups = pd.cut(frame["age_years"], [0, 30, 45, 60, 200], right=False, labels=["under 30", "30 to 44", "45 to 59", "60 and over"])
    return tabular.examples(frame, Record, TARGET, groups=groups)


def estimator(seed: int) -> BaseEstimator:
    """Predicts single-threaded; a caller fits on several cores with `joblib.parallel_config(n_jobs=…)`, which `n_jobs=None` obeys."""
    return RandomForestClassifier(n_estimators=100, max_depth=10, min_samples_leaf=20, max_features="sqrt", random_state=seed)
