"""The block of columns, against the runner's own reading and writing of it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bentos.schemas import Kind
from bentos.serving import columns as runner
from bentos.serving.answers import Coded, Table
from services.gateway.predictions.batch import columns
from services.gateway.predictions.batch.columns import Builder, Pin, Scores
from services.kit.errors import BadGateway

FIELDS: dict[str, Kind] = {"label": "text", "size": "number", "count": "integer", "flag": "boolean", "series": "number", "names": "text"}
ROWS: list[dict[str, Any]] = [
    {"label": "a", "size": 1.5, "count": 3, "flag": True, "series": [1, None, 2.5], "names": ["x", "y"]},
    {"label": None, "size": None, "count": None, "flag": False, "series": [4, 5, 6], "names": ["y", "x"]},
    {"label": "bé", "size": -0.0, "count": 2**40, "flag": None, "series": [7.0, 8.0, 9.0], "names": ["z", "x"]},
]


def objects(rows: list[dict[str, Any]]) -> list[object]:
    return [SimpleNamespace(**row) for row in rows]


def test_the_runner_reads_what_is_built() -> None:
    builder = Builder(FIELDS)
    builder.add(objects(ROWS[:2]))
    builder.add(objects(ROWS[2:]))
    block = builder.finish()
    assert block is not None
    header, found = runner.decode(block.request(Pin("7", 3)), FIELDS)
    assert (header.rows, header.serving) == (3, runner.Pin("7", 3))
    for name, values in found.items():
        expected = [[np.nan if item is None else item for item in row[name]] if isinstance(row[name], list) else row[name] for row in ROWS]
        if FIELDS[name] == "text":
            assert values.tolist() == expected
        else:
            assert np.array_equal(values, np.array(expected, dtype=np.float64), equal_nan=True)
    assert np.signbit(found["size"][2])
    assert runner.decode(block.request(None), FIELDS)[0].serving is None


def test_a_builder_begins_anew_after_each_block() -> None:
    builder = Builder({"label": "text"})
    for text in ("a", "b"):
        builder.add([SimpleNamespace(label=text)])
        block = builder.finish()
        assert block is not None
        assert (block.rows, block.columns[0].levels) == (1, [text])


def test_lists_of_different_lengths_are_no_block() -> None:
    for later in ([1.0], None):
        builder = Builder({"series": "number"})
        builder.add([SimpleNamespace(series=[1.0, 2.0])])
        builder.add([SimpleNamespace(series=later)])
        assert builder.finish() is None


ABOUT = {"model": "tiny", "version": "7", "policy_version": None, "engine": "x", "rows": 2}


def answer(**more: Any) -> bytes:
    table = Table(
        {"score": np.array([0.1, np.nan]), "whole": np.array([1, 2]), "decision": Coded(["no", "yes"], np.array([1, 0], dtype=np.int32))}, "score", "decision"
    )
    return runner.encode(ABOUT | more, table)


def test_what_the_runner_says_is_read() -> None:
    found = columns.decode("tiny", 2, answer())
    assert found == Scores(Pin("7", None), {"score": [0.1, None], "whole": [1, 2], "decision": ["yes", "no"]}, found.columns["score"], ["yes", "no"])
    assert type(found.columns["whole"][0]) is int


@pytest.mark.parametrize(
    "body", [b"", b"\x02\0\0\0{}", answer()[:-1], answer() + b"x", answer(rows=3), answer(model="other"), answer(version=""), b"\xff" * 40]
)
def test_what_is_no_answer_is_not_taken_for_one(body: bytes) -> None:
    with pytest.raises(BadGateway):
        columns.decode("tiny", 2, body)
