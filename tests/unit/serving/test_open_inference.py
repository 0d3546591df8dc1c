"""The protocol on a runner: the same answers as /rows, and refusals in words."""

import asyncio
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bentos import contract
from bentos.serving import artifact
from bentos.serving.slots import Slot, Slots
from services.kit.open_inference import rows
from services.kit.open_inference.documents import JSON_LENGTH
from tests.unit.serving.conftest import MODEL
from tests.unit.serving.test_hot import Broken, opened, served_by
from tests.versions import POLICY, Version, build

INFER = f"/v2/models/{MODEL}/infer"


@pytest.fixture
def slots(built: dict[str, Version]) -> Slots:
    return Slots(Slot("1", artifact.read(built["1"].folder, MODEL, None), "cache"), None, POLICY)


def tensors(model: str, given: list[dict[str, Any]], **datatypes: str) -> list[dict[str, Any]]:
    """Rows as the tensors of a request."""
    schema = contract.schema(model)
    made = []
    for name, field in rows.fields(schema.Input, contract.kinds(schema.Input)).items():
        data = [row[name] for row in given]
        made.append(
            {"name": name, "datatype": datatypes.get(name, field.datatype), "shape": [len(data), len(data[0])] if field.many else [len(data)], "data": data}
        )
    return made


def answers(document: dict[str, Any]) -> list[dict[str, Any]]:
    names = [output["name"] for output in document["outputs"]]
    return [dict(zip(names, values, strict=True)) for values in zip(*(output["data"] for output in document["outputs"]), strict=True)]


@pytest.mark.parametrize("copies", [1, 40])
async def test_the_same_answers_as_rows(copies: int, slots: Slots, built: dict[str, Version]) -> None:
    given = built["1"].rows * copies
    async with opened(slots) as (client, _):
        expected = (await client.post("/rows", json={"rows": given})).json()
        answer = await client.post(INFER, json={"id": "42", "inputs": tensors(MODEL, given, monthly_income="FP64")})
    document = answer.json()
    assert answer.status_code == 200
    assert answers(document) == expected["answers"]
    assert {name: document[name] for name in ("id", "model_name", "model_version", "parameters")} == {
        "id": "42",
        "model_name": MODEL,
        "model_version": "1",
        "parameters": {"model_version": "1", "policy_version": 1},
    }
    assert [(output["name"], output["datatype"], output["shape"]) for output in document["outputs"]] == [
        ("prediction", "INT64", [len(given)]),
        ("probability", "FP64", [len(given)]),
        ("decision", "BYTES", [len(given)]),
        ("risk_level", "BYTES", [len(given)]),
    ]


async def test_lists_and_bytes(tmp_path: Path) -> None:
    model = "crypto_price"
    version = build(tmp_path / "1", model)
    slots = Slots(Slot("1", artifact.read(version.folder, model, None), "cache"), None, None)
    example = contract.schema(model).EXAMPLE
    inputs = tensors(model, [example])
    raw = struct.pack("<24d", *example["close"])
    inputs[7] = {"name": "close", "datatype": "FP64", "shape": [1, 24], "parameters": {"binary_data_size": len(raw)}}
    header = json.dumps({"inputs": inputs, "outputs": [{"name": "prediction", "parameters": {"binary_data": True}}, {"name": "direction"}]}).encode()
    async with opened(slots, model=model) as (client, _):
        expected = (await client.post("/rows", json={"rows": [contract.schema(model).Input.model_validate(example).model_dump()]})).json()["answers"][0]
        answer = await client.post(f"/v2/models/{model}/infer", content=header + raw, headers={JSON_LENGTH: str(len(header))})
        gap = [*example["timestamp"][:5], *(time + 3600 for time in example["timestamp"][5:])]
        refused = await client.post(f"/v2/models/{model}/infer", json={"inputs": tensors(model, [example, example | {"timestamp": gap}])})
    assert answer.status_code == 200, answer.text
    length = int(answer.headers[JSON_LENGTH])
    prediction, direction = json.loads(answer.content[:length])["outputs"]
    assert prediction == {"name": "prediction", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}}
    assert struct.unpack("<d", answer.content[length:]) == (expected["prediction"],)
    assert direction["data"] == [expected["direction"]]
    assert refused.status_code == 422
    assert "inputs.timestamp[1]: Candles should follow each other without a gap: 1 missing" in refused.json()["error"]


