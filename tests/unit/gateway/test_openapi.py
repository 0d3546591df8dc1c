"""The document describes the models' own schemas exactly."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from services.gateway.access import TABLE
from services.gateway.app import create
from services.gateway.predictions.contracts import of_catalogue
from tests.gateway import CONTRACTS, EXAMPLE, TinyInput


def test_each_model_has_exact_routes_of_its_own() -> None:
    document = create(CONTRACTS, lambda: None).openapi()  # type: ignore[arg-type, return-value]
    operation = document["paths"]["/predict/tiny"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    assert (content["schema"], content["examples"]["example"]["value"]) == ({"$ref": "#/components/schemas/TinyInput"}, EXAMPLE)
    assert document["components"]["schemas"]["TinyInput"] == TinyInput.model_json_schema()
    answer = document["components"]["schemas"]["TinyAnswer"]["properties"]
    assert {"prediction", "probability", "prediction_id", "model", "model_version", "policy_version"} <= set(answer)
    assert ("/predict/{model}" in document["paths"], "/predict/tiny/batch" in document["paths"]) == (False, True)
    assert operation["responses"].keys() == {"200", "400", "401", "404", "408", "413", "415", "422", "429", "502", "503", "504"}
    assert (operation["security"], "Role: viewer." in operation["description"]) == ([{"accessToken": []}, {"apiKey": []}], True)
    assert "security" not in document["paths"]["/auth/login"]["post"]


def test_the_catalogues_models_are_all_there() -> None:
    contracts = of_catalogue()
    paths = create(contracts, lambda: None).openapi()["paths"]  # type: ignore[arg-type, return-value]
    assert {f"/predict/{model}" for model in contracts} <= set(paths)
    hidden = {"/predict/{model}", "/predict/{model}/batch", "/predict/{model}/explain", "/openapi.json", "/docs", "/docs/{asset}"}
    assert {path for _, path in TABLE} - hidden <= set(paths)


def test_the_open_inference_protocol_is_described_with_a_request_for_each_model() -> None:
    document = create(CONTRACTS, lambda: None).openapi()  # type: ignore[arg-type, return-value]
    for path in ("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"):
        operation = document["paths"][path]["post"]
        content = operation["requestBody"]["content"]["application/json"]
        inputs = content["examples"]["tiny"]["value"]["inputs"]
        assert content["schema"] == {"$ref": "#/components/schemas/InferenceRequest"}
        assert [(one["name"], one["datatype"], one["shape"], one["data"]) for one in inputs] == [("age", "INT64", [1], [41]), ("income", "FP64", [1], [1000.5])]
        assert operation["responses"]["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/InferenceResponse"}
        assert (operation["security"], "Role: viewer." in operation["description"]) == ([{"accessToken": []}, {"apiKey": []}], True)
    assert "security" not in document["paths"]["/v2/health/ready"]["get"]


def test_predictions_take_an_idempotency_key() -> None:
    document = create(CONTRACTS, lambda: None).openapi()  # type: ignore[arg-type, return-value]
    for path in ("/predict/tiny", "/predict/tiny/batch"):
        assert "Idempotency-Key" in {parameter["name"] for parameter in document["paths"][path]["post"]["parameters"]}


def test_batches_are_described_in_all_their_forms() -> None:
    document = create(CONTRACTS, lambda: None).openapi()  # type: ignore[arg-type, return-value]
    operation = document["paths"]["/predict/tiny/batch"]["post"]
    forms = operation["requestBody"]["content"]
    assert forms.keys() == {"application/json", "application/x-ndjson", "application/jsonl", "text/csv", "application/vnd.apache.parquet"}
    assert [one.get("type") for one in forms["application/json"]["schema"]["oneOf"]] == ["object", "array"]
    assert forms["text/csv"]["example"] == "age,income\r\n41,1000.5\r\n"
    answer = operation["responses"]["200"]
    assert answer["content"].keys() == {"application/json", "application/x-ndjson", "application/jsonl", "text/csv"}
    assert answer["headers"].keys() == {"X-Batch-ID", "X-Rows-Failed"}
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/TinyAnswers"}
    assert {"batch_id", "model", "model_version", "policy_version", "predictions"} <= set(document["components"]["schemas"]["TinyAnswers"]["required"])
    assert "TinyInput" in document["components"]["schemas"]
    assert "on_error" in {parameter["name"] for parameter in operation["parameters"]}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = create(of_catalogue(), lambda: None).openapi()  # type: ignore[arg-type, return-value]
    return made


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(method, path): operation for path, methods in document["paths"].items() for method, operation in methods.items()}


def test_every_operation_is_named_grouped_and_summed_up(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z_0-9]+", one) for one in ids)
    known = [tag["name"] for tag in document["tags"]]
    for place, operation in operations(document).items():
        assert len(operation["tags"]) == 1, place
        assert operation["tags"][0] in known, place
        assert 3 < len(operation["summary"]) < 160, place
    order = [known.index(operation["tags"][0]) for operation in operations(document).values()]
    assert order == sorted(order), "in reading order"


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    def check(content: dict[str, Any], place: tuple[str, str]) -> None:
        for media, part in content.items():
            if media == "application/json":
                examples = [one["value"] for one in part["examples"].values()] if "examples" in part else [part["example"]]
                for example in examples:
                    schema = {"$ref": "#/schema", "schema": part.get("schema", {}), "components": document["components"]}
                    Draft202012Validator(schema).validate(example)

    for place, operation in operations(document).items():
        if "requestBody" in operation:
            check(operation["requestBody"]["content"], place)
        for status, response in operation["responses"].items():
            if status.startswith("2"):
                check(response.get("content", {}), place)
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] != "path" or "example" in parameter, (place, parameter["name"])


def test_every_refusal_is_a_problem(document: dict[str, Any]) -> None:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for place, operation in operations(document).items():
        refusals = {status: response for status, response in operation["responses"].items() if status >= "4"}
        assert "default" not in refusals, place
        told = {status for status, response in refusals.items() if response.get("content") != problem}
        assert told <= {"503"}, f"{place}: {told}"
        if operation.get("security"):
            assert {"401", "429", "503"} <= set(refusals), place
