"""Tensors as rows of a model and answers as tensors: one tensor per field, its first dimension the number of rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf, prod
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from services.kit.errors import FieldError, Invalid, Problem
from services.kit.http import SHOWN_ERRORS, shown
from services.kit.open_inference.documents import Asked, Input, Output
from services.kit.open_inference.tensors import FLOATS, FORMATS, Datatype, Refused, first, from_json, unpack

Kind = Literal["integer", "number", "boolean", "text"]
T = TypeVar("T")

_NUMBERS = frozenset(FORMATS) - {"BOOL"}
ACCEPTED: dict[Kind, frozenset[str]] = {"integer": _NUMBERS, "number": _NUMBERS, "boolean": FLOATS | {"BOOL"}, "text": frozenset({"BYTES"})}
"""Datatypes that a field of each kind takes. A boolean may be a float because of all numbers only floats can be missing in bytes."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a row, or of an answer, as a tensor."""

    kind: Kind
    many: bool = False
    """A list of L values per row: the tensor is (n, L)."""
    nullable: bool = False
    required: bool = True

    @property
    def datatype(self) -> Datatype:
        """The one that holds every value of the field, missing ones included."""
        if self.kind == "text":
            return "BYTES"
        if self.kind == "number" or self.nullable:
            return "FP64"
        return "INT64" if self.kind == "integer" else "BOOL"


Fields = Mapping[str, Field]


def fields(model: type[BaseModel], kinds: Mapping[str, Kind]) -> dict[str, Field]:
    """The fields of a schema; `kinds` says what each carries, alone or in a list."""
    document = model.model_json_schema()

    def field(name: str, kind: Kind) -> Field:
        part = document["properties"][name]
        types = {option.get("type") for option in part.get("anyOf", [part])}
        return Field(kind, many="array" in types, nullable="null" in types, required=name in document.get("required", ()))

    return {name: field(name, kind) for name, kind in kinds.items()}


class Columns:
    """The rows of a request, tensor by tensor: a large one is some work, and who has other work can do that in between."""

    def __init__(self, inputs: Sequence[Input], fields: Fields, most: int) -> None:
        """`most`: rows of a request. Nothing is read yet."""
        self.count = inputs[0].shape[0]
        self._fields, self._most = fields, most
        given = {one.name for one in inputs}
        self._faults = [_fault(f"inputs.{name}", "Tensor required") for name, field in fields.items() if field.required and name not in given]
        self._columns: dict[str, list[Any]] = {}

    def add(self, one: Input) -> None:
        """What is wrong with it is told by `check`, with the faults of all tensors."""
        try:
            self._columns[one.name] = self._column(one)
        except Refused as refused:
            self._faults.append(_fault(f"inputs.{one.name}{_index(refused.at, one.shape)}", refused.rule, refused.value))

    def check(self) -> None:
        """After the last tensor. Raises Invalid; each error is at `inputs.<name>` or, for an element, at `inputs.<name>[<row>]`."""
        if self._faults:
            raise _all(self._faults)

    def rows(self, begin: int, end: int) -> list[dict[str, Any]]:
        """Whether their values are allowed is the schema's matter. A field whose tensor was left out, as its default allows, is in none of them."""
        parts = [values[begin:end] for values in self._columns.values()]
        return [dict(zip(self._columns, values, strict=True)) for values in zip(*parts, strict=True)]

    def _column(self, one: Input) -> list[Any]:
        """One value per row. What can be said without the data is said before they are read."""
        field = self._fields.get(one.name)
        if field is None:
            raise Refused(f"Unknown tensor; the tensors are {', '.join(self._fields)}")
        if one.name in self._columns:
            raise Refused("The tensor is there twice")
        if one.datatype not in ACCEPTED[field.kind]:
            raise Refused(f"Datatype must be {field.datatype} or another of {', '.join(sorted(ACCEPTED[field.kind]))}", value=one.datatype)
        if not (len(one.shape) == 2 if field.many else one.shape[1:] in ((), (1,))):
            raise Refused(f"Shape must be {'[n, length]' if field.many else '[n] or [n, 1]'}", value=str(list(one.shape)))
        if one.shape[0] != self.count:
            raise Refused(f"Must have as many rows as the first tensor, {self.count}", value=one.shape[0])
        if not 1 <= self.count <= self._most:
            raise Refused(f"Must have 1 to {self._most} rows", value=self.count)
        flat = unpack(one.datatype, one.data, prod(one.shape)) if isinstance(one.data, memoryview) else from_json(one.datatype, one.data, one.shape)
        values = _as_field(flat, one.datatype, field)
        if not field.many:
            return values
        width = one.shape[1]
        return [values[row * width : row * width + width] for row in range(self.count)]


def rows(inputs: Sequence[Input], fields: Fields, most: int) -> list[dict[str, Any]]:
    """All of them at once. Raises Invalid."""
    columns = Columns(inputs, fields, most)
    for one in inputs:
        columns.add(one)
    columns.check()
    return columns.rows(0, columns.count)


