"""Rows whose scores every runner must reproduce before it serves."""

from typing import Any

import numpy as np

from bentos import contract
from bentos.contract import Examples, Floats

ROWS = 32


def rows(model: str, holdout: Examples, scores: Floats) -> list[dict[str, Any]]:
    """Hold-out rows from the lowest to the highest score, as a runner gets them: through the model's `Input`.

    Raises ValidationError when `Input` refuses an example: training and serving then disagree about what a row is.
    """
    schema = contract.schema(model).Input
    ranked = np.argsort(scores, kind="stable")
    chosen = holdout.take(ranked[np.unique(np.linspace(0, len(ranked) - 1, ROWS).round().astype(int))])
    plain = contract.rows_of_columns(chosen.columns, contract.kinds(schema))
    return [schema.model_validate(row).model_dump(mode="json") for row in plain]
