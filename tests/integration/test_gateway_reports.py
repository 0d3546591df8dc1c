"""Reports through the gateway: who may have them, what they say, and that nothing is missing when a part is away."""

import asyncio
import csv
import io
import json
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from services.commands.report import save
from services.gateway.access import Role
from services.gateway.predictions.contracts import of_catalogue
from services.gateway.reports import documents
from services.local.api import Api
from tests.gateway import EXAMPLE, Gateway, started
from tests.gateway_process import gateway_process
from tests.pdfs import words

VERSION: dict[str, Any] = {
    "version": "3",
    "created_at": "2026-11-21T20:01:02+00:00",
    "champion": True,
    "source": "synthetic",
    "engine": "native",
    "data_hash": "d" * 64,
    "sha256": "e" * 64,
    "metrics": {
        "holdout": {"rows": 900, "metrics": {"roc_auc": {"value": 0.77, "low": 0.71, "high": 0.82}}, "baseline": {"roc_auc": 0.5}},
        "calibration": [{"predicted": 0.1, "observed": 0.12, "rows": 90}, {"predicted": 0.3, "observed": 0.28, "rows": 90}],
        "curves": {
            "roc": [{"false_alarms": 0.0, "found": 0.0}, {"false_alarms": 1.0, "found": 1.0}],
            "threshold": [{"threshold": 0.1, "cost_per_row": 0.4, "positive": 0.9}, {"threshold": 0.5, "cost_per_row": 0.2, "positive": 0.1}],
        },
        "importance": [{"feature": "age", "title": "Age", "fields": ["age"], "loss": 0.2}],
        "groups": {"young": {"roc_auc": {"value": 0.7, "low": 0.6, "high": 0.8}}},
        "remarks": ["a remark"],
    },
    "policy": {"threshold": 0.25, "costs": {"missed_positive": 4, "false_alarm": 1}, "risk_levels": {"medium": 0.5, "high": 1.5}},
    "verdict": {"passed": True, "rules": [{"rule": "floor", "passed": True, "words": "0.77 is at least 0.65"}]},
}
ENTRY = {"action": "promote", "from_version": "2", "to_version": "3", "actor": "mia", "reason": "better", "created_at": "2026-11-21T20:02:02+00:00"}


async def predicted(gateway: Gateway, headers: dict[str, str]) -> str:
    return str((await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers)).json()["prediction_id"])


async def test_a_prediction(gateway: Gateway) -> None:
    viewer, other = await gateway.user("vic"), await gateway.user("val")
    await gateway.query(
        "INSERT INTO policies (model, version, threshold, costs, risk_levels, actor, reason) VALUES ('tiny', 2, 0.4, '{}', '{}', 'mia', 'first') RETURNING 1"
    )
    identifier = await predicted(gateway, viewer)
    began = time.monotonic()
    answer = await gateway.client.get(f"/predictions/{identifier}/report.pdf", headers=viewer)
    took = time.monotonic() - began
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert answer.headers["Content-Disposition"] == f'inline; filename="prediction-{identifier}.pdf"'
    said = words(answer.content)
    row = (await gateway.client.get(f"/predictions/{identifier}", headers=viewer)).json()
    for wanted in ("Stays", identifier, "vic", "25.0 %", "threshold 40.0 %", "Age", "–0.2500", documents.fingerprint(row)):
        assert wanted in said, wanted
    assert (await gateway.client.get(f"/predictions/{identifier}/report.pdf", headers=other)).status_code == 404
    assert (await gateway.client.get(f"/predictions/{uuid4()}/report.pdf", headers=viewer)).status_code == 404
    assert took < 5  # two seconds are promised; the machine of a test may be busy with others


async def test_a_prediction_while_nobody_can_explain_it(gateway: Gateway) -> None:
    viewer = await gateway.user("vic")
    identifier = await predicted(gateway, viewer)
    gateway.runner.refuse = (503, {"detail": "No version is loaded."}, {})
    answer = await gateway.client.get(f"/predictions/{identifier}/report.pdf", headers=viewer)
    assert answer.status_code == 200
    assert "There are none in this report. No version is loaded." in words(answer.content)


