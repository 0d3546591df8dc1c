"""The Open Inference Protocol at the gateway: another form of the same audited predictions."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.gateway.access import Role
from services.kit.open_inference.documents import JSON_LENGTH
from services.kit.open_inference.tensors import pack, unpack
from tests.gateway import Gateway, started

INFER = "/v2/models/tiny/infer"
OUTPUTS = ["prediction", "probability", "decision", "risk_level", "prediction_id"]


def tensor(name: str, datatype: str, data: list[Any], shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


AGES = {"inputs": [tensor("age", "INT64", [41, 29, 3])]}


async def test_one_row_is_a_prediction_like_any_other(gateway: Gateway) -> None:
    headers = await gateway.user("ann") | {"X-Request-ID": "my-own-request-1"}
    sent = [tensor("age", "INT32", [41]), tensor("income", "FP32", [0.1]), tensor("note", "BYTES", [["é"]], [1, 1])]
    answer = await gateway.client.post(INFER, json={"id": "42", "inputs": sent, "parameters": {"sequence_id": 7, "priority": 1}}, headers=headers)
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (200, "my-own-request-1")
    assert "RateLimit-Remaining" in answer.headers
    document = answer.json()
    outputs = {output["name"]: output for output in document.pop("outputs")}
    assert document == {"model_name": "tiny", "model_version": "3", "id": "42", "parameters": {"model_version": "3", "policy_version": 2}}
    assert [*outputs] == OUTPUTS
    assert outputs["probability"] == {"name": "probability", "datatype": "FP64", "shape": [1], "data": [0.25]}
    [row] = await gateway.query(
        "SELECT username, request_id, batch_id, row_number, input, output, score, model_version FROM predictions WHERE id = %s",
        outputs["prediction_id"]["data"][0],
    )
    stored = {"age": 41, "income": 0.10000000149011612, "note": "é"}
    said = {"prediction": 0, "probability": 0.25, "decision": "stays", "risk_level": "low"}
    assert row == ("ann", "my-own-request-1", None, None, stored, said, 0.25, "3")
    assert gateway.runner.calls == [[stored]]


async def test_more_rows_are_one_batch(gateway: Gateway) -> None:
    headers = await gateway.user("ann", Role.analyst)
    sent = [tensor("income", "FP64", [None, 2, 3.5]), *AGES["inputs"], tensor("note", "BYTES", ["", "b", "c"])]
    answer = await gateway.client.post(INFER, json={"inputs": sent, "outputs": [{"name": "prediction_id"}, {"name": "decision"}]}, headers=headers)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    ids, decisions = document["outputs"]
    assert (ids["shape"], decisions) == ([3], {"name": "decision", "datatype": "BYTES", "shape": [3], "data": ["stays"] * 3})
    found = await gateway.query(
        "SELECT id::text, (input->>'age')::int, (input->>'income')::float, input->>'note' FROM predictions WHERE batch_id = %s ORDER BY row_number",
        document["parameters"]["batch_id"],
    )
    assert found == [(ids["data"][0], 41, None, ""), (ids["data"][1], 29, 2, "b"), (ids["data"][2], 3, 3.5, "c")]
    assert await gateway.query("SELECT count(*) FROM predictions") == [(3,)]


async def test_bytes_both_ways_and_compressed(gateway: Gateway) -> None:
    headers = await gateway.user("ann", Role.analyst)
    raw = [pack("INT64", [41, 29]), pack("FP64", [1.5, None]), pack("BYTES", ["a", "é"])]
    named = zip((("age", "INT64"), ("income", "FP64"), ("note", "BYTES")), raw, strict=True)
    inputs = [{"name": name, "datatype": datatype, "shape": [2, 1], "parameters": {"binary_data_size": len(data)}} for (name, datatype), data in named]
    header = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    body = gzip.compress(b"".join((header, *raw)))
    more = {JSON_LENGTH: str(len(header)), "Content-Type": "application/octet-stream", "Content-Encoding": "gzip"}
    answer = await gateway.client.post(INFER, content=body, headers=headers | more)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/octet-stream"), answer.text
    length = int(answer.headers[JSON_LENGTH])
    document = json.loads(answer.content[:length])
    at, columns = length, {}
    for output in document["outputs"]:
        size = output["parameters"]["binary_data_size"]
        columns[output["name"]] = unpack(output["datatype"], memoryview(answer.content)[at : at + size], 2)
        at += size
    assert at == len(answer.content)
    assert (columns["probability"], columns["prediction"], columns["risk_level"]) == ([0.25, 0.25], [0, 0], ["low", "low"])
    stored = await gateway.query("SELECT id::text, input->>'note', input->>'income' FROM predictions ORDER BY row_number")
    assert stored == [(columns["prediction_id"][0], "a", "1.5"), (columns["prediction_id"][1], "é", None)]


async def test_many_rows(gateway: Gateway) -> None:
    headers = await gateway.user("ann", Role.analyst)
    answer = await gateway.client.post(INFER, json={"inputs": [tensor("age", "UINT8", [i % 100 for i in range(3000)])]}, headers=headers)
    assert answer.status_code == 200, answer.text
    ids = answer.json()["outputs"][-1]["data"]
    found = await gateway.query("SELECT id::text, (input->>'age')::int FROM predictions ORDER BY row_number")
    assert found == [(identifier, i % 100) for i, identifier in enumerate(ids)]
    assert await gateway.query("SELECT count(DISTINCT batch_id) FROM predictions") == [(1,)]


async def test_roles_and_credentials(gateway: Gateway) -> None:
    viewer = await gateway.user("ann")
    many = await gateway.client.post(INFER, json=AGES, headers=viewer)
    nobody = await gateway.client.post(INFER, json=AGES)
    key = (await gateway.client.post("/auth/api-keys", json={"name": "k"}, headers=viewer)).json()["key"]
    one = await gateway.client.post(INFER, json={"inputs": [tensor("age", "INT64", [41])]}, headers={"X-API-Key": key})
    assert (many.status_code, many.json()["error"]) == (403, "More than one row needs the role analyst or a higher one; you are viewer.")
    assert (nobody.status_code, nobody.headers["WWW-Authenticate"], "No credentials" in nobody.json()["error"]) == (401, "Bearer", True)
    assert one.status_code == 200
    assert await gateway.query("SELECT count(*) FROM predictions") == [(1,)]


BAD: list[tuple[str, dict[str, Any], int, str]] = [
    (INFER, {"inputs": [tensor("note", "BYTES", ["a"])]}, 422, "inputs.age: Tensor required."),
    (INFER, {"inputs": [tensor("age", "INT64", [41, 121, 130])]}, 422, "inputs.age[1]: Input should be less than or equal to 120 (here 121); inputs.age[2]: "),
    (INFER, {"inputs": [tensor("age", "INT64", [121])]}, 422, "inputs.age[0]: Input should be less than or equal to 120 (here 121)."),
    (INFER, {"inputs": [tensor("age", "INT64", [41]), tensor("note", "BYTES", ["a\0b"])]}, 422, "inputs.note[0]: no character U+0000."),
    (INFER, {"inputs": [tensor("age", "INT64", [41, 42]), tensor("note", "BYTES", ["a", "a\0b"])]}, 422, "inputs.note[1]: no character U+0000."),
    (INFER, {"inputs": [tensor("age", "INT64", [None])]}, 422, "inputs.age[0]: Input should be a valid integer."),
    (INFER, {"inputs": [tensor("age", "FP64", [41.5])]}, 422, "inputs.age[0]: Must be a whole number (here 41.5)."),
    (INFER, {"inputs": [tensor("age", "INT64", [1] * 10_001)]}, 422, "inputs.age: Must have 1 to 10000 rows (here 10001)."),
    (INFER, AGES | {"outputs": [{"name": "age"}]}, 422, "outputs.age: Unknown tensor; the tensors are prediction, "),
    (INFER, AGES | {"inputs": []}, 422, "1 field error: see `errors`."),
    ("/v2/models/none/infer", AGES, 404, "There is no model none; the models are tiny."),
]


@pytest.mark.parametrize(("path", "body", "status", "words"), BAD, ids=[words[:60] for *_, words in BAD])
async def test_what_is_wrong_is_told_to_both_worlds(gateway: Gateway, path: str, body: dict[str, Any], status: int, words: str) -> None:
    answer = await gateway.client.post(path, json=body, headers=await gateway.user("ann", Role.analyst))
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert problem["error"].startswith(words), problem["error"]
    assert (problem["detail"], problem["request_id"]) == (problem["error"], answer.headers["X-Request-ID"])
    assert gateway.runner.calls == []
    assert await gateway.query("SELECT count(*) FROM predictions") == [(0,)]


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (b"{", {}, 400, "not JSON"),
        (b"", {}, 400, "not JSON"),
        (b"{}", {"Content-Type": "text/csv"}, 415, "must be application/json, or application/octet-stream"),
        (b"{}", {"Content-Encoding": "br"}, 415, "gzip"),
        (b"{}", {"Content-Encoding": "gzip"}, 400, "not gzip"),
        (b"{}", {JSON_LENGTH: "3"}, 400, JSON_LENGTH),
        (b"{}", {"X-Request-Timeout": "soon"}, 400, "X-Request-Timeout"),
        (b" " * 300_000, {}, 413, "at most"),
        (gzip.compress(b" " * 3_000_000), {"Content-Encoding": "gzip"}, 413, "at most"),
    ],
)
async def test_bad_bodies(gateway: Gateway, content: bytes, headers: dict[str, str], status: int, words: str) -> None:
    answer = await gateway.client.post(INFER, content=content, headers=await gateway.user("ann") | headers)
    assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text


async def test_the_version_that_computed_it_is_named_or_nothing_is_answered(gateway: Gateway) -> None:
    headers = await gateway.user("ann", Role.analyst)
    one = {"inputs": [tensor("age", "INT64", [41])]}
    assert (await gateway.client.post("/v2/models/tiny/versions/3/infer", json=one, headers=headers)).json()["model_version"] == "3"
    assert (await gateway.client.post("/v2/models/tiny/versions/3/infer", json=AGES, headers=headers)).json()["model_version"] == "3"
    gateway.runner.version = "4"
    for body in (one, AGES):
        late = await gateway.client.post("/v2/models/tiny/versions/3/infer", json=body, headers=headers)
        assert (late.status_code, late.json()["error"]) == (404, "Version 3 of tiny does not serve; version 4 does.")
        assert (await gateway.client.post(INFER, json=body, headers=headers)).json()["model_version"] == "4"
    assert await gateway.query("SELECT model_version, count(*) FROM predictions GROUP BY 1 ORDER BY 1") == [("3", 4), ("4", 4)]


async def test_a_repetition_with_the_same_key_gets_the_first_answer(gateway: Gateway) -> None:
    headers = await gateway.user("ann", Role.analyst)
    for number, body in enumerate(({"inputs": [tensor("age", "INT64", [41])]}, AGES)):
        key = headers | {"Idempotency-Key": f"key-{number}"}
        first = await gateway.client.post(INFER, json=body, headers=key)
        gateway.runner.version = "4"
        again = await gateway.client.post(INFER, json=body, headers=key)
        other = await gateway.client.post(INFER, json={"inputs": [tensor("age", "INT64", [42])]}, headers=key)
        assert (first.status_code, again.status_code) == (200, 200), again.text
        assert again.content == first.content
        assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")
        assert (other.status_code, "another request" in other.json()["error"]) == (422, True)
    assert await gateway.query("SELECT count(*) FROM predictions") == [(4,)]
    assert (await gateway.client.post(INFER, json=AGES, headers=headers | {"Idempotency-Key": "two words"})).status_code == 400


async def test_health_and_metadata(gateway: Gateway, database_url: str, free_port: int) -> None:
    headers = await gateway.user("ann")
    server, live, ready = [(await gateway.client.get(path)).json() for path in ("/v2", "/v2/health/live", "/v2/health/ready")]
    assert (server["name"], server["extensions"], live, ready) == ("modelyard", ["binary_tensor_data"], {"live": True}, {"ready": True})
    metadata = (await gateway.client.get("/v2/models/tiny", headers=headers)).json()
    assert metadata == {
        "name": "tiny",
        "versions": ["3"],
        "platform": "sklearn_skops",
        "inputs": [
            {"name": "age", "datatype": "INT64", "shape": [-1], "parameters": {"optional": False, "nullable": False}},
            {"name": "income", "datatype": "FP64", "shape": [-1], "parameters": {"optional": True, "nullable": True}},
            {"name": "note", "datatype": "BYTES", "shape": [-1], "parameters": {"optional": True, "nullable": False}},
        ],
        "outputs": [
            {"name": "prediction", "datatype": "INT64", "shape": [-1]},
            {"name": "probability", "datatype": "FP64", "shape": [-1]},
            {"name": "decision", "datatype": "BYTES", "shape": [-1]},
            {"name": "risk_level", "datatype": "BYTES", "shape": [-1]},
            {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
        ],
    }
    assert (await gateway.client.get("/v2/models/tiny/versions/3", headers=headers)).json() == metadata
    for path, status in (("tiny/ready", 200), ("tiny/versions/3/ready", 200), ("tiny/versions/4/ready", 404), ("tiny/versions/4", 404), ("none", 404)):
        answer = await gateway.client.get(f"/v2/models/{path}", headers=headers)
        assert (answer.status_code, status == 200 or "error" in answer.json()) == (status, True)
    unknown = await gateway.client.get("/v2/models/tiny")
    assert (unknown.status_code, "No credentials" in unknown.json()["error"]) == (401, True)
    for method, path, status in (("GET", "/v2/models/tiny/config", 404), ("POST", "/v2/health/live", 405), ("GET", INFER, 405)):
        answer = await gateway.client.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (status, answer.json()["detail"])
    async with started(database_url, runner_url=f"http://127.0.0.1:{free_port}") as lonely:
        headers = (await lonely.log_in("ann"))[0]
        for path in ("/v2/health/ready", "/v2/models/tiny/ready"):
            answer = await lonely.client.get(path, headers=headers)
            assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert (await lonely.client.get("/v2/health/live")).json() == {"live": True}
        assert (await lonely.client.get("/v2/models/tiny", headers=headers)).json()["versions"] == []
        refused = await lonely.client.post(INFER, json={"inputs": [tensor("age", "INT64", [41])]}, headers=headers)
        assert (refused.status_code, "Retry-After" in refused.headers, "error" in refused.json()) == (503, True, True)


async def test_requests_made_up_never_make_it_fail(gateway: Gateway) -> None:
    """Hypothesis draws them beforehand: its own loop has no place in this one."""
    odd = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
    member = (
        odd
        | st.lists(odd, max_size=3)
        | st.sampled_from(["age", "note", "INT64", "FP16", "BYTES", [1], [2, 1]])
        | st.dictionaries(st.text(max_size=4), odd, max_size=2)
    )
    base = st.sampled_from([tensor("age", "INT64", [41]), tensor("income", "FP32", [1.5]), tensor("note", "BYTES", ["a"])])
    changes = st.dictionaries(st.sampled_from(["name", "datatype", "shape", "data", "parameters"]), member, max_size=2)
    requests: list[tuple[bytes, dict[str, str]]] = []

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.lists(st.tuples(base, changes), max_size=4),
        st.dictionaries(st.sampled_from(["id", "outputs", "parameters", "inputs"]), member, max_size=1),
        st.binary(max_size=8),
        st.integers(-3, 3),
    )
    def draw(tensors: list[tuple[dict[str, Any], dict[str, Any]]], top: dict[str, Any], tail: bytes, off: int) -> None:
        header = json.dumps({"inputs": [one | change for one, change in tensors]} | top).encode()
        requests.append((header + tail, {JSON_LENGTH: str(len(header) + off)} if off else {}))

    draw()
    headers = await gateway.user("ann", Role.analyst)
    for body, more in requests:
        answer = await gateway.client.post(INFER, content=body, headers=headers | more)
        assert answer.status_code in (200, 400, 422), (body, answer.text)
        if answer.status_code != 200:
            assert answer.json()["error"]
