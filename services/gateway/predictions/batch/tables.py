"""What CSV and Parquet have in common: columns with names, and values that are not JSON."""

from typing import Any

import orjson

from services.gateway.predictions.contracts import Contract
from services.kit.errors import FieldError, Invalid


def check_columns(names: list[str], contract: Contract) -> None:
    """Raises Invalid with all columns that are unknown, there twice, or missing."""
    fields = contract.schema.Input.model_fields
    errors = [FieldError(field=name, rule="Extra inputs are not permitted", value=None) for name in names if name not in fields]
    errors += [FieldError(field=name, rule="Column is there more than once", value=None) for name in fields if names.count(name) > 1]
    errors += [FieldError(field=name, rule="Column required", value=None) for name, field in fields.items() if field.is_required() and name not in names]
    if errors:
        raise Invalid(f"{len(errors)} column{'s do' if len(errors) > 1 else ' does'} not fit the model's fields: see `errors`.", errors=errors)


def of_values(values: dict[str, Any], contract: Contract) -> object:
    """The valid row. By way of JSON, so that what a value may be is decided in one place for all forms of a body. Raises Invalid."""
    try:
        body = orjson.dumps(values)
    except TypeError:
        # A value that JSON does not have, such as an integer of more than 64 bits.
        return contract.decode_python(values)
    return contract.decode(body)
