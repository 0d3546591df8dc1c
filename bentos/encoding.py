"""Text categories as numbers, for the models' `features.py`: numpy only, because runners import it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bentos.contract import Floats


def codes(field: str, values: NDArray[Any], known: Mapping[str, int]) -> Floats:
    """Each text's number. Raises ValueError, naming the field, for a text that is not in `known` and for a missing one."""
    try:
        return np.array([known[value] for value in values.tolist()], dtype=np.float64)
    except KeyError as unknown:
        raise ValueError(f"{field}: {unknown.args[0]!r} is none of {', '.join(known)}") from None
