"""Starting, watching and stopping workflow runs through the gateway."""

from typing import Any
from uuid import uuid4

import pytest

from services.gateway.access import Role
from tests.gateway import Gateway

RUN = {"id": str(uuid4()), "kind": "train", "status": "queued"}


@pytest.mark.parametrize(
    ("path", "body", "kind", "parameters"),
    [
        ("/prediction/train", {"rows": 600, "seed": 3, "drift": 0.5}, "train", {"rows": 600, "seed": 3, "drift": 0.5}),
        ("/prediction/train", {"source": "files", "data_dir": "/data"}, "train", {"source": "files", "data_dir": "/data"}),
        ("/prediction/score", {"version": "4", "partitions": 2}, "score", {"version": "4", "partitions": 2}),
        ("/prediction/predict", {"rows": 5}, "predict", {"rows": 5}),
        ("/generate", {"rows": 500, "drift": 1}, "generate", {"rows": 500, "drift": 1}),
    ],
)
async def test_a_run_is_submitted_with_whoever_asked(gateway: Gateway, path: str, body: Any, kind: str, parameters: Any) -> None:
    eve = await gateway.user("eve", Role.engineer)
    gateway.control.answers["POST /workflows"] = (202, RUN)
    answer = await gateway.client.post(path, json={"model": "tiny", "reason": "the walk", **body}, headers=eve)
    assert (answer.status_code, answer.json()) == (202, RUN)
    submitted = {"kind": kind, "model": "tiny", "parameters": parameters, "reason": "the walk", "actor": "eve"}
    assert gateway.control.asked[-1] == ("POST /workflows", submitted, "Bearer control-token")
    await gateway.client.post(path, json={"model": "tiny", **body}, headers=eve)
    assert gateway.control.asked[-1][1]["reason"] == "asked for through the gateway"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/prediction/train", {"model": "none"}, "model"),
        ("/prediction/train", {"model": "tiny", "rows": 99}, "rows"),
        ("/prediction/train", {"model": "tiny", "version": "3"}, "version"),
        ("/prediction/train", {"model": "tiny", "data_dir": "here"}, "data_dir"),
        ("/prediction/score", {"model": "tiny", "partitions": 33}, "partitions"),
        ("/retrain", {"model": "tiny", "rows": 500}, "rows"),
        ("/retrain", {"model": "tiny", "reason": "x"}, "reason"),
        ("/generate", {"model": "tiny"}, "rows"),
        ("/generate", {"model": "tiny", "rows": 500, "source": "files"}, "source"),
    ],
)
async def test_bad_submissions_never_reach_control(gateway: Gateway, path: str, body: Any, field: str) -> None:
    answer = await gateway.client.post(path, json=body, headers=await gateway.user("eve", Role.engineer))
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])
    assert gateway.control.asked == []


async def test_a_retraining_goes_through_its_rules_and_tells_their_decision(gateway: Gateway) -> None:
    eve = await gateway.user("eve", Role.engineer)
    decided = {"id": 1, "decision": "submitted", "why": "number 1 of 4"}
    gateway.control.answers["POST /models/tiny/retrain"] = (202, RUN | {"retraining": decided})
    answer = await gateway.client.post("/retrain", json={"model": "tiny", "source": "recent", "reason": "the walk"}, headers=eve)
    assert (answer.status_code, answer.json()["retraining"]) == (202, decided)
    asked = {"words": "the walk", "actor": "eve", "parameters": {"source": "recent"}}
    assert gateway.control.asked[-1] == ("POST /models/tiny/retrain", asked, "Bearer control-token")
    refused = {"detail": "tiny is not retrained: a training is under way.", "retraining": {"decision": "refused", "rule": "under way"}}
    gateway.control.answers["POST /models/tiny/retrain"] = (409, refused)
    answer = await gateway.client.post("/retrain", json={"model": "tiny"}, headers=eve)
    assert (answer.status_code, answer.json()["retraining"]["rule"]) == (409, "under way")
    gateway.control.answers["GET /models/tiny/retrainings"] = (200, {"retrainings": [decided], "next": None})
    assert (await gateway.client.get("/models/tiny/retrainings?limit=1", headers=eve)).json()["retrainings"] == [decided]
    assert gateway.control.asked[-1][0] == "GET /models/tiny/retrainings?limit=1"
    assert (await gateway.client.get("/models/none/retrainings", headers=eve)).status_code == 404


async def test_what_control_finds_wrong_is_told_in_the_bodys_own_names(gateway: Gateway) -> None:
    errors = [{"field": "parameters.data_dir", "rule": "must exist where control runs", "value": "/data"}]
    gateway.control.answers["POST /workflows"] = (422, {"detail": "data_dir must exist where control runs.", "errors": errors})
    body = {"model": "tiny", "source": "files", "data_dir": "/data"}
    answer = await gateway.client.post("/prediction/train", json=body, headers=await gateway.user("eve", Role.engineer))
    assert (answer.status_code, answer.json()["errors"]) == (422, [errors[0] | {"field": "data_dir"}])


