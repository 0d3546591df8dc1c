"""The part of the model contract that needs pydantic alone: whoever imports this needs no numpy."""

from importlib import import_module
from typing import Any, Literal, Protocol, cast

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


Kind = Literal["integer", "number", "boolean", "text"]


def kinds(model: type[BaseModel]) -> dict[str, Kind]:
    """What each field carries in JSON, alone or in a list; in the order of the fields."""
    document = model.model_json_schema()

    def kind(part: dict[str, Any]) -> Kind:
        if "$ref" in part:
            return kind(document["$defs"][part["$ref"].rpartition("/")[2]])
        if part.get("type") == "array":
            return kind(part["items"])
        types = {option.get("type") for option in part.get("anyOf", [part])} - {"null"}
        if len(types) > 1:
            return "number"
        return {"integer": "integer", "boolean": "boolean", "string": "text"}.get(types.pop(), "number")  # type: ignore[return-value]

    return {name: kind(part) for name, part in document["properties"].items()}
