"""Whole numbers as JSON has them: 5.0 is one, true and "5" are none."""

from pydantic import BeforeValidator


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""For an integer of a model that is strict; it stands behind the bounds."""