def _as_field(values: list[Any], datatype: str, field: Field) -> list[Any]:
    """The same values, exactly, as the field's Python type. Raises Refused for what that type cannot hold."""
    if field.kind == "text":
        # Bytes have no other way to say that a text is missing.
        return [value or None for value in values] if field.nullable else values
    if datatype not in FLOATS:
        return [None if value is None else float(value) for value in values] if field.kind == "number" else values
    if inf in values or -inf in values:
        raise Refused("Must be finite", first(values, lambda value: value not in (inf, -inf)))
    if field.kind == "number":
        return values
    good, rule, convert = _FROM_FLOAT[field.kind]
    if not all(map(good, values)):
        at = first(values, good)
        raise Refused(rule, at, values[at])
    return [None if value is None else convert(value) for value in values]


_FROM_FLOAT: dict[str, tuple[Callable[[Any], bool], str, type]] = {
    "integer": (lambda value: value is None or value.is_integer(), "Must be a whole number", int),
    "boolean": (lambda value: value is None or value in (0, 1), "Must be 0 or 1", bool),
}


def _index(at: int | None, shape: Sequence[int]) -> str:
    if at is None:
        return ""
    return f"[{at}]" if shape[1:] in ((), (1,)) else f"[{at // shape[1]},{at % shape[1]}]"


def each(rows: Sequence[T], check: Callable[[T], Any]) -> list[Any]:
    """`check` of every row, which raises Invalid as for one row alone. Raises Invalid with the errors of all, at the elements where they are."""
    checked: list[Any] = []
    faults: list[FieldError] = []
    for number, row in enumerate(rows):
        try:
            checked.append(check(row))
        except Problem as problem:
            if not problem.errors:
                raise
            faults += ({**error, "field": element(error["field"], number)} for error in problem.errors)
    if faults:
        raise _all(faults)
    return checked


def located(problem: Invalid) -> Invalid:
    """A batch's errors, at `rows.17.age` and the like, at the elements where they are."""

    def moved(error: FieldError) -> FieldError:
        _, number, field = f"{error['field']}.".split(".", 2)
        return {**error, "field": element(field.removesuffix(".") or "body", int(number))}

    return _all([moved(error) if error["field"].startswith("rows.") else error for error in problem.errors or ()])


def element(field: str, row: int) -> str:
    """`high.3` of row 17 is `inputs.high[17,3]`; the row as a whole is `inputs[17]`."""
    name, _, rest = field.partition(".")
    return f"inputs[{row}]" if name == "body" else f"inputs.{name}[{','.join([str(row), *filter(None, rest.split('.'))])}]"


def _fault(field: str, rule: str, value: Any = None) -> FieldError:
    return {"field": field, "rule": rule, "value": shown(value)}


def _all(faults: list[FieldError]) -> Invalid:
    """The protocol's clients show their user one sentence and nothing else, so the first errors stand in it."""
    words = [f"{fault['field']}: {fault['rule']}" + ("" if fault["value"] is None else f" (here {fault['value']})") for fault in faults[:3]]
    more = [f"{len(faults) - 3} more in `errors`"] if len(faults) > 3 else []
    return Invalid(f"{'; '.join(words + more)}.", errors=faults[:SHOWN_ERRORS])


def check_outputs(asked: Asked, fields: Fields) -> None:
    """Before any work is done. Raises Invalid."""
    faults = [_fault(f"outputs.{name}", f"Unknown tensor; the tensors are {', '.join(fields)}") for name in asked.outputs or () if name not in fields]
    if faults:
        raise _all(faults)


def outputs(answers: Sequence[Mapping[str, Any]], fields: Fields, asked: Asked) -> Iterator[Output]:
    """The tensors of the rows' answers, in the order in which they were asked for."""
    for name in asked.outputs or fields:
        field, values = fields[name], [answer[name] for answer in answers]
        if field.many:
            yield Output(name, field.datatype, [len(values), len(values[0])], list(chain.from_iterable(values)))
        else:
            yield Output(name, field.datatype, [len(values)], values)


def metadata(model: str, versions: Sequence[str], inputs: Fields, outputs: Fields) -> dict[str, Any]:
    """The model's. An optional input may be left out, which gives every row the default; a nullable one may have missing values."""

    def described(name: str, field: Field) -> dict[str, Any]:
        return {"name": name, "datatype": field.datatype, "shape": [-1, -1] if field.many else [-1]}

    takes = [described(name, field) | {"parameters": {"optional": not field.required, "nullable": field.nullable}} for name, field in inputs.items()]
    gives = [described(name, field) for name, field in outputs.items()]
    return {"name": model, "versions": list(versions), "platform": "sklearn_skops", "inputs": takes, "outputs": gives}
