"""Every datatype in both forms; every broken rule in words."""

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kit.errors import BadRequest, Invalid, Problem
from services.kit.open_inference import documents, rows
from services.kit.open_inference.documents import JSON_LENGTH, Asked
from services.kit.open_inference.rows import Field
from services.kit.open_inference.tensors import FORMATS, Refused, from_json, pack, unpack

FIELDS = {
    "age": Field("integer"),
    "income": Field("number", nullable=True, required=False),
    "job": Field("text", nullable=True, required=False),
    "open": Field("number", many=True, required=False),
    "married": Field("boolean", nullable=True, required=False),
    "children": Field("integer", nullable=True, required=False),
}


def of(datatype: str) -> st.SearchStrategy[Any]:
    """Values that the datatype holds exactly, missing ones where bytes can say so."""
    if datatype == "BYTES":
        return st.text(max_size=8)
    if datatype == "BOOL":
        return st.booleans()
    bits = 8 * struct.calcsize(f"<{FORMATS[datatype]}")
    if datatype.startswith("FP"):
        return st.none() | st.floats(width=bits, allow_nan=False)  # type: ignore[arg-type]
    low, high = (0, 2**bits - 1) if datatype.startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return st.integers(low, high)


tensors = st.sampled_from([*FORMATS, "BYTES"]).flatmap(lambda datatype: st.tuples(st.just(datatype), st.lists(of(datatype), max_size=12)))


def asked(*inputs: dict[str, Any], raw: bytes = b"", **more: Any) -> Asked:
    header = json.dumps({"inputs": list(inputs)} | more).encode()
    return documents.read(header + raw, str(len(header)) if raw else None)


