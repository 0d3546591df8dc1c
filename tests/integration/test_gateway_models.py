"""What the gateway passes on to control and tells of itself."""

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg import sql

from services.gateway.access import Role
from tests.gateway import EXAMPLE, Gateway, started


async def test_reads_and_changes_are_passed_on_with_the_actor(gateway: Gateway) -> None:
    eve = await gateway.user("eve", Role.engineer)
    answers: dict[str, tuple[int, Any]] = {
        "GET /models": (200, {"models": []}),
        "GET /models/tiny": (200, {"name": "tiny"}),
        "GET /models/tiny/versions": (200, {"versions": []}),
        "GET /models/tiny/ledger": (200, {"entries": [], "next": None}),
        "GET /models/tiny/drift": (200, {"reports": [], "next": None}),
        "GET /models/tiny/performance": (200, {"reports": [], "next": None}),
        "POST /models/tiny/promote": (200, {"id": 1}),
        "POST /models/tiny/rollback": (200, {"id": 2}),
        "PUT /models/tiny/policy": (200, {"id": 3}),
    }
    gateway.control.answers |= answers
    bodies: dict[str, Any] = {
        "POST /models/tiny/promote": {"version": "4", "reason": "better"},
        "POST /models/tiny/rollback": {"reason": "worse"},
        "PUT /models/tiny/policy": {"reason": "costs", "costs": {"missed_positive": 5, "false_alarm": 1}},
    }
    for route, (_, document) in answers.items():
        method, path = route.split()
        answer = await gateway.client.request(method, path, json=bodies.get(route), headers=eve)
        assert (answer.status_code, answer.json()) == (200, document)
    changes = {asked: (body, token) for asked, body, token in gateway.control.asked if body is not None}
    token = "Bearer control-token"
    assert changes == {route: (body | {"actor": "eve"}, token) for route, body in bodies.items()}
    await gateway.client.get("/models/tiny/ledger?limit=3&cursor=17", headers=eve)
    assert gateway.control.asked[-1][0] == "GET /models/tiny/ledger?limit=3&cursor=17"


async def test_traffic_counts_rows_and_calls(gateway: Gateway) -> None:
    ann = await gateway.user("ann", Role.viewer)

    async def traffic() -> tuple[dict[str, int], dict[str, int]]:
        await asyncio.sleep(1.05)  # an answer is shown again for a second
        answer = (await gateway.client.get("/models/tiny/traffic", headers=ann)).json()
        return answer["rows"], answer["calls"]

    before, calls = await traffic()
    for _ in range(3):
        assert (await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=ann)).status_code == 200
    gateway.runner.refuse = 422, {"detail": "no"}, {}
    assert (await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=ann)).status_code == 422
    rows, after = await traffic()
    assert sum(rows.values()) == sum(before.values()) + 3
    assert (after["answered"], after["refused"]) == (calls.get("answered", 0) + 3, calls.get("refused", 0) + 1)
    assert (await gateway.client.get("/models/other/traffic", headers=ann)).status_code == 404


async def test_reports_are_read_page_by_page_and_a_check_is_started(gateway: Gateway) -> None:
    ann = await gateway.user("ann", Role.analyst)
    for kind in ("drift", "performance"):
        gateway.control.answers[f"GET /models/tiny/{kind}"] = (200, {"reports": [], "next": None})
        await gateway.client.get(f"/models/tiny/{kind}?limit=3&cursor=17", headers=ann)
        assert gateway.control.asked[-1][0] == f"GET /models/tiny/{kind}?limit=3&cursor=17"
        assert (await gateway.client.get(f"/models/tiny/{kind}?limit=0", headers=ann)).status_code == 422
        assert (await gateway.client.get(f"/models/nothing/{kind}", headers=ann)).status_code == 404
    gateway.control.answers["POST /workflows"] = (202, {"id": "1", "kind": "drift"})
    answer = await gateway.client.post("/models/tiny/drift", json={"rows": 600}, headers=ann)
    assert answer.status_code == 202
    submitted = {"kind": "drift", "model": "tiny", "parameters": {"rows": 600}, "reason": "asked for through the gateway", "actor": "ann"}
    assert gateway.control.asked[-1][:2] == ("POST /workflows", submitted)
    for body, field in (({"rows": 0}, "rows"), ({"hours": "two"}, "hours"), ({"version": "../x"}, "version"), ({"source": "live"}, "source")):
        refused = await gateway.client.post("/models/tiny/drift", json=body, headers=ann)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
    assert (await gateway.client.post("/models/tiny/drift", json={}, headers=await gateway.user("vic"))).status_code == 403


async def test_a_page_of_evidentlys_is_asked_for_and_handed_out_as_a_file(gateway: Gateway) -> None:
    ann, vic, run = await gateway.user("ann", Role.analyst), await gateway.user("vic"), "01a200f2-0000-7000-8000-000000000000"
    gateway.control.answers["POST /workflows"] = (202, {"id": run, "kind": "evidently"})
    assert (await gateway.client.post("/models/tiny/drift/evidently", json={"rows": 600}, headers=ann)).status_code == 202
    submitted = {"kind": "evidently", "model": "tiny", "parameters": {"rows": 600}, "reason": "asked for through the gateway", "actor": "ann"}
    assert gateway.control.asked[-1][:2] == ("POST /workflows", submitted)
    assert (await gateway.client.post("/models/tiny/drift/evidently", json={}, headers=vic)).status_code == 403
    gateway.control.answers[f"GET /models/tiny/drift/evidently/{run}"] = (200, "a page")
    page = await gateway.client.get(f"/models/tiny/drift/evidently/{run}", headers=vic)
    assert (page.status_code, page.text) == (200, '"a page"')
    assert page.headers["content-disposition"] == 'attachment; filename="tiny-drift.html"'
    assert page.headers["content-security-policy"].startswith("sandbox")
    assert (await gateway.client.get("/models/tiny/drift/evidently/17", headers=vic)).status_code == 422


