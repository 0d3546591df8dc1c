"""The columns of a file: their names, and whether a model can have fields like them."""

from arro3.core import Array, DataType, Schema

from services.gateway.predictions.batch.arrow.lines import written

_LISTS = (DataType.is_list, DataType.is_large_list, DataType.is_fixed_size_list)
_TEXTS = (DataType.is_string, DataType.is_large_string, DataType.is_string_view)
_SIMPLE = (*_TEXTS, DataType.is_null, DataType.is_boolean, DataType.is_numeric, DataType.is_date, DataType.is_timestamp)


def described(schema: Schema) -> bytes:
    """A line of JSON for each column."""
    fields = [schema.field(at) for at in range(len(schema))]
    text, boolean = DataType.string(), DataType.bool()
    return written(
        {
            "name": Array([field.name for field in fields], text),
            "type": Array([_word(field.type) for field in fields], text),
            "plain": Array([is_plain(field.type) for field in fields], boolean),
        }
    )


def is_plain(kind: DataType) -> bool:
    """What a field may be: a number, a text, a boolean, a date, or a category or a list of these."""
    if is_list(kind) and kind.value_type is not None:
        kind = kind.value_type
    if DataType.is_dictionary(kind) and kind.value_type is not None:
        kind = kind.value_type
    return any(is_it(kind) for is_it in _SIMPLE)


def is_list(kind: DataType) -> bool:
    return any(is_it(kind) for is_it in _LISTS)


def _word(kind: DataType) -> str:
    """`arro3.core.DataType<Struct("a": Int64)>` is a Struct."""
    return str(kind).strip().partition("<")[2].rstrip(">").partition("(")[0]
