"""Plain BentoML: a scikit-learn model as its documentation serves one, less the access log and the metrics, which the other targets do without too."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(name="plain", workers=1, traffic={"timeout": 60}, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Plain:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["BENCH_MODEL"])

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(rows)[:, 1]