async def test_a_batch(gateway: Gateway) -> None:
    analyst = await gateway.user("ann", Role.analyst)
    gateway.runner.score = lambda row: row["age"] / 100
    rows: list[Any] = [{"age": age, "note": note} for age, note in ((10, "=1+1"), (20, "b"), (20, "x,y"), (90, "d"))]
    rows.insert(1, {"age": -5})
    answer = await gateway.client.post("/predict/tiny/batch?on_error=skip", json={"rows": rows}, headers=analyst)
    batch_id = answer.headers["X-Batch-ID"]
    summary = (await gateway.client.get(f"/predict/batches/{batch_id}", headers=analyst)).json()
    assert {name: summary[name] for name in ("model", "model_versions", "username", "rows", "decisions", "failed")} == {
        "model": "tiny",
        "model_versions": ["3"],
        "username": "ann",
        "rows": 4,
        "decisions": {"stays": 4},
        "failed": {"count": 1, "positions": [1]},
    }
    assert summary["scores"] == {"min": 0.1, "mean": 0.35, "max": 0.9}
    assert [(round(one["from"], 2), one["rows"]) for one in summary["histogram"] if one["rows"]] == [(0.1, 1), (0.2, 2), (0.9, 1)]
    report = await gateway.client.get(f"/predict/batches/{batch_id}/report.pdf", headers=analyst)
    assert "Tiny: batch of 4 rows" in words(report.content)
    table = await gateway.client.get(f"/predict/batches/{batch_id}/rows.csv", headers=analyst)
    assert table.headers["Content-Type"].startswith("text/csv")
    found = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["row"], row["age"], row["note"], row["decision"], row["model_version"]) for row in found] == [
        ("0", "10", "'=1+1", "stays", "3"),
        ("2", "20", "b", "stays", "3"),
        ("3", "20", "x,y", "stays", "3"),
        ("4", "90", "d", "stays", "3"),
    ]
    ids = [row["prediction_id"] for row in answer.json()["predictions"] if row]
    assert [row["prediction_id"] for row in found] == ids


async def test_a_batch_that_there_is_not(gateway: Gateway) -> None:
    analyst = await gateway.user("ann", Role.analyst)
    for path in ("", "/report.pdf", "/rows.csv"):
        answer = await gateway.client.get(f"/predict/batches/{uuid4()}{path}", headers=analyst)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


async def test_scores_that_are_all_the_same_have_bins_too(gateway: Gateway) -> None:
    analyst = await gateway.user("ann", Role.analyst)
    gateway.runner.decision = None  # type: ignore[assignment]
    gateway.runner.score = lambda _: 7.0
    answer = await gateway.client.post("/predict/tiny/batch", content=json.dumps([EXAMPLE] * 3), headers=analyst | {"Content-Type": "application/json"})
    summary = (await gateway.client.get(f"/predict/batches/{answer.headers['X-Batch-ID']}", headers=analyst)).json()
    assert (summary["decisions"], sum(one["rows"] for one in summary["histogram"])) == ({}, 3)


async def test_a_version(gateway: Gateway) -> None:
    analyst = await gateway.user("ann", Role.analyst)
    gateway.control.answers |= {
        "GET /models/tiny": (200, {"owner": "credit-risk"}),
        "GET /models/tiny/versions/3": (200, VERSION),
        "GET /models/tiny/ledger": (200, {"entries": [ENTRY, ENTRY | {"from_version": "0", "to_version": "1", "actor": "nobody"}], "next": None}),
    }
    answer = await gateway.client.get("/models/tiny/versions/3/report.pdf", headers=analyst)
    assert answer.status_code == 200
    said = words(answer.content)
    for wanted in (
        "Tiny, version 3",
        "credit-risk",
        "0.7700",
        "0.7100 … 0.8200",
        "0.5000",
        "young",
        "Calibration",
        "Age",
        "0.77 is at least 0.65",
        "mia",
        "better",
    ):
        assert wanted in said, wanted
    assert "nobody" not in said
    gateway.control.answers["GET /models/tiny/versions/3"] = (404, {"detail": "tiny has no version '3'."})
    assert (await gateway.client.get("/models/tiny/versions/3/report.pdf", headers=analyst)).status_code == 404
    assert (await gateway.client.get("/models/tiny/versions/a%20b/report.pdf", headers=analyst)).status_code == 422


async def test_a_model_that_has_left_the_catalogue_is_still_reported(database_url: str) -> None:
    async with started(database_url) as gateway:
        viewer = await gateway.user("vic", Role.analyst)
        identifier = await predicted(gateway, viewer)
    async with started(database_url, of_catalogue()) as gateway:
        headers = (await gateway.log_in("vic"))[0]
        answer = await gateway.client.get(f"/predictions/{identifier}/report.pdf", headers=headers)
    assert answer.status_code == 200
    assert "There is no model tiny" in words(answer.content)


async def test_the_command_writes_the_file_whole(database_url: str, tmp_path: Path) -> None:
    async with gateway_process(database_url, tmp_path, workers=1) as gateway:
        from tests.gateway_process import EXAMPLE as ROW
        from tests.gateway_process import MODEL

        gateway.runner.model = MODEL
        async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.headers) as client:
            identifier = (await client.post(f"/predict/{MODEL}", json=ROW)).json()["prediction_id"]
        api = Api("the gateway", gateway.url, gateway.headers["Authorization"].removeprefix("Bearer "))
        await asyncio.to_thread(save, api, f"/predictions/{identifier}/report.pdf", tmp_path / "one.pdf")
        assert identifier in words((tmp_path / "one.pdf").read_bytes())
