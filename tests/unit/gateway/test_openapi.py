"""The document describes the models' own schemas exactly."""

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
    assert operation["responses"].keys() == {"200", "default"}
    assert (operation["security"], "Role: viewer." in operation["description"]) == ([{"accessToken": []}, {"apiKey": []}], True)
    assert "security" not in document["paths"]["/auth/login"]["post"]


def test_the_catalogues_models_are_all_there() -> None:
    contracts = of_catalogue()
    paths = create(contracts, lambda: None).openapi()["paths"]  # type: ignore[arg-type, return-value]
    assert {f"/predict/{model}" for model in contracts} <= set(paths)
    hidden = {"/predict/{model}", "/predict/{model}/batch", "/openapi.json", "/docs"}
    assert {path for _, path in TABLE} - hidden <= set(paths)
