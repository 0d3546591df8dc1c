"""What a platform promises wherever it runs: these tests are made of the laptop's or of a cluster's."""

import csv
import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from bentos import catalogue
from bentos.schemas import schema
from tests.e2e.calling import calling
from tests.e2e.platforms import ON_CLUSTER, Anywhere, Laptop, cluster, stored, token, train

MODEL = "attrition"
ROWS = {"attrition": 1500}


@pytest.fixture(scope="module")
def where(request: pytest.FixtureRequest) -> Iterator[Anywhere]:
    if ON_CLUSTER:
        with cluster() as found:
            yield found
    else:
        yield Laptop(request.getfixturevalue("platform"))


@pytest.fixture
def client(where: Anywhere) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=where.url, headers=token(where), timeout=60) as opened:
        yield opened


@pytest.mark.parametrize("model", catalogue.names())
def test_every_model_answers_and_the_answer_is_audited(where: Anywhere, client: httpx.Client, model: str) -> None:
    answer = client.post(f"/predict/{model}", json=schema(model).EXAMPLE)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    (row,) = where.sql(f"SELECT model, model_version, username, output->>'prediction' FROM predictions WHERE id = '{document['prediction_id']}'")
    assert row[:3] == [model, document["model_version"], "admin"]
    assert float(row[3]) == document["prediction"]
    assert client.get(f"/predictions/{document['prediction_id']}").json()["model_version"] == document["model_version"]


def test_the_services_do_not_own_what_they_record(where: Anywhere) -> None:
    owning = "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name ~ '^modelyard-(gateway|control)'"
    assert where.sql(owning) == [["modelyard_app"]]


def test_a_csv_batch_comes_back_whole_and_every_row_is_audited(where: Anywhere, client: httpx.Client) -> None:
    text = io.StringIO()
    example = schema(MODEL).EXAMPLE
    writer = csv.DictWriter(text, list(example))
    writer.writeheader()
    writer.writerows([example] * 500)
    answer = client.post(f"/predict/{MODEL}/batch", content=text.getvalue(), headers={"Content-Type": "text/csv", "Accept": "text/csv"})
    assert answer.status_code == 200, answer.text
    ids = [row["prediction_id"] for row in csv.DictReader(io.StringIO(answer.text))]
    assert len(set(ids)) == 500
    assert where.sql(f"SELECT count(*) FROM predictions WHERE batch_id = (SELECT batch_id FROM predictions WHERE id = '{ids[0]}')") == [["500"]]


def test_the_open_inference_protocol_is_spoken(client: httpx.Client) -> None:
    assert client.get("/v2/health/ready").json()["ready"] is True
    inputs = client.get(f"/v2/models/{MODEL}").json()["inputs"]
    example = schema(MODEL).EXAMPLE
    tensors = [{"name": one["name"], "shape": [1], "datatype": one["datatype"], "data": [example[one["name"]]]} for one in inputs if one["name"] in example]
    answer = client.post(f"/v2/models/{MODEL}/infer", json={"id": "one", "inputs": tensors})
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == "one"


def test_bad_input_is_told_by_field_and_nobody_unknown_is_answered(client: httpx.Client) -> None:
    wrong = client.post(f"/predict/{MODEL}", json=schema(MODEL).EXAMPLE | {"age": "old"})
    assert (wrong.status_code, [error["field"] for error in wrong.json()["errors"]]) == (422, ["age"])
    assert httpx.post(f"{client.base_url}/predict/{MODEL}", json=schema(MODEL).EXAMPLE).status_code == 401
    missing = client.post("/predict/nothing", json={})
    assert missing.status_code == 404
    assert MODEL in missing.text


def test_the_same_key_gets_the_same_answer(client: httpx.Client) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first, second = (client.post(f"/predict/{MODEL}", json=schema(MODEL).EXAMPLE, headers=key) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"


def test_a_trained_version_is_promoted_and_rolled_back_under_load_and_nobody_notices(where: Anywhere, client: httpx.Client) -> None:
    """Training runs as the platform runs it: processes on a laptop, an Argo workflow in a cluster."""
    before = client.get(f"/models/{MODEL}").json()
    began = datetime.now(UTC)
    run = train(where, MODEL, {"rows": ROWS[MODEL], "seed": time.time_ns() % 1000})
    assert run["status"] == "succeeded", run
    assert [step["status"] for step in run["steps"]] == ["succeeded"] * 6, run
    took = datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["started_at"])
    assert took.total_seconds() <= 150
    trained, served = run["result"]["version"], before["champion"]["version"]
    headers = {name: value for name, value in client.headers.items() if name == "authorization"}
    with calling(f"{where.url}/predict/{MODEL}", headers, dict(schema(MODEL).EXAMPLE)) as calls:
        for version in (trained, served, trained):
            change = client.post(f"/models/{MODEL}/promote", json={"version": version, "reason": "tried in a test", "force": True})
            assert change.status_code in (200, 409), change.text
            time.sleep(3)
        back = client.post(f"/models/{MODEL}/rollback", json={"reason": "taken back in a test"})
        assert back.status_code == 200, back.text
        time.sleep(3)
    assert calls.failed == 0, (calls.statuses, calls.failures[:3])
    assert {version for _, version in calls.versions} >= {trained, served}
    assert calls.versions[-1][1] == served
    assert stored(where, calls.ids) == len(calls.ids), "answered and not stored"
    assert int(where.sql(f"SELECT count(*) FROM deployments WHERE model = '{MODEL}' AND created_at >= '{began.isoformat()}'")[0][0]) >= 3
    assert client.get(f"/models/{MODEL}").json()["champion"]["version"] == served
