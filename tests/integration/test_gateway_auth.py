"""Sessions, accounts, keys, against a real database."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from services.gateway.access import Role
from services.gateway.auth.credentials import DEAF_SECONDS, Credentials
from services.gateway.auth.tokens import AccessTokens
from services.kit import postgres
from tests.gateway import EXAMPLE, PASSWORD, Gateway, started


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 1.0) -> None:
    deadline = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.01)


async def status(gateway: Gateway, headers: dict[str, str]) -> int:
    return (await gateway.client.get("/auth/users/me", headers=headers)).status_code


async def test_the_first_administrator_is_made_once(database_url: str) -> None:
    for password in ("the first password", "another password"):
        async with started(database_url, bootstrap_username="root", bootstrap_password=password) as gateway:
            await gateway.log_in("root", "the first password")
            assert await gateway.query("SELECT username, role FROM users") == [("root", "admin")]


async def test_the_account_of_workflows_has_the_key_that_is_set_and_no_other(database_url: str) -> None:
    first, second = f"my_pipeline_{'a' * 32}", f"my_pipeline_{'b' * 32}"

    async def statuses(gateway: Gateway) -> list[int]:
        return [await status(gateway, {"X-API-Key": key}) for key in (first, second)]

    async with started(database_url, pipeline_key=first) as gateway:
        assert await statuses(gateway) == [401, 401], "before there is an administrator, there is nobody"
    administrator = {"bootstrap_username": "root", "bootstrap_password": "the first password"}
    for _ in range(2):
        async with started(database_url, pipeline_key=first, **administrator) as gateway:
            assert await statuses(gateway) == [200, 401]
            assert await gateway.query("SELECT username, role FROM users ORDER BY 1") == [("pipeline", "analyst"), ("root", "admin")]
            assert await gateway.query("SELECT count(*) FROM api_keys") == [(1,)]
    async with started(database_url, pipeline_key=second) as gateway:
        assert await statuses(gateway) == [401, 200]
        await gateway.query("UPDATE api_keys SET revoked_at = now() RETURNING id")
    async with started(database_url, pipeline_key=second) as gateway:
        assert await statuses(gateway) == [401, 401], "what somebody has revoked does not come back by a restart"


async def test_wrong_credentials_are_told_in_the_same_words(gateway: Gateway) -> None:
    await gateway.user("ann")
    answers = [await gateway.client.post("/auth/login", json={"username": name, "password": "wrong"}) for name in ("ann", "nobody")]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"


async def test_refresh_tokens_work_once_and_a_second_use_ends_the_session(gateway: Gateway) -> None:
    headers, first = await gateway.user("ann"), (await gateway.log_in("ann"))[1]
    second = (await gateway.client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})).json()
    fresh = {"Authorization": f"Bearer {second['access_token']}"}
    assert await status(gateway, fresh) == 200
    again = await gateway.client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert again.status_code == 401
    assert await status(gateway, fresh) == 401
    assert (await gateway.client.post("/auth/refresh", json={"refresh_token": second["refresh_token"]})).status_code == 401
    assert await status(gateway, headers) == 200  # the other session of the same user lives
    assert ("refresh token used twice",) in await gateway.query("SELECT action FROM admin_events")


async def test_log_out_takes_effect_at_once(gateway: Gateway) -> None:
    headers, other = await gateway.user("ann"), (await gateway.log_in("ann"))[0]
    assert await status(gateway, headers) == 200
    assert (await gateway.client.post("/auth/logout", headers=headers)).status_code == 204
    assert [await status(gateway, headers), await status(gateway, other)] == [401, 200]


@pytest.mark.parametrize("change", [{"exp": datetime(2020, 1, 1, tzinfo=UTC)}, {"iss": "else"}, {"aud": "else"}, {"sid": "x"}, {"sub": "bob"}])
async def test_tampered_and_expired_tokens_are_refused(gateway: Gateway, change: dict[str, Any]) -> None:
    headers = await gateway.user("ann")
    secret = gateway.state.settings.jwt_secret.get_secret_value()
    claims = jwt.decode(headers["Authorization"][7:], secret, ["HS256"], audience="modelyard-gateway")
    assert claims["exp"] - claims["iat"] == 900
    for key in (secret, "x" * 48):
        forged = jwt.encode(claims | (change if key == secret else {}), key, "HS256")
        assert await status(gateway, {"Authorization": f"Bearer {forged}"}) == 401
    unsigned = jwt.encode(claims, "", "none")
    assert await status(gateway, {"Authorization": f"Bearer {unsigned}"}) == 401


async def test_what_another_process_changes_is_known_within_a_second(gateway: Gateway, database_url: str) -> None:
    """The other gateway is a plain connection here: only the notification tells this one."""
    headers = await gateway.user("ann", Role.analyst)
    assert (await gateway.client.post("/predict/tiny/batch", json={"rows": [EXAMPLE]}, headers=headers)).status_code == 200
    with psycopg.connect(database_url) as other:
        other.execute("UPDATE users SET role = 'viewer' WHERE username = 'ann'")
        other.execute("SELECT pg_notify('modelyard_auth', 'ann')")

    async def refused() -> bool:
        return (await gateway.client.post("/predict/tiny/batch", json={"rows": [EXAMPLE]}, headers=headers)).status_code == 403

    await until(refused)


async def end_listening(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'modelyard-gateway-listen' AND datname = current_database()"
        )


async def test_what_was_missed_while_nobody_listened_is_known_within_a_second(gateway: Gateway, database_url: str) -> None:
    """The role is changed without a notification, as if it had been lost with the connection."""
    headers = await gateway.user("ann", Role.analyst)
    assert (await gateway.client.post("/predict/tiny/batch", json={"rows": [EXAMPLE]}, headers=headers)).status_code == 200
    await gateway.query("UPDATE users SET role = 'viewer' WHERE username = 'ann' RETURNING 1")
    await asyncio.sleep(0.1)
    assert (await gateway.client.post("/predict/tiny/batch", json={"rows": [EXAMPLE]}, headers=headers)).status_code == 200
    await end_listening(database_url)

    async def refused() -> bool:
        return (await gateway.client.post("/predict/tiny/batch", json={"rows": [EXAMPLE]}, headers=headers)).status_code == 403

    await until(refused)


async def test_what_is_remembered_counts_for_a_while_when_nobody_listens(gateway: Gateway) -> None:
    now = 1000.0
    token = (await gateway.user("ann"))["Authorization"].removeprefix("Bearer ")
    credentials = Credentials(gateway.state.pool, AccessTokens(gateway.state.settings.jwt_secret.get_secret_value(), 15), lambda: now)
    await credentials.verify(token)
    now += DEAF_SECONDS - 1
    assert credentials.known(token) is not None
    now += 1
    assert credentials.known(token) is None


async def test_an_outage_right_after_another_refuses_nobody_who_was_known(gateway: Gateway, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever listens again doubts everybody; before the database was asked once more, it is away again."""
    now = 1000.0
    tokens = [(await gateway.user(name))["Authorization"].removeprefix("Bearer ") for name in ("ann", "bob")]
    credentials = Credentials(gateway.state.pool, AccessTokens(gateway.state.settings.jwt_secret.get_secret_value(), 15), lambda: now)
    for token in tokens:
        await credentials.verify(token)
    listening = asyncio.create_task(credentials.listen(database_url))

    async def doubts() -> bool:
        return credentials.known(tokens[0]) is None

    await until(doubts)
    credentials.forget("bob")

    def away(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("away")

    monkeypatch.setattr(credentials, "_pool", SimpleNamespace(connection=away))
    monkeypatch.setattr(postgres, "connect", away)
    assert (await credentials.verify(tokens[0])).username == "ann"
    with pytest.raises(psycopg.OperationalError):
        await credentials.verify(tokens[1])
    await end_listening(database_url)

    async def known() -> bool:
        return credentials.known(tokens[0]) is not None

    await until(known)
    now += DEAF_SECONDS
    assert credentials.known(tokens[0]) is None
    with pytest.raises(psycopg.OperationalError):
        await credentials.verify(tokens[0])
    listening.cancel()


async def test_roles_deactivation_and_removal_take_effect_at_once(gateway: Gateway) -> None:
    boss, ann = await gateway.user("boss", Role.admin), await gateway.user("ann")
    assert (await gateway.client.put("/auth/users/ann/role", json={"role": "analyst"}, headers=boss)).json()["role"] == "analyst"
    assert (await gateway.client.post("/predict/tiny/batch", json={"rows": [EXAMPLE]}, headers=ann)).status_code == 200
    key = (await gateway.client.post("/auth/api-keys", json={"name": "job"}, headers=ann)).json()["key"]
    assert await status(gateway, {"X-API-Key": key}) == 200
    assert (await gateway.client.put("/auth/users/ann/active", json={"active": False}, headers=boss)).status_code == 200
    assert [await status(gateway, ann), await status(gateway, {"X-API-Key": key})] == [401, 401]
    assert (await gateway.client.post("/auth/login", json={"username": "ann", "password": PASSWORD})).status_code == 401
    await gateway.client.put("/auth/users/ann/active", json={"active": True}, headers=boss)
    assert [await status(gateway, ann), await status(gateway, {"X-API-Key": key})] == [401, 200]
    assert (await gateway.client.delete("/auth/users/ann", headers=boss)).status_code == 204
    assert await status(gateway, {"X-API-Key": key}) == 401
    assert (await gateway.client.delete("/auth/users/ann", headers=boss)).status_code == 404
    actions = [row[0] for row in await gateway.query("SELECT action FROM admin_events ORDER BY id")]
    assert actions == ["role changed", "API key made", "shut out", "let in", "user removed"]


async def test_the_last_administrator_stays(gateway: Gateway) -> None:
    boss = await gateway.user("boss", Role.admin)
    requests: list[tuple[str, str, dict[str, Any] | None]] = [
        ("PUT", "/auth/users/boss/role", {"role": "viewer"}),
        ("PUT", "/auth/users/boss/active", {"active": False}),
        ("DELETE", "/auth/users/boss", None),
    ]
    for method, path, body in requests:
        answer = await gateway.client.request(method, path, json=body, headers=boss)
        assert (answer.status_code, "last administrator" in answer.json()["detail"]) == (409, True)
    other = await gateway.user("other", Role.admin)
    answers = await asyncio.gather(
        gateway.client.put("/auth/users/boss/role", json={"role": "viewer"}, headers=other),
        gateway.client.put("/auth/users/other/role", json={"role": "viewer"}, headers=boss),
    )
    assert sorted(answer.status_code for answer in answers) in ([200, 403], [200, 409])
    assert await gateway.query("SELECT count(*) FROM users WHERE role = 'admin'") == [(1,)]


async def test_accounts_are_made_listed_and_checked(gateway: Gateway) -> None:
    boss = await gateway.user("boss", Role.admin)
    made = await gateway.client.post("/auth/signup", json={"username": "new", "password": "twelve chars!", "role": "engineer"}, headers=boss)
    assert (made.status_code, made.json()["role"]) == (201, "engineer")
    assert (await gateway.client.post("/auth/signup", json={"username": "new", "password": "twelve chars!"}, headers=boss)).status_code == 409
    weak = await gateway.client.post("/auth/signup", json={"username": "Not OK", "password": "short"}, headers=boss)
    assert weak.status_code == 422
    assert {error["field"] for error in weak.json()["errors"]} == {"username", "password"}
    assert "short" not in weak.text
    page = (await gateway.client.get("/auth/users?limit=1", headers=boss)).json()
    rest = (await gateway.client.get(f"/auth/users?limit=1&cursor={page['next']}", headers=boss)).json()
    assert ([user["username"] for user in page["users"] + rest["users"]], rest["next"]) == (["boss", "new"], None)
    assert "password" not in str(page)


async def test_a_new_password_ends_the_other_sessions(gateway: Gateway) -> None:
    headers, other = await gateway.user("ann"), (await gateway.log_in("ann"))[0]
    change = {"current_password": "wrong", "new_password": "a new long password"}
    assert (await gateway.client.put("/auth/users/me", json=change, headers=headers)).status_code == 409
    assert (await gateway.client.put("/auth/users/me", json=change | {"current_password": PASSWORD}, headers=headers)).status_code == 204
    assert [await status(gateway, headers), await status(gateway, other)] == [200, 401]
    await gateway.log_in("ann", "a new long password")


async def test_api_keys_expire_are_revoked_and_note_their_use(gateway: Gateway) -> None:
    ann, bob = await gateway.user("ann"), await gateway.user("bob")
    made = (await gateway.client.post("/auth/api-keys", json={"name": "job", "expires_in_days": 1}, headers=ann)).json()
    assert made["key"].startswith(f"my_{made['prefix']}_")
    assert [await status(gateway, {"X-API-Key": made["key"]}), await status(gateway, {"Authorization": f"Bearer {made['key']}"})] == [200, 200]
    [shown] = (await gateway.client.get("/auth/api-keys", headers=ann)).json()["api_keys"]
    assert (shown["last_used_at"] is not None, "key" in shown) == (True, False)
    assert (await gateway.client.delete(f"/auth/api-keys/{made['id']}", headers=bob)).status_code == 404
    assert (await gateway.client.delete(f"/auth/api-keys/{made['id']}", headers=ann)).status_code == 204
    assert await status(gateway, {"X-API-Key": made["key"]}) == 401
    late = (await gateway.client.post("/auth/api-keys", json={"name": "old"}, headers=ann)).json()
    await gateway.query("UPDATE api_keys SET expires_at = %s RETURNING id", datetime.now(UTC) - timedelta(seconds=1))
    assert await status(gateway, {"X-API-Key": late["key"]}) == 401


async def test_log_in_is_limited_per_name_and_address(database_url: str) -> None:
    async with started(database_url, login_limit="3/minute") as gateway:
        await gateway.user("ann")
        answers = [await gateway.client.post("/auth/login", json={"username": "ann", "password": "wrong"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]
        assert int(answers[2].headers["Retry-After"]) >= 1
        other = await gateway.client.post("/auth/login", json={"username": "bob", "password": "wrong"})
        assert other.status_code == 401


async def test_secrets_are_never_logged(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    headers, tokens = await gateway.user("ann"), (await gateway.log_in("ann"))[1]
    key = (await gateway.client.post("/auth/api-keys", json={"name": "job"}, headers=headers)).json()["key"]
    await gateway.client.post("/auth/login", json={"username": "ann", "password": "not my password"})
    await gateway.client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    await gateway.client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    for secret in (PASSWORD, "not my password", key, tokens["refresh_token"], tokens["access_token"]):
        assert secret not in caplog.text


async def test_without_the_database_the_answer_is_503(gateway: Gateway) -> None:
    await gateway.state.pool.close()
    answer: httpx.Response = await gateway.client.post("/auth/login", json={"username": "ann", "password": "x"})
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


async def test_keys_are_listed_page_by_page(gateway: Gateway) -> None:
    ann = await gateway.user("ann")
    made = [(await gateway.client.post("/auth/api-keys", json={"name": f"job {number}"}, headers=ann)).json()["id"] for number in range(5)]
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await gateway.client.get("/auth/api-keys", params={"limit": 2} | ({"cursor": cursor} if cursor else {}), headers=ann)).json()
        found += [one["id"] for one in page["api_keys"]]
        cursor = page["next"]
    assert found == made[::-1]