async def test_runs_are_read_and_stopped(gateway: Gateway) -> None:
    eve = await gateway.user("eve", Role.engineer)
    page = {"workflows": [RUN], "next": RUN["id"]}
    gateway.control.answers |= {
        "GET /workflows": (200, page),
        f"GET /workflows/{RUN['id']}": (200, RUN),
        f"POST /workflows/{RUN['id']}/stop": (200, RUN | {"status": "stopped"}),
        f"GET /workflows/{RUN['id']}/logs": (404, {"detail": "There is no workflow run."}),
    }
    answer = await gateway.client.get("/workflows", params={"model": "tiny", "kind": "train", "status": "queued", "limit": 1, "cursor": RUN["id"]}, headers=eve)
    assert (answer.status_code, answer.json()) == (200, page)
    assert gateway.control.asked[-1][0] == f"GET /workflows?model=tiny&kind=train&status=queued&limit=1&cursor={RUN['id']}"
    tag = answer.headers["ETag"]
    again = await gateway.client.get("/workflows", headers=eve | {"If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    gateway.control.answers["GET /workflows"] = (200, page | {"next": None})
    assert (await gateway.client.get("/workflows", headers=eve | {"If-None-Match": tag})).status_code == 200
    assert (await gateway.client.get(f"/workflows/{RUN['id']}", headers=eve)).json() == RUN
    assert (await gateway.client.post(f"/workflows/{RUN['id']}/stop", headers=eve)).json()["status"] == "stopped"
    assert gateway.control.asked[-1][2] == "Bearer control-token"
    assert (await gateway.client.get(f"/workflows/{RUN['id']}/logs", headers=eve)).status_code == 404
    assert (await gateway.client.get("/workflows/x", headers=eve)).status_code == 422
    assert (await gateway.client.get("/workflows?model=none", headers=eve)).status_code == 404


async def test_a_log_is_text(gateway: Gateway) -> None:
    gateway.control.texts[f"GET /workflows/{RUN['id']}/logs"] = "=== train\nfold 3 of 5 – done\n"
    answer = await gateway.client.get(f"/workflows/{RUN['id']}/logs", headers=await gateway.user("ann", Role.analyst))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.text == "=== train\nfold 3 of 5 – done\n"


async def test_a_reported_moment_alone_is_no_change(gateway: Gateway) -> None:
    ann = await gateway.user("ann")

    def models(at: str, version: str) -> Any:
        return {"models": [{"name": "tiny", "replicas": [{"replica": "a", "version": version, "reported_at": at}]}], "next": None}

    tags = []
    for at, version in (("10:00", "1"), ("10:15", "1"), ("10:30", "2")):
        gateway.control.answers["GET /models"] = (200, models(at, version))
        tags.append((await gateway.client.get("/models", headers=ann)).headers["ETag"])
    assert tags[0] == tags[1] != tags[2]


async def test_what_is_known_of_versions_without_asking_a_model(gateway: Gateway) -> None:
    ann = await gateway.user("ann")
    gateway.control.answers |= {
        "GET /models/tiny/evaluation": (200, {"model": "tiny", "metrics": {}}),
        "GET /models/tiny/best": (404, {"detail": "No version of tiny has the metric mse: train it first."}),
        "GET /models": (200, {"models": [{"name": "tiny", "title": "Tiny"}], "next": "tiny"}),
        "GET /models/tiny/versions": (200, {"versions": [{"version": "3"}], "next": None}),
    }
    get = gateway.client.get
    assert (await get("/prediction/model-evaluation?model=tiny", headers=ann)).json() == {"model": "tiny", "metrics": {}}
    assert (await get("/prediction/best-model?model=tiny", headers=ann)).status_code == 404
    listed = (await get("/prediction/models?limit=1", headers=ann)).json()
    assert listed == {"models": [{"name": "tiny", "title": "Tiny", "versions": [{"version": "3"}], "next": None}], "next": "tiny"}
    assert (await get("/prediction/latest-prediction?model=tiny", headers=ann)).status_code == 404
    assert (await get("/prediction/latest-prediction?model=none", headers=ann)).status_code == 404
    assert (await get("/prediction/latest-prediction", headers=ann)).status_code == 422
    bob = await gateway.user("bob", Role.analyst)
    made = [(await gateway.client.post("/predict/tiny", json={"age": age}, headers=who)).json() for age, who in ((41, ann), (42, bob))]
    latest = [(await get("/prediction/latest-prediction?model=tiny", headers=who)).json() for who in (ann, bob)]
    assert [one["prediction_id"] for one in latest] == [one["prediction_id"] for one in made]