def tensor(name: str, datatype: str, data: list[Any], shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def read(*inputs: dict[str, Any], raw: bytes = b"", fields: dict[str, Field] | None = None, most: int = 100) -> list[dict[str, Any]]:
    return rows.rows(asked(*inputs, raw=raw).inputs, fields or FIELDS, most)


@settings(deadline=None)
@given(tensors)
def test_bytes_and_json_keep_every_value_of_every_datatype(given: tuple[str, list[Any]]) -> None:
    datatype, values = given
    raw = pack(datatype, values)
    assert unpack(datatype, memoryview(raw), len(values)) == values
    finite = [value for value in values if not (isinstance(value, float) and math.isinf(value))]
    sent = json.loads(json.dumps(finite))
    assert from_json(datatype, sent, [len(sent)]) == finite
    assert from_json(datatype, [[value] for value in sent], [len(sent), 1]) == finite


@settings(deadline=None)
@given(tensors, st.binary(max_size=40))
def test_wrong_bytes_are_refused_or_read_and_nothing_else(given: tuple[str, list[Any]], raw: bytes) -> None:
    datatype, values = given
    try:
        found = unpack(datatype, memoryview(raw), len(values))
    except Refused:
        return
    assert len(found) == len(values)


def test_the_bytes_are_those_that_the_extension_describes() -> None:
    assert pack("BYTES", ["ab", None, "é"]) == b"\x02\0\0\0ab\0\0\0\0\x02\0\0\0\xc3\xa9"
    assert pack("BOOL", [True, False]) == b"\x01\0"
    assert pack("INT32", [1, -2]) == b"\1\0\0\0\xfe\xff\xff\xff"
    assert pack("FP64", [1.5]) == struct.pack("<d", 1.5)


def test_rows_from_tensors_of_all_kinds() -> None:
    nan = float("nan")
    raw = struct.pack("<3d", 1000.5, nan, 2.0) + pack("BYTES", ["cook", "", "é"]) + struct.pack("<6f", 0.1, 1, 2, 3, 4, 5)
    binary = [
        {"name": "income", "datatype": "FP64", "shape": [3, 1], "parameters": {"binary_data_size": 24, "unknown": 1}},
        {"name": "job", "datatype": "BYTES", "shape": [3], "parameters": {"binary_data_size": 18}},
        {"name": "open", "datatype": "FP32", "shape": [3, 2], "parameters": {"binary_data_size": 24}},
    ]
    found = read(
        tensor("age", "FP32", [41, 42.0, 43]), *binary, tensor("married", "BOOL", [True, None, False]), tensor("children", "FP64", [None, 2, 0.0]), raw=raw
    )
    tenth = 0.10000000149011612
    assert found == [
        {"age": 41, "income": 1000.5, "job": "cook", "open": [tenth, 1.0], "married": True, "children": None},
        {"age": 42, "income": None, "job": None, "open": [2.0, 3.0], "married": None, "children": 2},
        {"age": 43, "income": 2.0, "job": "é", "open": [4.0, 5.0], "married": False, "children": 0},
    ]
    assert [type(row["age"]) for row in found] == [int] * 3
    assert read(tensor("age", "UINT8", [7]), tensor("income", "INT64", [3])) == [{"age": 7, "income": 3.0}]
    assert read(tensor("age", "UINT8", [7]), tensor("open", "FP32", [[0.1, 0.2]], [1, 2]))[0]["open"] == [tenth, 0.20000000298023224]


AGE = tensor("age", "INT64", [1, 2])
BAD: list[tuple[list[dict[str, Any]], str, str]] = [
    ([tensor("job", "BYTES", ["a"])], "inputs.age", "Tensor required"),
    ([AGE, tensor("height", "FP64", [1, 2])], "inputs.height", "Unknown tensor; the tensors are age, income"),
    ([AGE, AGE], "inputs.age", "there twice"),
    ([tensor("age", "BYTES", ["1"])], "inputs.age", "Datatype must be INT64 or another of FP16"),
    ([AGE, tensor("job", "INT64", [1, 2])], "inputs.job", "Datatype must be BYTES"),
    ([AGE, tensor("married", "INT8", [1, 0])], "inputs.married", "Datatype must be FP64"),
    ([tensor("age", "INT64", [1, 2], [1, 2])], "inputs.age", "Shape must be [n] or [n, 1]"),
    ([AGE, tensor("open", "FP64", [1, 2])], "inputs.open", "Shape must be [n, length]"),
    ([tensor("age", "INT64", [1, 2], [3])], "inputs.age", "The shape says 3 elements, the data have 2"),
    ([tensor("age", "INT64", [[1, 2]], [2, 1])], "inputs.age", "Nested data must be lists of 1"),
    ([tensor("age", "INT64", [[1], 2], [2, 1])], "inputs.age", "Nested data"),
    ([AGE, tensor("income", "FP64", [1, 2, 3])], "inputs.income", "as many rows as the first tensor, 2"),
    ([tensor("age", "INT64", [], [0])], "inputs.age", "1 to 100 rows"),
    ([tensor("age", "INT64", [1] * 101)], "inputs.age", "1 to 100 rows"),
    ([tensor("age", "INT64", [1], [10**30])], "inputs.age", "1 to 100 rows"),
    ([tensor("age", "INT64", [1, 2.0])], "inputs.age[1]", "an integer in a tensor of INT64"),
    ([tensor("age", "INT64", [1, "2"])], "inputs.age[1]", "an integer"),
    ([tensor("age", "INT64", [True, 2])], "inputs.age[0]", "an integer"),
    ([tensor("age", "INT64", [1, 2**63])], "inputs.age[1]", "within INT64"),
    ([tensor("age", "UINT8", [1, -1])], "inputs.age[1]", "within UINT8"),
    ([tensor("age", "FP64", [1, 2.5])], "inputs.age[1]", "a whole number"),
    ([AGE, tensor("income", "FP32", [1, 1e39])], "inputs.income[1]", "within FP32"),
    ([AGE, tensor("income", "FP64", [1, 10**400])], "inputs.income[1]", "within FP64"),
    ([AGE, tensor("income", "FP64", [1, float("inf")])], "inputs.income[1]", "finite"),
    ([AGE, tensor("income", "FP64", [1, True])], "inputs.income[1]", "a number"),
    ([AGE, tensor("job", "BYTES", ["a", 1])], "inputs.job[1]", "a string"),
    ([AGE, tensor("married", "BOOL", [True, 1])], "inputs.married[1]", "true or false"),
    ([AGE, tensor("married", "FP32", [1, 2])], "inputs.married[1]", "0 or 1"),
    ([AGE, tensor("open", "FP64", [1, 2, 3, "x"], [2, 2])], "inputs.open[1,1]", "a number"),
]


@pytest.mark.parametrize(("inputs", "field", "rule"), BAD, ids=[f"{field} {rule}" for _, field, rule in BAD])
def test_every_broken_rule_is_named_at_its_place(inputs: list[dict[str, Any]], field: str, rule: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(*inputs)
    assert refused.value.errors is not None
    [error] = [error for error in refused.value.errors if error["field"] == field]
    assert rule in error["rule"]
    assert f"{field}: {error['rule']}" in refused.value.detail


def test_all_tensors_are_looked_at() -> None:
    with pytest.raises(Invalid) as refused:
        read(tensor("job", "BYTES", ["a"]), tensor("income", "FP64", ["x"]), tensor("married", "BOOL", [3]), tensor("weight", "FP64", [3]))
    assert {error["field"] for error in refused.value.errors or ()} == {"inputs.age", "inputs.income[0]", "inputs.married[0]", "inputs.weight"}
    assert "1 more in `errors`" in refused.value.detail


def test_the_schemas_own_errors_stand_at_their_elements() -> None:
    def check(row: dict[str, Any]) -> int:
        if row["age"] > 1:
            field = {2: "age", 3: "open.4", 4: "body"}[row["age"]]
            raise Invalid("no", errors=[{"field": field, "rule": "too much", "value": row["age"]}])
        return 1

    with pytest.raises(Invalid) as refused:
        rows.each([{"age": age} for age in (1, 2, 3, 4)], check)
    assert [error["field"] for error in refused.value.errors or ()] == ["inputs.age[1]", "inputs.open[2,4]", "inputs[3]"]
    assert refused.value.detail == "inputs.age[1]: too much (here 2); inputs.open[2,4]: too much (here 3); inputs[3]: too much (here 4)."
    assert rows.each([{"age": 1}], check) == [1]


@pytest.mark.parametrize(
    ("body", "length", "words"),
    [
        (b"", None, "not JSON"),
        (b'{"inputs": [', None, "not JSON"),
        (b"[" * 100_000, None, "not JSON"),
        (b'{"inputs": []}', None, "field error"),
        (b'{"inputs": {}}', None, "field error"),
        (b'{"inputs": [{"name": "a", "datatype": "BF16", "shape": [1], "data": [1]}]}', None, "field error"),
        (b'{"inputs": [{"name": "a", "datatype": "FP64", "shape": [-1], "data": [1]}]}', None, "field error"),
        (b'{"inputs": [{"name": "a", "datatype": "FP64", "shape": [], "data": [1]}]}', None, "field error"),
        (b'{"inputs": [{"name": "a", "datatype": "FP64", "shape": [1]}]}', None, "either `data` or"),
        (b'{"inputs": [{"name": "a", "datatype": "FP64", "shape": [1], "data": [1], "parameters": {"binary_data_size": 8}}]}', None, "either `data` or"),
        (b'{"inputs": [{"name": "a", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}}]}', None, "only 0 bytes are left"),
        (b'{"inputs": [{"name": "a", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": -8}}]}', None, "field error"),
        (b'{"inputs": [{"name": "a", "datatype": "FP64", "shape": [1], "data": [1]}]}', "3", "not JSON"),
        (b'{"inputs": [{"name": "a", "datatype": "FP64", "shape": [1], "data": [1]}]}AB', "74", "2 bytes behind the JSON belong to no tensor"),
        (b"{}", "3", "must be the length"),
        (b"{}", "-1", "must be the length"),
        (b"{}", "²", "must be the length"),
        (b"{}", "9" * 5000, "must be the length"),
    ],
)
def test_malformed_requests_are_refused_in_words(body: bytes, length: str | None, words: str) -> None:
    with pytest.raises((BadRequest, Invalid), match=words):
        documents.read(body, length)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)
sloppy = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from([*FIELDS, "x"]) | json_values,
        "datatype": st.sampled_from([*FORMATS, "BYTES"]) | json_values,
        "shape": st.lists(st.integers(0, 3), max_size=3) | json_values,
        "data": st.lists(json_values, max_size=6) | json_values,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(0, 20) | json_values}) | json_values,
    },
)


