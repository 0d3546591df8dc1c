"""Answers in the caller's form. Whatever the form, the answer's n-th row is about the request's n-th row."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from services.gateway.predictions.batch.columns import Pin
from services.gateway.predictions.batch.media import Form
from services.gateway.predictions.batch.prepared import RowErrors
from services.kit.http import SHOWN_ERRORS

_QUOTED = re.compile(r'[",\r\n]')


class About(NamedTuple):
    """What all rows of an answer have in common."""

    model: str
    by: Pin
    batch_id: str
    fields: tuple[str, ...]
    """Of the model's Output."""
    skips: bool
    """Failed rows are told in the answer."""


class Answered(NamedTuple):
    """Rows with their answers, all of the same length and order."""

    ids: Sequence[str]
    outputs: Sequence[bytes]
    """JSON objects of the fields of Output."""
    columns: Sequence[Sequence[Any]]
    """The same as values, one column for each of `About.fields`."""


class Writer(Protocol):
    def begin(self) -> bytes: ...

    def part(self, answered: Answered, numbers: Sequence[int], failed: Mapping[int, RowErrors]) -> bytes:
        """`numbers` are those of the answered and the failed rows, in order."""

    def end(self) -> bytes: ...


class JsonWriter:
    """`{"batch_id", "model", "model_version", "policy_version", "predictions": […]}`; with failed rows null among them, and `errors` that say why."""

    def __init__(self, about: About) -> None:
        self._about = about
        self._separator = b""
        self._errors: list[RowErrors] = []
        self._failed = 0

    def begin(self) -> bytes:
        by = self._about.by
        head = {"batch_id": self._about.batch_id, "model": self._about.model, "model_version": by.version, "policy_version": by.policy_version}
        return orjson.dumps(head)[:-1] + b',"predictions":['

    def part(self, answered: Answered, numbers: Sequence[int], failed: Mapping[int, RowErrors]) -> bytes:
        if not numbers:
            return b""
        good = (b'%b,"prediction_id":"%b"}' % (output[:-1], id.encode()) for output, id in zip(answered.outputs, answered.ids, strict=True))
        rows = [b"null" if number in failed else next(good) for number in numbers] if failed else good
        self._failed += len(failed)
        self._errors += list(failed.values())[: SHOWN_ERRORS - len(self._errors)]
        separator, self._separator = self._separator, b","
        return separator + b",".join(rows)

    def end(self) -> bytes:
        if not self._about.skips:
            return b"]}"
        errors = [_document(failure) for failure in self._errors]
        return b'],"rows_failed":%d,"errors":%b}' % (self._failed, orjson.dumps(errors))


class NdjsonWriter:
    """One object per line: a prediction, or `row` and `errors`."""

    def __init__(self, about: About) -> None:
        by = orjson.dumps({"model_version": about.by.version, "policy_version": about.by.policy_version})
        self._tail = b"," + by[1:] + b"\n"

    def begin(self) -> bytes:
        return b""

    def part(self, answered: Answered, numbers: Sequence[int], failed: Mapping[int, RowErrors]) -> bytes:
        tail = self._tail
        good = (b'{"prediction_id":"%b",%b%b' % (id.encode(), output[1:-1], tail) for output, id in zip(answered.outputs, answered.ids, strict=True))
        if not failed:
            return b"".join(good)
        return b"".join(orjson.dumps(_document(failed[number])) + b"\n" if number in failed else next(good) for number in numbers)

    def end(self) -> bytes:
        return b""


class CsvWriter:
    """RFC 4180: a header, then a line per row; with `error` as the last column where failed rows are told."""

    def __init__(self, about: About) -> None:
        self._header = ["prediction_id", *about.fields, "model_version", "policy_version", *(["error"] if about.skips else [])]
        self._tail = _line([about.by.version, about.by.policy_version, *([""] if about.skips else [])])

    def begin(self) -> bytes:
        return _line(self._header).encode()

    def part(self, answered: Answered, numbers: Sequence[int], failed: Mapping[int, RowErrors]) -> bytes:
        cells = [answered.ids, *map(_cells, answered.columns), itertools.repeat(self._tail)]
        good = map(",".join, zip(*cells, strict=False))
        if not failed:
            return "".join(good).encode()
        empty = [""] * (len(self._header) - 1)
        return "".join(_line([*empty, _in_words(failed[number])]) if number in failed else next(good) for number in numbers).encode()

    def end(self) -> bytes:
        return b""


def _line(values: Iterable[Any]) -> str:
    return ",".join(map(_cell, values)) + "\r\n"


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _cells(column: Sequence[Any]) -> Iterable[str]:
    """By columns, whose values have one type and, but for numbers, repeat: a third of the time that the csv module takes for rows."""
    types = set(map(type, column))
    if types == {float}:
        return map(repr, column)
    if float in types:
        return map(_cell, column)
    cells = {value: _cell(value) for value in set(column)}
    return map(cells.__getitem__, column)


def _document(failure: RowErrors) -> dict[str, Any]:
    document: dict[str, Any] = {"row": failure.row, "errors": failure.errors}
    return document if failure.line is None else document | {"line": failure.line}


def _in_words(failure: RowErrors) -> str:
    return "; ".join(f"{error['field']}: {error['rule']}" for error in failure.errors)


_BY_FORM: dict[Form, type[JsonWriter] | type[NdjsonWriter] | type[CsvWriter]] = {Form.json: JsonWriter, Form.ndjson: NdjsonWriter, Form.csv: CsvWriter}


def writer(form: Form, about: About) -> Writer:
    return _BY_FORM[form](about)
