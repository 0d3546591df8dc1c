"""A row's decoder for the hot path, derived from pydantic's schema: msgspec says yes several times faster, pydantic alone says no, and in which words.

What is translated is pydantic's core schema, which states everything that validation does. Each kind of schema and each of its rules stands in the tables
below; a model with anything else (a validator, an alias, a lax field) has no fast form and is validated by pydantic.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel

_IGNORED = {"type", "metadata", "ref", "strict", "allow_inf_nan"}
"""`allow_inf_nan` adds nothing: msgspec takes finite numbers only."""
_RULES = {
    "int": {"ge", "gt", "le", "lt"},
    "float": {"ge", "gt", "le", "lt"},
    "bool": set[str](),
    "str": {"min_length", "max_length", "pattern"},
    "list": {"min_length", "max_length", "items_schema"},
    "literal": {"expected"},
    "nullable": {"schema"},
}
_OUTER = {
    "model": {"cls", "config", "custom_init", "root_model", "schema"},
    "model-fields": {"computed_fields", "fields", "model_name"},
    "model-field": {"schema"},
    "default": {"schema", "default", "default_factory", "default_factory_takes_data"},
}
_CONFIG = {"title", "strict", "extra_fields_behavior", "allow_inf_nan"}
_PLAIN = {"int": int, "float": float, "bool": bool, "str": str}
_SIMPLE_PATTERN = re.compile(r"\^(?:(?:\[\^?[A-Za-z0-9 ._/-]+\]|[A-Za-z0-9 _/-])(?:\{\d+(?:,\d*)?\}|[+*?])?)+\$")
"""Patterns that mean the same to Rust's regex crate and to Python's `re`."""


class NotExpressible(Exception):
    """Pydantic alone decides about such a model."""


def decoder(model: type[BaseModel]) -> Callable[[bytes], msgspec.Struct] | None:
    """Raises msgspec.DecodeError or ValueError for everything that pydantic refuses, and now and then for more; None when the model has no fast form."""
    try:
        return msgspec.json.Decoder(struct(model)).decode
    except (NotExpressible, TypeError, ValueError):  # msgspec refuses a rule, such as a bound beyond 64 bits
        return None


def struct(model: type[BaseModel]) -> type[msgspec.Struct]:
    """A type with the same fields in the same order, whose instances encode to what pydantic would dump. Raises NotExpressible."""
    schema = model.__pydantic_core_schema__
    _only(schema, "model")
    config: Mapping[str, Any] = schema["config"]
    inner = schema["schema"]
    _only(inner, "model-fields")
    if schema["custom_init"] or schema["root_model"] or inner["computed_fields"] or config.keys() - _CONFIG:
        raise NotExpressible(f"{model.__name__} is made in its own way")
    if not config.get("strict") or config.get("extra_fields_behavior") != "forbid":
        raise NotExpressible(f"{model.__name__} is lax")
    fields = [_field(name, field) for name, field in inner["fields"].items()]
    return msgspec.defstruct(model.__name__, fields, kw_only=True, forbid_unknown_fields=True, gc=False)


def _field(name: str, field: Mapping[str, Any]) -> tuple[str, Any] | tuple[str, Any, Any]:
    _only(field, "model-field")
    schema = field["schema"]
    if schema["type"] != "default":
        return name, _type(schema)
    _only(schema, "default")
    kind = _type(schema["schema"])
    if "default" in schema:
        if not isinstance(schema["default"], bool | int | float | str | None):
            raise NotExpressible(f"{name} has a default that is no plain value")
        return name, kind, schema["default"]
    if schema["default_factory_takes_data"]:
        raise NotExpressible(f"{name} has a default that depends on other fields")
    return name, kind, msgspec.field(default_factory=schema["default_factory"])


def _type(schema: Mapping[str, Any]) -> Any:
    _only(schema, *_RULES)
    kind = schema["type"]
    if not schema.get("strict", True):
        raise NotExpressible(f"{kind} is lax")
    match kind:
        case "nullable":
            return _type(schema["schema"]) | None
        case "literal":
            return _literal(schema["expected"])
        case "list":
            return _ruled(list[_type(schema["items_schema"])], schema, {})  # type: ignore[misc]
    translated = {}
    if "pattern" in schema:
        if not isinstance(schema["pattern"], str) or not _SIMPLE_PATTERN.fullmatch(schema["pattern"]):
            raise NotExpressible("the pattern may mean something else to Python")
        # Python's $ would let a line break pass.
        translated["pattern"] = schema["pattern"].removesuffix("$") + r"\Z"
    return _ruled(_PLAIN[kind], schema, translated)


def _ruled(kind: Any, schema: Mapping[str, Any], translated: Mapping[str, Any]) -> Any:
    rules = {rule: schema[rule] for rule in ("ge", "gt", "le", "lt", "min_length", "max_length") if rule in schema} | dict(translated)
    return Annotated[kind, msgspec.Meta(**rules)] if rules else kind


def _literal(expected: list[Any]) -> Any:
    """Numbers or texts; true and false would be equal to 1 and 0."""
    if not all(type(value) in (int, str) for value in expected):
        raise NotExpressible("only numbers and texts can be listed")
    return Literal[tuple(expected)]


def _only(schema: Mapping[str, Any], *kinds: str) -> None:
    """Raises NotExpressible unless it is of one of these kinds and all that it says is known."""
    kind = schema["type"]
    if kind not in kinds:
        raise NotExpressible(f"{kind} has no fast form")
    if unknown := schema.keys() - (_RULES | _OUTER)[kind] - _IGNORED:
        raise NotExpressible(f"{kind} with {', '.join(sorted(unknown))} has no fast form")
