"""Why: of a row that somebody asks about, and of a prediction that was given; through the gateway, to a stand-in and to a real runner."""

import math
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from bentos import contract
from services.gateway.access import Role
from services.gateway.predictions.contracts import of_catalogue
from tests.gateway import EXAMPLE, Gateway, started
from tests.runners import Upstream, process


async def predicted(gateway: Gateway, headers: dict[str, str]) -> str:
    answer = await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers)
    assert answer.status_code == 200
    return str(answer.json()["prediction_id"])


def total(explanation: dict[str, Any]) -> float:
    return float(explanation["base_value"] + math.fsum(part["contribution"] for part in explanation["contributions"]))


async def test_a_row_is_validated_as_for_a_prediction_and_explained_without_a_trace(gateway: Gateway) -> None:
    analyst = await gateway.user("ann", Role.analyst)
    answer = await gateway.client.post("/predict/tiny/explain", json=EXAMPLE, headers=analyst)
    assert answer.status_code == 200
    assert total(answer.json()) == pytest.approx(answer.json()["output"], abs=1e-12)
    assert (answer.json()["cached"], answer.json()["model_version"]) == (False, "3")
    # With its defaults, as the runner gets it for a prediction.
    assert gateway.runner.explained == [{"row": {"age": 41, "income": 1000.5, "note": "none"}, "version": None}]
    wrong, predicted_wrong = [await gateway.client.post(f"/predict/tiny{path}", json={"age": -1, "extra": 1}, headers=analyst) for path in ("/explain", "")]
    assert wrong.status_code == 422
    assert wrong.json()["errors"] == predicted_wrong.json()["errors"]
    assert await gateway.query("SELECT count(*) FROM predictions") == [(0,)]
    assert (await gateway.client.post("/predict/unknown/explain", json=EXAMPLE, headers=analyst)).status_code == 404


async def test_a_version_may_be_asked_for(gateway: Gateway) -> None:
    analyst = await gateway.user("ann", Role.analyst)
    answer = await gateway.client.post("/predict/tiny/explain?version=2", json=EXAMPLE, headers=analyst)
    assert (answer.status_code, answer.json()["model_version"], gateway.runner.explained[0]["version"]) == (200, "2", "2")
    refused = await gateway.client.post("/predict/tiny/explain?version=..%2Fx", json=EXAMPLE, headers=analyst)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "version")


async def test_a_prediction_is_explained_once_by_the_version_that_answered(gateway: Gateway) -> None:
    viewer = await gateway.user("vic")
    identifier = await predicted(gateway, viewer)
    gateway.runner.version = "4"
    first, again = [(await gateway.client.get(f"/predictions/{identifier}/explanation", headers=viewer)).json() for _ in range(2)]
    assert (first["model_version"], first["policy_version"], first["cached"], again["cached"]) == ("3", 2, False, True)
    assert first["prediction"]["decision"] == "stays"
    assert first | {"cached": True} == again
    assert [call["version"] for call in gateway.runner.explained] == ["3"]
    assert await gateway.query("SELECT prediction_id::text FROM explanations") == [(identifier,)]


async def test_a_number_that_the_database_writes_as_a_long_integer_is_one(gateway: Gateway) -> None:
    viewer = await gateway.user("vic")
    answer = await gateway.client.post("/predict/tiny", json=EXAMPLE | {"income": 1e22}, headers=viewer)
    explained = await gateway.client.get(f"/predictions/{answer.json()['prediction_id']}/explanation", headers=viewer)
    assert (explained.status_code, gateway.runner.explained[0]["row"]["income"]) == (200, 1e22)


async def test_viewers_see_only_their_own(gateway: Gateway) -> None:
    viewer, other, analyst = await gateway.user("vic"), await gateway.user("val"), await gateway.user("ann", Role.analyst)
    identifier = await predicted(gateway, viewer)
    statuses = [(await gateway.client.get(f"/predictions/{identifier}/explanation", headers=headers)).status_code for headers in (other, analyst, viewer)]
    assert statuses == [404, 200, 200]
    assert (await gateway.client.get(f"/predictions/{uuid4()}/explanation", headers=analyst)).status_code == 404


async def test_what_contradicts_the_audit_or_itself_is_not_told(gateway: Gateway) -> None:
    viewer = await gateway.user("vic")
    identifier = await predicted(gateway, viewer)
    gateway.runner.score = lambda _: 0.3
    changed = await gateway.client.get(f"/predictions/{identifier}/explanation", headers=viewer)
    assert (changed.status_code, "cannot say why" in changed.json()["detail"]) == (409, True)
    gateway.runner.score = lambda _: 0.25
    gateway.runner.off = 1e-6
    assert (await gateway.client.get(f"/predictions/{identifier}/explanation", headers=viewer)).status_code == 502
    assert await gateway.query("SELECT count(*) FROM explanations") == [(0,)]


@pytest.mark.parametrize(
    ("said", "status"), [((429, {"Retry-After": "1"}), 429), ((409, {}), 409), ((404, {}), 404), ((502, {}), 503), ((503, {"Retry-After": "3"}), 503)]
)
async def test_what_the_runner_says_is_passed_on_and_predictions_go_on(said: tuple[int, dict[str, str]], status: int, gateway: Gateway) -> None:
    analyst = await gateway.user("ann", Role.analyst)
    gateway.runner.refuse = (said[0], {"detail": "in its words"}, said[1])
    answer = await gateway.client.post("/predict/tiny/explain", json=EXAMPLE, headers=analyst)
    assert (answer.status_code, answer.json()["detail"], answer.headers["Content-Type"]) == (status, "in its words", "application/problem+json")
    assert ("Retry-After" in answer.headers) == (status in (429, 503))
    gateway.runner.refuse = None
    await predicted(gateway, analyst)


async def test_a_runner_that_is_away_is_told_as_for_predictions(database_url: str) -> None:
    async with started(database_url, runner_url="http://127.0.0.1:9") as gateway:
        analyst = await gateway.user("ann", Role.analyst)
        explained, predicted = [await gateway.client.post(f"/predict/tiny{path}", json=EXAMPLE, headers=analyst) for path in ("/explain", "")]
    assert explained.status_code == predicted.status_code == 503
    assert explained.json()["detail"] == predicted.json()["detail"]


@pytest.mark.parametrize("model", ["credit_scoring", "attrition", "crypto_price"])
async def test_a_real_runner_explains_what_it_answered(model: str, database_url: str, tmp_path: Path) -> None:
    example = contract.schema(model).EXAMPLE
    with Upstream(tmp_path / "files", model) as upstream, process(model, upstream, tmp_path) as (_, url, _):
        async with started(database_url, of_catalogue(), runners={model: url}) as gateway:
            analyst = await gateway.user("ann", Role.analyst)
            answer = (await gateway.client.post(f"/predict/{model}", json=example, headers=analyst)).json()
            upstream.promote("2")
            explained = await gateway.client.get(f"/predictions/{answer['prediction_id']}/explanation", headers=analyst)
            asked = await gateway.client.post(f"/predict/{model}/explain?version=2", json=example, headers=analyst)
    assert (explained.status_code, asked.status_code) == (200, 200)
    document = explained.json()
    assert (document["model_version"], asked.json()["model_version"]) == ("1", "2")
    assert document["prediction"] == {name: answer[name] for name in document["prediction"]}
    assert total(document) == pytest.approx(document["output"], abs=1e-9)
    assert {part["field"] for part in document["contributions"]} == set(contract.schema(model).Input.model_fields)
