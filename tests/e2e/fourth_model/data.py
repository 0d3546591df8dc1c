from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bentos import tabular


def synthetic(rows: int, seed: int, drift: float) -> pd.DataFrame:
    """The log odds of `good` are 1.2 × (alcohol - 12) + organic - 0.5 for red; drift adds 2 per cent of alcohol."""
    random = np.random.default_rng(seed)
    alcohol = np.clip(random.normal(12 + 2 * drift, 1.5, rows), 6, 19).round(1)
    organic = random.random(rows) < 0.3
    grape = random.choice(np.array(["red", "white", None], dtype=object), rows, p=[0.5, 0.4, 0.1])
    acidity = np.where(random.random(rows) < 0.2, np.nan, random.uniform(3, 9, rows).round(2))
    odds = 1.2 * (alcohol - 12) + organic - 0.5 * (grape == "red")
    good = (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    return pd.DataFrame({"alcohol": alcohol, "acidity": acidity, "organic": organic, "grape": grape, "good": good})


def files(paths: Sequence[Path]) -> pd.DataFrame:
    columns = ["alcohol", "acidity", "organic", "grape", "good"]
    found = tabular.find(paths, {"wines": columns})
    if not found:
        raise tabular.nearest(paths, [columns])
    frame = tabular.read(found["wines"], columns)
    tabular.convert(frame, {"organic": {"yes": True, "no": False}, "good": {"0": 0, "1": 1}}, ["alcohol", "acidity"])
    return frame
