"""The rows of one JSON document, taken from it piece by piece."""

import re
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader

import msgspec

from services.kit.errors import BadRequest, FieldError, Invalid, TooLarge, of_fields
from services.kit.http import shown

PIECE = 256 * 1024
TRIED = 64
"""Ends of rows that are looked for in the text at hand, from its end."""
_BEGIN = re.compile(rb'\s*(\[|\{\s*"rows"\s*:\s*\[)')
_BOUNDARY = re.compile(rb"\}\s*,\s*(?=\{)")
_END = {b"[": re.compile(rb"\s*"), b"{": re.compile(rb"\s*\}\s*")}
_list = msgspec.json.Decoder(list[msgspec.Raw])


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    rows: list[msgspec.Raw]


_document = msgspec.json.Decoder(_Document)


def rows_of(file: BufferedReader, longest: int) -> Iterator[bytes]:
    """The text of each row of `{"rows": […]}` or of a bare array. `longest`: bytes of a row. Raises BadRequest, Invalid or TooLarge.

    A document that is no longer than one row may be is parsed as a whole, which gives the better words for what is wrong with it.
    """
    text = file.read(longest + 1)
    begin = _BEGIN.match(text)
    if len(text) <= longest:
        yield from map(bytes, _whole(text))
        return
    if begin is None:
        raise BadRequest('The body does not begin as a list of rows does: with [ or {"rows": [.')
    end = _END[begin[1][:1]]
    text = text[begin.end() :]
    while True:
        rows, text = _cut(text)
        yield from map(bytes, rows)
        if len(text) > longest + PIECE:
            raise TooLarge(f"A row may have {longest} bytes at most.")
        if not (piece := file.read(PIECE)):
            break
        text += piece
    yield from map(bytes, _last(text, end))


def _cut(text: bytes) -> tuple[list[msgspec.Raw], bytes]:
    """The whole rows at the beginning, and what follows them.

    What looks like a boundary may lie within a row. But the beginning of an array up to there is an array of its own only if it is one.
    """
    boundaries = [boundary.span() for boundary in _BOUNDARY.finditer(text)]
    for start, end in reversed(boundaries[-TRIED:]):
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _list.decode(b"[" + text[: start + 1] + b"]"), text[end:]
    return [], text


def _last(text: bytes, end: re.Pattern[bytes]) -> list[msgspec.Raw]:
    """The rows before the array's end. After it nothing but `end` may come."""
    at = text.rfind(b"]")
    if at < 0 or not end.fullmatch(text, at + 1):
        raise BadRequest("The body is not JSON: the list of rows, or what is around it, does not end as it should.")
    try:
        return _list.decode(b"[" + text[: at + 1])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None


def _whole(body: bytes) -> list[msgspec.Raw]:
    try:
        return _list.decode(body) if body.lstrip()[:1] == b"[" else _document.decode(body).rows
    except msgspec.ValidationError:
        raise _not_a_batch(msgspec.json.decode(body)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None


def _not_a_batch(document: object) -> Invalid:
    if not isinstance(document, dict):
        errors = [FieldError(field="body", rule="Input should be an array of rows, or an object with `rows`", value=shown(document))]
    elif "rows" not in document:
        errors = [FieldError(field="rows", rule="Field required", value=None)]
    elif not isinstance(document["rows"], list):
        errors = [FieldError(field="rows", rule="Input should be a valid array", value=shown(document["rows"]))]
    else:
        errors = [FieldError(field=name, rule="Extra inputs are not permitted", value=shown(value)) for name, value in document.items() if name != "rows"]
    return of_fields(errors)
