"""Some callers are answered by the challenger: always the same ones, as many as the ledger says, as soon as it says so."""

from typing import Any

import psycopg
import pytest

from services.gateway.access import Role
from services.gateway.rollouts.canaries import place
from tests.gateway import EXAMPLE, Gateway
from tests.integration.control_server import until

INSERT = """
INSERT INTO deployments (model, action, from_version, to_version, actor, reason, challenger, shadow_percent, canary_percent)
VALUES ('tiny', 'canary', '3', '3', 'ada', 'tested', %s, 0, %s)
"""


async def canary(gateway: Gateway, database_url: str, percent: int) -> None:
    """Returns when the gateway knows."""
    with psycopg.connect(database_url) as connection:
        for version in ("3", "4"):
            connection.execute(
                "INSERT INTO model_versions (model, version, run_id, artifact, sha256, source, data_hash, engine, metrics) "
                "VALUES ('tiny', %s, 'r', 'a', 's', 'synthetic', 'd', 'linear', '{}') ON CONFLICT DO NOTHING",
                [version],
            )
        connection.execute(INSERT, ["4" if percent else None, percent])
    gateway.runner.challenger = "4"

    async def known() -> bool:
        found = gateway.state.canaries._of.get("tiny")
        return (found.percent if found else 0) == percent

    await until(known)


async def versions(gateway: Gateway, headers: dict[str, str], keys: list[str | None]) -> list[str]:
    found = []
    for key in keys:
        answer = await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers | ({} if key is None else {"X-Sticky-Key": key}))
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["model_version"])
    return found


async def test_callers_stay_where_they_are_and_the_audit_says_who_answered(gateway: Gateway, database_url: str) -> None:
    ada = await gateway.user("ada")
    keys = [f"client-{n}" for n in range(60)]
    assert set(await versions(gateway, ada, [*keys])) == {"3"}
    assert not gateway.state.canaries
    await canary(gateway, database_url, 30)
    expected = ["4" if place("tiny", key) < 30 else "3" for key in keys]
    assert 5 < expected.count("4") < 32
    for _ in range(2):
        assert await versions(gateway, ada, [*keys]) == expected
    own = "4" if place("tiny", "ada") < 30 else "3"
    assert await versions(gateway, ada, [None] * 3) == [own] * 3
    stored = dict(await gateway.query("SELECT model_version, count(*) FROM predictions GROUP BY 1"))
    assert stored["4"] == 2 * expected.count("4") + 3 * (own == "4")
    await canary(gateway, database_url, 60)
    more = await versions(gateway, ada, [*keys])
    assert all(now == "4" for now, before in zip(more, expected, strict=True) if before == "4"), "nobody leaves the canary as it grows"
    await canary(gateway, database_url, 0)
    assert set(await versions(gateway, ada, [*keys])) == {"3"}


async def test_where_the_challenger_is_gone_the_champion_answers(gateway: Gateway, database_url: str) -> None:
    ada = await gateway.user("ada")
    await canary(gateway, database_url, 100)
    assert await versions(gateway, ada, [None]) == ["4"]
    gateway.runner.challenger = None
    assert await versions(gateway, ada, [None]) == ["3"]


async def test_trials_are_passed_on_with_the_actor(gateway: Gateway) -> None:
    eve, ada = await gateway.user("eve", Role.engineer), await gateway.user("ada")
    gateway.control.answers |= {
        "POST /models/tiny/challenger": (200, {"id": 1}),
        "POST /models/tiny/withdraw": (200, {"id": 2}),
        "GET /models/tiny/shadow": (200, {"report": None}),
        "POST /workflows": (202, {"id": "x"}),
    }
    bodies: dict[str, dict[str, Any]] = {
        "challenger": {"version": "4", "mode": "canary", "percent": 10, "reason": "better"},
        "withdraw": {"reason": "worse"},
        "replay": {"version": "4", "since": "2026-11-21T14:03:00+00:00", "limit": 10},
    }
    for path, body in bodies.items():
        assert (await gateway.client.post(f"/models/tiny/{path}", json=body, headers=ada)).status_code == 403
        assert (await gateway.client.post(f"/models/tiny/{path}", json=body, headers=eve)).status_code in (200, 202)
    asked = [(route, body) for route, body, _ in gateway.control.asked if body is not None]
    assert asked[0] == ("POST /models/tiny/challenger", bodies["challenger"] | {"actor": "eve"})
    assert asked[1] == ("POST /models/tiny/withdraw", bodies["withdraw"] | {"actor": "eve"})
    assert (asked[2][1]["kind"], asked[2][1]["model"]) == ("replay", "tiny")
    assert asked[2][1]["parameters"] == {"version": "4", "since": "2026-11-21T14:03:00Z", "limit": 10}
    assert (await gateway.client.get("/models/tiny/shadow?version=4", headers=ada)).json() == {"report": None}
    assert gateway.control.asked[-1][0] == "GET /models/tiny/shadow?version=4"


@pytest.mark.parametrize(("field", "value"), [("mode", "both"), ("percent", 0), ("percent", 101), ("version", "a/b"), ("reason", "x")])
async def test_what_is_wrong_is_named(gateway: Gateway, field: str, value: Any) -> None:
    eve = await gateway.user("eve", Role.engineer)
    answer = await gateway.client.post("/models/tiny/challenger", json={"version": "4", "reason": "better", field: value}, headers=eve)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
