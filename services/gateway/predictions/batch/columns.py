"""Many rows as a block of columns, the body and the answer of the runner's `POST /columns`. Without numpy, which the gateway does not have.

A block is the length of a header (u32, little-endian), the header as JSON, and the values of each column that the header names, one column after the other.
A number is a float64, NaN for null; a text is an int32 position in the column's `levels`, -1 for null; an integer of the answer is an int64.
"""

import sys
from array import array
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import msgspec

from bentos.schemas import Kind
from services.kit.errors import BadGateway

NAN = float("nan")
_LENGTH = 4
_CODES = {"number": "d", "integer": "q", "text": "i"}


class Pin(msgspec.Struct, frozen=True):
    """The state of a runner that is to answer."""

    version: str
    policy_version: int | None


class Column(msgspec.Struct):
    name: str
    kind: Literal["number", "text"]
    width: int | None = None
    levels: list[str] = []


class Block(msgspec.Struct):
    """Rows as the runner takes them; which state shall answer is said when they are sent."""

    rows: int
    columns: list[Column]
    values: bytes

    def request(self, serving: Pin | None) -> bytes:
        header = msgspec.json.encode({"rows": self.rows, "serving": serving, "columns": self.columns})
        # Spaces after JSON mean nothing, and let the numbers, which come first, lie where the runner can use them in place.
        header += b" " * (-(_LENGTH + len(header)) % 8)
        return b"".join((len(header).to_bytes(_LENGTH, "little"), header, self.values))


class Builder:
    """Collects valid rows, some at a time."""

    def __init__(self, fields: Mapping[str, Kind]) -> None:
        self._fields = dict(sorted(fields.items(), key=lambda field: field[1] == "text"))
        names = tuple(self._fields)
        self._values = attrgetter(*names) if len(names) > 1 else lambda row: (getattr(row, names[0]),)
        self._begin()

    def _begin(self) -> None:
        self._rows = 0
        self._arrays: dict[str, array[Any]] = {name: array("i" if kind == "text" else "d") for name, kind in self._fields.items()}
        self._levels: dict[str, dict[str | None, int]] = {name: {None: -1} for name, kind in self._fields.items() if kind == "text"}
        self._widths: dict[str, int | None] = {}
        self._ragged = False

    def add(self, rows: Sequence[object]) -> None:
        if not rows:
            return
        self._rows += len(rows)
        for (name, into), column in zip(self._arrays.items(), zip(*map(self._values, rows), strict=True), strict=True):
            values: Sequence[Any] = column
            lists = isinstance(column[0], list)
            width = len(column[0]) if lists else None
            if self._widths.setdefault(name, width) != width or (lists and any(type(value) is not list or len(value) != width for value in column)):
                self._ragged = True
                continue
            if lists:
                values = list(chain.from_iterable(column))
            levels = self._levels.get(name)
            if levels is not None:
                codes = [levels.setdefault(value, len(levels) - 1) for value in values]
                into.extend(codes)
                continue
            before = len(into)
            try:
                into.extend(values)
            except TypeError:
                del into[before:]
                into.extend([NAN if value is None else value for value in values])

    def finish(self) -> Block | None:
        """None when lists of one field have different lengths: such rows cannot lie in one block."""
        columns = [
            Column(name, "text" if kind == "text" else "number", self._widths.get(name), [level for level in self._levels.get(name, {}) if level is not None])
            for name, kind in self._fields.items()
        ]
        block = Block(self._rows, columns, b"".join(_little(values) for values in self._arrays.values()))
        ragged = self._ragged
        self._begin()
        return None if ragged else block


def _little(values: "array[Any]") -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


class AnswerColumn(msgspec.Struct):
    name: str
    kind: Literal["number", "integer", "text"]
    levels: list[str] = []


class Answer(msgspec.Struct):
    """The header of an answer."""

    model: str
    version: str
    policy_version: int | None
    rows: int
    score: str
    decision: str | None
    columns: list[AnswerColumn]


class Scores(NamedTuple):
    """What a runner says of some rows, in their order."""

    by: Pin
    columns: dict[str, list[Any]]
    """The fields of the model's Output, in its order."""
    scores: list[float]
    decisions: list[str | None]


_answers = msgspec.json.Decoder(Answer)


def decode(model: str, rows: int, body: bytes) -> Scores:
    """Raises BadGateway for all that is not an answer of this model for so many rows."""
    try:
        at = _LENGTH + int.from_bytes(body[:_LENGTH], "little")
        answer = _answers.decode(body[_LENGTH:at])
        columns: dict[str, list[Any]] = {}
        for column in answer.columns:
            values = array(_CODES[column.kind])
            values.frombytes(body[at : at + rows * values.itemsize])
            at += rows * values.itemsize
            columns[column.name] = _listed(column, values)
        decisions = columns[answer.decision] if answer.decision else [None] * rows
        scores = Scores(Pin(answer.version, answer.policy_version), columns, columns[answer.score], decisions)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, LookupError) as error:
        raise BadGateway(f"The runner of {model} gave an answer that is not understood: {error}.") from None
    if answer.model != model or answer.rows != rows or not answer.version or at != len(body):
        raise BadGateway(f"The runner of {model} gave {answer.rows} rows of {answer.model} in {len(body)} bytes; {rows} were asked for, {at} bytes announced.")
    return scores


def _listed(column: AnswerColumn, values: "array[Any]") -> list[Any]:
    if sys.byteorder == "big":
        values.byteswap()
    found: list[Any] = values.tolist()
    if column.kind == "text":
        levels = [*column.levels, None]
        return [levels[code] for code in found]
    if column.kind == "number" and (total := sum(found)) != total:
        return [None if value != value else value for value in found]
    return found