async def test_metadata_and_health(slots: Slots) -> None:
    async with opened(slots) as (client, runner):
        server, live, ready = [(await client.get(path)).json() for path in ("/v2", "/v2/health/live", "/v2/health/ready")]
        metadata = (await client.get(f"/v2/models/{MODEL}")).json()
        there = [(await client.get(f"/v2/models/{MODEL}{path}")).status_code for path in ("/ready", "/versions/1", "/versions/1/ready")]
        missing = [await client.get(f"/v2/models/{path}") for path in ("weather", "weather/ready", f"{MODEL}/versions/9", f"{MODEL}/versions/9/ready")]
        runner.slots = served_by(slots, Broken())
        broken = [(await client.get(path)) for path in ("/v2/health/live", "/v2/health/ready", f"/v2/models/{MODEL}/ready")]
    assert (server["name"], server["extensions"], live["live"], ready["ready"]) == (f"modelyard-runner-{MODEL}", ["binary_tensor_data"], True, True)
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == (MODEL, ["1"], "sklearn_skops")
    inputs = {one["name"]: one for one in metadata["inputs"]}
    fields = contract.schema(MODEL).Input.model_fields
    assert list(inputs) == list(fields)
    assert {name for name, one in inputs.items() if one["parameters"]["optional"]} == {name for name, field in fields.items() if not field.is_required()}
    assert metadata["outputs"][1] == {"name": "probability", "datatype": "FP64", "shape": [-1]}
    assert there == [200, 200, 200]
    assert [answer.status_code for answer in missing] == [404] * 4
    assert missing[0].json()["error"] == f"There is no model weather here; this runner serves {MODEL}."
    assert missing[2].json()["error"] == f"Version 9 of {MODEL} does not serve; version 1 does."
    assert [answer.status_code for answer in broken] == [200, 503, 503]
    assert "secret of the engine" in broken[1].json()["error"]


async def test_errors_are_understood_in_both_worlds(slots: Slots, built: dict[str, Version]) -> None:
    row = built["1"].rows[0]
    name = next(name for name, value in row.items() if isinstance(value, int))
    async with opened(slots) as (client, runner):
        wrong = await client.post(INFER, json={"inputs": tensors(MODEL, [row, row | {name: -5}])}, headers={"X-Request-ID": "request-1"})
        version = await client.post(f"/v2/models/{MODEL}/versions/2/infer", json={"inputs": tensors(MODEL, [row])})
        output = await client.post(INFER, json={"inputs": tensors(MODEL, [row]), "outputs": [{"name": "weather"}]})
        runner.slots = served_by(slots, Broken())
        failed = await client.post(INFER, json={"inputs": tensors(MODEL, [row])})
        runner.slots = replace(slots, policy=None)
        unready = await client.post(INFER, json={"inputs": tensors(MODEL, [row])})
    problem = wrong.json()
    assert (wrong.status_code, wrong.headers["content-type"], problem["request_id"]) == (422, "application/problem+json", "request-1")
    assert (problem["errors"][0]["field"], problem["errors"][0]["value"]) == (f"inputs.{name}[1]", -5)
    assert problem["error"] == problem["detail"]
    assert problem["error"].startswith(f"inputs.{name}[1]: Input should be ")
    assert (version.status_code, version.json()["error"]) == (404, f"Version 2 of {MODEL} does not serve; version 1 does.")
    assert (output.status_code, "outputs.weather: Unknown tensor" in output.json()["error"]) == (422, True)
    assert (failed.status_code, "secret" in failed.text, "error" in failed.json()) == (500, False, True)
    assert (unready.status_code, unready.json()["error"]) == (503, f"{MODEL} has no decision policy.")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_request_makes_it_fail(slots: Slots, built: dict[str, Version], data: st.DataObject) -> None:
    """Right requests with something cut, exchanged or made up."""
    inputs: list[Any] = tensors(MODEL, built["1"].rows[:2])
    at = data.draw(st.integers(0, len(inputs) - 1))
    member = data.draw(st.sampled_from(["name", "datatype", "shape", "data", "parameters"]))
    odd = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just(float("nan"))
    value = data.draw(
        odd | st.lists(odd, max_size=3) | st.lists(st.lists(odd, max_size=2), max_size=2) | st.sampled_from(["FP32", "BYTES", "BOOL", [2, 1], [1, 2]])
    )
    inputs[at] = inputs[at] | {member: value}
    body = json.dumps({"inputs": inputs}).encode()
    begin, end = sorted((data.draw(st.integers(0, len(body))), data.draw(st.integers(0, len(body))))) if data.draw(st.booleans()) else (0, len(body))
    headers = data.draw(st.sampled_from([{}, {JSON_LENGTH: "7"}, {JSON_LENGTH: str(len(body))}, {JSON_LENGTH: str(end - begin)}]))

    async def asked() -> int:
        async with opened(slots) as (client, _):
            return (await client.post(INFER, content=body[begin:end], headers=headers)).status_code

    assert asyncio.run(asked()) in (200, 400, 422)
