"""Every endpoint × every role × no token, as the table says."""

from typing import Any
from uuid import uuid4

from services.gateway.access import PUBLIC, TABLE, Role
from tests.gateway import EXAMPLE, Gateway

BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/predict/{model}"): EXAMPLE,
    ("POST", "/predict/{model}/batch"): {"rows": [EXAMPLE]},
    ("POST", "/predict/{model}/explain"): EXAMPLE,
    ("POST", "/predictions/{prediction_id}/outcome"): {"value": 1},
    ("POST", "/predictions/outcomes"): {"outcomes": [{"prediction_id": str(uuid4()), "value": 1}]},
    ("POST", "/auth/login"): {"username": "nobody", "password": "x"},
    ("POST", "/auth/refresh"): {"refresh_token": "x"},
    ("POST", "/auth/signup"): {"username": "viewer", "password": "x" * 12},
    ("PUT", "/auth/users/me"): {"current_password": "wrong", "new_password": "x" * 12},
    ("PUT", "/auth/users/{username}/role"): {"role": "viewer"},
    ("PUT", "/auth/users/{username}/active"): {"active": True},
    ("POST", "/auth/api-keys"): {"name": "walk"},
    ("POST", "/models/{model}/promote"): {"version": "1", "reason": "walk"},
    ("POST", "/models/{model}/rollback"): {"reason": "walk"},
    ("PUT", "/models/{model}/policy"): {"threshold": 0.5, "reason": "walk"},
    ("POST", "/prediction/train"): {"model": "tiny"},
    ("POST", "/prediction/score"): {"model": "tiny"},
    ("POST", "/prediction/predict"): {"model": "tiny"},
    ("POST", "/retrain"): {"model": "tiny"},
    ("POST", "/generate"): {"model": "tiny", "rows": 100},
    ("POST", "/crypto/assets"): {"symbol": "XBTUSD"},
}


async def test_the_whole_table(gateway: Gateway) -> None:
    callers: list[tuple[Role | None, dict[str, str]]] = [(None, {}), *[(role, await gateway.user(role.name, role)) for role in Role]]
    for (method, path), needed in TABLE.items():
        # Logging out would end the walk's own session.
        names = {"model": "tiny", "username": "nobody", "version": "3", "asset": "swagger-ui.css" if "docs" in path else "XBTUSD"}
        there = path.format(**names, prediction_id=uuid4(), batch_id=uuid4(), key_id=uuid4(), run_id=uuid4().hex, part=0, asset_id=1)
        for role, headers in callers:
            session = (await gateway.log_in(role.name))[0] if role and path == "/auth/logout" else headers
            answer = await gateway.client.request(method, there, json=BODIES.get((method, path)), headers=session)
            who = f"{role.name if role else 'nobody'} at {method} {path}: {answer.status_code} {answer.text[:200]}"
            if needed == PUBLIC:
                assert answer.status_code != 403, who
            elif role is None:
                assert (answer.status_code, answer.headers.get("WWW-Authenticate")) == (401, "Bearer"), who
            elif role < needed:
                assert answer.status_code == 403, who
                assert needed.name in answer.json()["detail"], who
                assert role.name in answer.json()["detail"], who
            else:
                assert answer.status_code not in (401, 403), who
                assert answer.status_code < 500, who


async def test_credentials_of_the_wrong_form(gateway: Gateway) -> None:
    for headers in ({"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x"}, {"X-API-Key": "my_a_b"}, {"X-API-Key": ""}):
        assert (await gateway.client.get("/models", headers=headers)).status_code == 401


async def test_nobody_learns_anything_before_logging_in(gateway: Gateway) -> None:
    answer = await gateway.client.post("/predict/tiny", content=b"not json", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 401
    answer = await gateway.client.post("/auth/signup", content=b"x" * 1_000_000, headers={"Content-Type": "application/json"})
    assert answer.status_code == 401
