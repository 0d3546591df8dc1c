"""Text categories as numbers, for the models' `features.py`: numpy only, because runners import it."""

from collections.abc import Mapping

import numpy as np

from bentos.contract import Columns, Floats


def codes(columns: Columns, known: Mapping[str, Mapping[str, int]]) -> Floats:
    """Each text's number: a row of the result per field of `known`, in its order.

    Raises ValueError, naming the field, for a text that has no number and for a missing one.
    """
    try:
        return np.array([[numbers[text] for text in columns[name].tolist()] for name, numbers in known.items()], dtype=np.float64)
    except KeyError:
        raise ValueError(_unknown(columns, known)) from None


def _unknown(columns: Columns, known: Mapping[str, Mapping[str, int]]) -> str:
    """The first such text. Raises KeyError for a column that is not there."""
    name, text = next((name, text) for name, numbers in known.items() for text in columns[name].tolist() if text not in numbers)
    return f"{name}: {text!r} is none of {', '.join(known[name])}"
