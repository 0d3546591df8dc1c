import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier

from bentos import tabular
from bentos.contract import Examples, Problem
from bentos.wine_quality.schema import Record

TARGET = "good"


def problems(frame: pd.DataFrame) -> list[Problem]:
    return tabular.broken("alcohol", "too strong for a wine", frame["alcohol"] > 19.5)


def examples(frame: pd.DataFrame) -> Examples:
    return tabular.examples(frame, Record, TARGET, groups=frame["organic"])


def estimator(seed: int) -> BaseEstimator:
    return HistGradientBoostingClassifier(max_iter=40, random_state=seed)
