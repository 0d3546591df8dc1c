"""The rules of a model's `Input` for whole columns: they say yes to what is plainly good, pydantic says the rest.

What is translated is pydantic's core schema, which states everything that validation does. A model, or a field, with anything that is not known here (a
validator, an alias, a pattern, a list) has no rule for columns: pydantic then sees each of its rows.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from services.pipeline.scored.columns import Bools

Rule = Callable[[pa.Array], Bools]
"""Which values are certainly good."""

_COMMON = {"type", "metadata", "ref", "strict", "allow_inf_nan"}
_KNOWN = {"int": {"ge", "gt", "le", "lt"}, "float": {"ge", "gt", "le", "lt"}, "bool": set[str](), "str": {"min_length", "max_length"}, "literal": {"expected"}}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {"ge": np.greater_equal, "gt": np.greater, "le": np.less_equal, "lt": np.less}
_MODEL = {"type", "cls", "config", "custom_init", "root_model", "schema", "metadata", "ref"}
_FIELDS = {"type", "computed_fields", "fields", "model_name", "metadata", "ref"}


def of_model(model: type[BaseModel]) -> dict[str, Rule] | None:
    """By field; None where pydantic has to see every row."""
    schema: Mapping[str, Any] = model.__pydantic_core_schema__
    inner = schema.get("schema", {})
    if schema["type"] != "model" or schema.keys() - _MODEL or inner["type"] != "model-fields" or inner.keys() - _FIELDS:
        return None
    if schema["custom_init"] or schema["root_model"] or inner["computed_fields"]:
        return None
    rules = {name: _field(field) for name, field in inner["fields"].items()}
    return None if any(rule is None for rule in rules.values()) else {name: rule for name, rule in rules.items() if rule}


def _field(field: Mapping[str, Any]) -> Rule | None:
    """A missing value is left to pydantic where the field has a default."""
    if field.keys() - {"type", "schema", "metadata"}:
        return None
    schema, nullable = field["schema"], False
    if schema["type"] == "default":
        if schema.get("validate_default") or schema["schema"]["type"] == "nullable":
            return None
        schema = schema["schema"]
    elif schema["type"] == "nullable":
        schema, nullable = schema["schema"], True
    rule = _value(schema)
    if rule is None:
        return None

    def good(values: pa.Array) -> Bools:
        known: Bools = values.is_valid().to_numpy(zero_copy_only=False)
        return (known & rule(values)) | (~known if nullable else False)

    return good


def _value(schema: Mapping[str, Any]) -> Rule | None:
    kind = schema["type"]
    if kind not in _KNOWN or schema.keys() - _KNOWN[kind] - _COMMON or not schema.get("strict", True):
        return None
    bounds = [(_COMPARE[name], schema[name]) for name in _COMPARE if name in schema]
    match kind:
        case "literal":
            return _literal(schema["expected"])
        case "bool":
            return lambda values: np.ones(len(values), dtype=np.bool_)
        case "str":
            return _text(schema.get("min_length", 0), schema.get("max_length"))

    def within(values: pa.Array) -> Bools:
        numbers = values.to_numpy(zero_copy_only=False)
        good = np.ones(len(values), dtype=np.bool_)
        for compare, bound in bounds:
            good &= compare(numbers, bound)
        return good

    return within


def _literal(expected: list[Any]) -> Rule | None:
    kinds = {type(value) for value in expected}
    if kinds not in ({int}, {str}):
        return None
    allowed = pa.array(expected)
    return lambda values: _bools(pc.is_in(values, value_set=allowed))


def _text(least: int, most: int | None) -> Rule:
    def good(values: pa.Array) -> Bools:
        length = pc.utf8_length(values)
        found = pc.greater_equal(length, least) if most is None else pc.and_(pc.greater_equal(length, least), pc.less_equal(length, most))
        # PostgreSQL cannot keep that character: no row with it is answered.
        return _bools(found) & ~_bools(pc.match_substring(values, "\0"))

    return good


def _bools(found: Any) -> Bools:
    filled: Bools = pc.fill_null(found, False).to_numpy(zero_copy_only=False)
    return filled
