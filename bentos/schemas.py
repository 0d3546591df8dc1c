"""The part of the model contract that needs pydantic alone: whoever imports this needs no numpy."""

from importlib import import_module
from typing import Any, Protocol, cast

from pydantic import BaseModel


class Schema(Protocol):
    """`bentos.<model>.schema`"""

    Input: type[BaseModel]
    """One request row; strict, extra fields forbidden, NaN refused. Each field has a title and a description."""
    Output: type[BaseModel]
    """What is answered for one row, without the platform's own fields (ids and versions)."""
    Record: type[BaseModel]
    """One row of the training frame without the target: `Input` itself where a row is an example."""
    EXAMPLE: dict[str, Any]
    """A valid `Input`, shown in the documentation and sent by `modelyard predict`."""


def schema(model: str) -> Schema:
    return cast(Schema, import_module(f"bentos.{model}.schema"))