@settings(max_examples=200, deadline=None)
@given(st.lists(sloppy, max_size=4) | json_values, st.binary(max_size=30), st.none() | st.integers(-5, 5))
def test_whatever_is_sent_is_rows_or_a_problem(inputs: Any, raw: bytes, off: int | None) -> None:
    header = json.dumps({"inputs": inputs}).encode()
    refused: Problem | None = None
    found: list[dict[str, Any]] = []
    try:
        asked = documents.read(header + raw, None if off is None else str(len(header) + off))
        found = rows.rows(asked.inputs, FIELDS, 3)
    except Problem as problem:
        refused = problem
    if refused is None:
        assert 1 <= len(found) <= 3
        assert all("age" in row for row in found)
    else:
        assert refused.status in (400, 422)
        json.dumps(refused.body("request-1"), allow_nan=False)


OUTPUTS = {"prediction": Field("integer"), "probability": Field("number"), "decision": Field("text"), "naive": Field("integer", nullable=True)}
ANSWERS: list[dict[str, Any]] = [
    {"prediction": 1, "probability": 0.1, "decision": "stays", "naive": None},
    {"prediction": 0, "probability": 0.7, "decision": "leaves", "naive": 3},
]


def test_the_answer_in_json_and_in_bytes() -> None:
    request = asked(AGE, id="42")
    content, headers = documents.write(request, "m", "7", {"policy_version": None, "batch_id": "b"}, rows.outputs(ANSWERS, OUTPUTS, request))
    assert headers == {"Content-Type": "application/json"}
    document = json.loads(content)
    assert {name: value for name, value in document.items() if name != "outputs"} == {
        "model_name": "m",
        "model_version": "7",
        "id": "42",
        "parameters": {"batch_id": "b"},
    }
    assert document["outputs"] == [
        {"name": "prediction", "datatype": "INT64", "shape": [2], "data": [1, 0]},
        {"name": "probability", "datatype": "FP64", "shape": [2], "data": [0.1, 0.7]},
        {"name": "decision", "datatype": "BYTES", "shape": [2], "data": ["stays", "leaves"]},
        {"name": "naive", "datatype": "FP64", "shape": [2], "data": [None, 3]},
    ]
    wanted = [{"name": "naive"}, {"name": "decision", "parameters": {"binary_data": False}}, {"name": "probability", "parameters": {"binary_data": True}}]
    request = asked(AGE, outputs=wanted, parameters={"binary_data_output": True, "sequence_id": 7})
    content, headers = documents.write(request, "m", "7", {}, rows.outputs(ANSWERS, OUTPUTS, request))
    length = int(headers[JSON_LENGTH])
    naive, decision, probability = json.loads(content[:length])["outputs"]
    assert (naive["parameters"], probability["parameters"], decision["data"]) == ({"binary_data_size": 16}, {"binary_data_size": 16}, ["stays", "leaves"])
    first, *others = struct.unpack("<4d", content[length:])
    assert math.isnan(first)
    assert others == [3.0, 0.1, 0.7]
    assert headers["Content-Type"] == "application/octet-stream"
    assert "id" not in json.loads(content[:length])


def test_an_unknown_output_is_named_before_any_work() -> None:
    with pytest.raises(Invalid, match=r"outputs\.age: Unknown tensor; the tensors are prediction, "):
        rows.check_outputs(asked(AGE, outputs=[{"name": "age"}, {"name": "decision"}]), OUTPUTS)
    rows.check_outputs(asked(AGE, outputs=[]), OUTPUTS)