async def test_what_control_refuses_is_refused_in_its_words(gateway: Gateway) -> None:
    eve = await gateway.user("eve", Role.engineer)
    refused = {"status": 409, "title": "Conflict", "detail": "The gate failed: floor.", "rules": ["floor"]}
    for status, expected in ((409, 409), (404, 404), (401, 502), (500, 502), (503, 503)):
        gateway.control.answers["POST /models/tiny/promote"] = (status, refused)
        answer = await gateway.client.post("/models/tiny/promote", json={"version": "4", "reason": "better"}, headers=eve)
        assert (answer.status_code, answer.headers["content-type"]) == (expected, "application/problem+json")
        if expected == 409:
            assert (answer.json()["detail"], answer.json()["rules"]) == ("The gate failed: floor.", ["floor"])


@pytest.mark.parametrize(
    ("path", "method", "body", "field"),
    [
        ("promote", "POST", {"version": "../x", "reason": "better"}, "version"),
        ("promote", "POST", {"version": "1"}, "reason"),
        ("rollback", "POST", {"reason": ""}, "reason"),
        ("policy", "PUT", {"reason": "better"}, "body"),
        ("policy", "PUT", {"reason": "better", "threshold": 1.5}, "threshold"),
        ("policy", "PUT", {"reason": "better", "risk_levels": {"medium": 2, "high": 1}}, "risk_levels"),
    ],
)
async def test_bad_changes_never_reach_control(gateway: Gateway, path: str, method: str, body: Any, field: str) -> None:
    answer = await gateway.client.request(method, f"/models/tiny/{path}", json=body, headers=await gateway.user("eve", Role.engineer))
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])
    assert gateway.control.asked == []


async def test_bodies_of_other_endpoints_are_checked_as_well(gateway: Gateway) -> None:
    eve = await gateway.user("eve", Role.engineer)
    for content, kind, status in (
        (b'{"threshold": NaN, "reason": "better"}', "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"", "application/json", 400),
        (b" " * 300_000, "application/json", 413),
    ):
        answer = await gateway.client.put("/models/tiny/policy", content=content, headers=eve | {"Content-Type": kind})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_unknown_models_are_told_with_the_known_ones(gateway: Gateway) -> None:
    answer = await gateway.client.get("/models/none/versions", headers=await gateway.user("ann"))
    assert (answer.status_code, answer.json()["models"]) == (404, ["tiny"])


async def test_health_says_who_is_away(gateway: Gateway, database_url: str, free_port: int) -> None:
    report = (await gateway.client.get("/health")).json()
    assert (report["status"], report["runners"]["tiny"]["version"]) == ("ok", "3")
    nowhere = f"http://127.0.0.1:{free_port}"
    async with started(database_url, control_url=nowhere, runner_url=nowhere) as lonely:
        answer = await lonely.client.get("/health")
        assert (answer.status_code, answer.json()["status"], answer.json()["database"]["ok"]) == (200, "degraded", True)
        assert (await lonely.client.get("/readyz")).status_code == 200
        eve = await lonely.user("eve", Role.engineer)
        answer = await lonely.client.get("/models", headers=eve)
        assert (answer.status_code, answer.headers["Retry-After"], "Control" in answer.json()["detail"]) == (503, "5", True)


async def test_a_database_that_goes_away_leaves_the_gateway_ready(gateway: Gateway, database_url: str) -> None:
    """Its spool takes over; without any ready gateway nobody would be answered."""
    name = database_url.rpartition("/")[2]

    async def answer() -> tuple[int, str]:
        found = await gateway.client.get("/readyz")
        return found.status_code, found.json()["database"]

    assert await answer() == (200, "Answers.")
    async with await psycopg.AsyncConnection.connect(database_url.replace(f"/{name}", "/postgres"), autocommit=True) as admin:
        await admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
        try:
            await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            status, words = await answer()
            assert (status, words[:16]) == (200, "Does not answer:")
            assert (await gateway.client.get("/health")).status_code == 503
        finally:
            await admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name)))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("DROP TABLE predictions CASCADE")
    async with asyncio.timeout(20):
        while (found := await answer())[0] == 200:  # noqa: ASYNC110 - a probe is asked again
            await asyncio.sleep(0.1)  # until the pool has found the way back
    assert found == (503, "Answers, but this month's partition of predictions is missing.")


async def test_a_start_without_database_is_alive_and_says_that_it_is_not_ready(free_port: int, caplog: pytest.LogCaptureFixture) -> None:
    async with started(f"postgresql://nobody@127.0.0.1:{free_port}/none", audit_patience_seconds=0.2) as gateway:
        assert (await gateway.client.get("/livez")).status_code == 200
        assert (await gateway.client.get("/readyz")).status_code == 503
        health = await gateway.client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "down")
        answer = await gateway.client.post("/predict/tiny", json=EXAMPLE, headers={"X-API-Key": "my_a_b"})
        assert answer.status_code == 503
    assert "the database is not ready" in caplog.text
