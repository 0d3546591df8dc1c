"""What happens is told: through real channels, once for each event, and whatever is killed meanwhile."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml
from aiohttp import web

from services.control.notifications.repository import MOST_AN_HOUR, emit
from services.kit.postgres import connect
from tests.conftest import find_free_port
from tests.integration.control_server import FAILED, FAKE_PIPELINE, control, promote, registered, until
from tests.integration.test_control_process import ROOT, environment, started
from tests.receivers import TOKEN, Letters, Posts, discord, limited, mail_server, webhook

SECRET = "the-key-of-the-webhooks-signature"
PASSWORD = "the-mail-servers-password"


@dataclass
class Receivers:
    discord: Posts
    webhook: Posts
    letters: Letters
    file: Path


@pytest.fixture
async def receivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receivers]:
    async with AsyncExitStack() as stack:
        chat, hook = await stack.enter_async_context(discord()), await stack.enter_async_context(webhook(SECRET))
        letters = await stack.enter_async_context(mail_server(tmp_path))
        mail = {"kind": "email", "host": "localhost", "port": letters.port, "ca_file": str(tmp_path / "certificate.pem"), "sender": "modelyard@yard.example"}
        channels = {
            "team": {"kind": "discord", "url_env": "TEAM_URL", "events": ["promoted", "rolled_back", "gate_refused", "run_failed", "storm"]},
            "systems": {"kind": "webhook", "url": hook.url, "secret_env": "HOOK_SECRET"},
            "people": mail | {"to": ["ops@yard.example"], "username_env": "MAIL_USER", "password_env": "MAIL_PASSWORD", "least": "warning"},
        }
        file = tmp_path / "channels.yaml"
        file.write_text(yaml.safe_dump({"channels": channels}))
        for name, value in {"TEAM_URL": chat.url, "HOOK_SECRET": SECRET, "MAIL_USER": "modelyard", "MAIL_PASSWORD": PASSWORD}.items():
            monkeypatch.setenv(name, value)
        yield Receivers(chat, hook, letters, file)


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/notifications")).json()["notifications"]
    return found


async def settled(client: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    """The notifications, once there are so many and nothing waits; newest first."""

    async def all_sent() -> bool:
        found = await listed(client)
        return len(found) >= count and all(one["deliveries"] and one["deliveries"][0]["status"] != "waiting" for one in found) and not _waiting(found)

    await until(all_sent, 15)
    return await listed(client)


def _waiting(found: list[dict[str, Any]]) -> bool:
    return any(delivery["status"] == "waiting" for one in found for delivery in one["deliveries"])


async def test_each_channel_gets_what_it_wants_through_its_own_protocol(database_url: str, tmp_path: Path, receivers: Receivers) -> None:
    async with control(database_url, tmp_path, notifications=receivers.file) as client:
        await registered(client, "attrition", "1", "2")
        await promote(client, "attrition", "1")
        await promote(client, "attrition", "2", reason="better")
        assert (await client.post("/models/attrition/rollback", json={"reason": "worse after all", "actor": "bob"})).status_code == 200
        body = {"threshold": 0.33, "reason": "cheaper", "actor": "ada"}
        assert (await client.put("/models/attrition/policy", json=body)).status_code == 200
        found = await settled(client, 6)
        ledger = (await client.get("/models/attrition/ledger")).json()["entries"]
    events = [one["event"] for one in reversed(found)]
    assert events == ["version_registered", "version_registered", "promoted", "promoted", "rolled_back", "policy_changed"]
    assert [body["type"].removeprefix("modelyard.") for body in receivers.webhook.bodies] == events
    assert receivers.webhook.bodies[-2]["data"] == {
        **{"level": "warning", "model": "attrition", "title": "attrition: back to version 1", "words": "Version 2 was rolled back. By bob: worse after all"},
        "fields": {"version": "1", "actor": "bob", "reason": "worse after all", "ledger entry": "3", "policy": "1", "head": ledger[1]["hash"]},
    }
    titles = [body["embeds"][0]["title"] for body in receivers.discord.bodies]
    assert titles == ["attrition: version 1 serves", "attrition: version 2 serves", "attrition: back to version 1"]
    (mail,) = receivers.letters.mails
    assert (mail["Subject"], mail["To"]) == ("[warning] attrition: back to version 1", "ops@yard.example")
    assert (receivers.letters.encrypted, receivers.letters.logins) == ([True], [("modelyard", PASSWORD)])
    assert {delivery["channel"] for delivery in found[1]["deliveries"]} == {"people", "systems", "team"}


async def test_a_refused_change_tells_nobody_and_a_refused_version_does(database_url: str, tmp_path: Path, receivers: Receivers) -> None:
    async with control(database_url, tmp_path, notifications=receivers.file) as client:
        await registered(client, "attrition", "1", verdict=FAILED)
        assert (await promote(client, "attrition", "1")).status_code == 409
        await client.post("/models/attrition/versions/1/verdict", json={"verdict": FAILED})
        found = await settled(client, 2)
    assert [one["event"] for one in found] == ["gate_refused", "version_registered"]
    assert found[0]["words"] == "roc_auc 0.6 is below 0.7"


async def test_a_failed_run_is_told_once_and_a_stopped_one_is_not(database_url: str, tmp_path: Path, receivers: Receivers) -> None:
    variables = {"FAKE_CALLS": str(tmp_path / "calls"), "FAKE_VALIDATE": "bad data", "FAKE_GENERATE": "hangs"}
    async with control(database_url, tmp_path, notifications=receivers.file, pipeline=FAKE_PIPELINE, environment=variables) as client:
        await client.post("/workflows", json={"kind": "train", "model": "attrition", "parameters": {}, "reason": "r", "actor": "ada"})
        (one,) = await settled(client, 1)
        hanging = (await client.post("/workflows", json={"kind": "generate", "model": "attrition", "parameters": {}, "reason": "r", "actor": "ada"})).json()
        await asyncio.sleep(0.3)
        await client.post(f"/workflows/{hanging['id']}/stop")
        assert len(await listed(client)) == 1
    assert (one["event"], one["level"], one["title"]) == ("run_failed", "error", "attrition: a train run failed")
    assert "age: must be 18 to 70" in one["words"]


async def test_discord_says_when_it_wants_to_be_asked_again(database_url: str, tmp_path: Path, receivers: Receivers) -> None:
    receivers.discord.plan = [limited, limited]
    async with control(database_url, tmp_path, notifications=receivers.file) as client:
        await registered(client, "attrition", "1")
        began = asyncio.get_running_loop().time()
        await promote(client, "attrition", "1")
        found = await settled(client, 2)
        took = asyncio.get_running_loop().time() - began
    (delivery,) = [one for one in found[0]["deliveries"] if one["channel"] == "team"]
    assert (delivery["status"], delivery["attempts"]) == ("sent", 3)
    assert 0.8 <= took < 4, "twice 0.4 s, not the second that the header rounds up to"


async def test_what_a_receiver_refuses_for_good_is_not_sent_again(database_url: str, tmp_path: Path, receivers: Receivers) -> None:
    async def refused() -> web.Response:
        return web.json_response({"message": f"nonsense at /api/webhooks/1/{TOKEN}"}, status=400)

    receivers.discord.plan = [refused]
    receivers.letters.refuse = ["550 no such person"]
    async with control(database_url, tmp_path, notifications=receivers.file) as client:
        await registered(client, "attrition", "1", "2")
        await promote(client, "attrition", "1")
        await promote(client, "attrition", "2")
        await client.post("/models/attrition/rollback", json={"reason": "r", "actor": "bob"})
        found = await settled(client, 5)
    by = {(one["title"], delivery["channel"]): delivery for one in found for delivery in one["deliveries"]}
    assert by["attrition: version 1 serves", "team"]["status"] == "failed"
    assert by["attrition: version 1 serves", "team"]["error"] == '400: {"message": "nonsense at ***"}'
    assert by["attrition: back to version 1", "people"]["error"] == "the recipients are refused (550)"
    assert by["attrition: version 2 serves", "team"]["status"] == "sent"


async def test_it_is_tried_for_a_day_and_not_longer(database_url: str, tmp_path: Path, receivers: Receivers) -> None:
    async def away() -> web.Response:
        return web.Response(status=502)

    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO notifications (key, event, model, document, created_at) VALUES ('k', 'drift', 'attrition', %s, now() - interval '23.9999 hours')",
            [json.dumps({"level": "info", "title": "t", "words": "w", "fields": {}})],
        )
    receivers.webhook.plan = [away]
    async with control(database_url, tmp_path, notifications=receivers.file) as client:
        (one,) = await settled(client, 1)
    assert (one["deliveries"][0]["status"], one["deliveries"][0]["error"]) == ("failed", "502")


async def test_many_of_one_kind_become_one(database_url: str, tmp_path: Path, receivers: Receivers) -> None:
    async with control(database_url, tmp_path, notifications=receivers.file) as client, await connect(database_url, "cli", autocommit=True) as connection:
        for number in range(200):
            about: dict[str, Any] = {"model": "attrition", "title": f"drift {number}", "words": "w", "fields": {}}
            await emit(connection, "drift", key=f"drift {number % 150}", **about)
        await emit(connection, "drift", key="another", **about | {"model": "credit_scoring"})
        found = await settled(client, MOST_AN_HOUR + 2)
    assert [one["event"] for one in found].count("storm") == 1
    assert len(found) == len(receivers.webhook.bodies) == MOST_AN_HOUR + 2


async def test_people_may_try_a_channel(database_url: str, tmp_path: Path, receivers: Receivers) -> None:
    async with control(database_url, tmp_path, notifications=receivers.file) as client:
        tried = (await client.post("/notifications/test", json={"actor": "ada"})).json()["channels"]
        assert [(one["channel"], one["kind"], one["sent"]) for one in tried] == [
            ("people", "email", True),
            ("systems", "webhook", True),
            ("team", "discord", True),
        ]
        receivers.discord.plan = [limited]
        (one,) = (await client.post("/notifications/test", json={"actor": "ada", "channel": "team"})).json()["channels"]
        assert (one["sent"], one["error"][:3]) == (False, "429")
        answer = await client.post("/notifications/test", json={"actor": "ada", "channel": "pigeon"})
        assert (answer.status_code, answer.json()["errors"][0]["rule"]) == (422, "must be one of people, systems, team")
        assert (await client.post("/notifications/test", json={"actor": "a"}, headers={"Authorization": ""})).status_code == 401
        assert (await client.get("/notifications", params={"model": "x"})).status_code == 404
        assert await listed(client) == []


async def test_without_channels_it_is_kept_and_nobody_is_told_later(database_url: str, tmp_path: Path, receivers: Receivers) -> None:
    async with control(database_url, tmp_path) as client:
        await registered(client, "attrition", "1")

        async def planned() -> bool:
            with psycopg.connect(database_url) as connection:
                return connection.execute("SELECT count(*) FROM notifications WHERE planned").fetchone() == (1,)

        await until(planned)
    async with control(database_url, tmp_path, notifications=receivers.file) as client:
        await promote(client, "attrition", "1")

        async def told() -> bool:
            return len(receivers.webhook.bodies) == 1

        await until(told)
        assert [one["deliveries"] == [] for one in await listed(client)] == [False, True]


def variables(database_url: str, folder: Path, receivers: Receivers) -> dict[str, str]:
    own = environment(database_url, find_free_port(), folder, NOTIFICATIONS=str(receivers.file), KRAKEN_URL="", ENVIRONMENT="local")
    secrets = {"TEAM_URL": receivers.discord.url, "HOOK_SECRET": SECRET, "MAIL_USER": "modelyard", "MAIL_PASSWORD": PASSWORD}
    return own | secrets | {"FAKE_CALLS": str(folder / "calls")}


CONTROL = ["-m", "tests.integration.control_process"]


async def test_killed_between_commit_and_send_nothing_is_lost(database_url: str, tmp_path: Path, receivers: Receivers) -> None:
    """The webhook is away when control is killed: what was committed is sent by the next one, once."""

    async def away() -> web.Response:
        await asyncio.sleep(60)
        return web.Response(status=503)

    receivers.webhook.plan, receivers.discord.plan = [away], [away]
    async with started(CONTROL, variables(database_url, tmp_path, receivers), tmp_path) as (process, client):
        await registered(client, "attrition", "1")
        assert (await promote(client, "attrition", "1")).status_code == 200
        process.kill()
        process.wait()
    receivers.webhook.plan, receivers.discord.plan = [], []
    receivers.webhook.bodies.clear()
    receivers.discord.bodies.clear()
    async with started(CONTROL, variables(database_url, tmp_path, receivers), tmp_path) as (_, client):
        await settled(client, 2)
    assert [body["type"] for body in receivers.webhook.bodies] == ["modelyard.version_registered", "modelyard.promoted"]
    assert len(receivers.discord.bodies) == 1


async def test_killed_between_send_and_mark_it_comes_twice_under_one_id(database_url: str, tmp_path: Path, receivers: Receivers) -> None:
    """Nobody can know whether what was not answered has arrived; whoever remembers ids does nothing twice."""

    async def never_answers() -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    receivers.webhook.plan = [never_answers]
    async with started(CONTROL, variables(database_url, tmp_path, receivers), tmp_path) as (process, client):
        await registered(client, "attrition", "1")
        async with asyncio.timeout(10):
            await receivers.webhook.arrived.wait()
        process.kill()
        process.wait()
    async with started(CONTROL, variables(database_url, tmp_path, receivers), tmp_path) as (_, client):
        (one,) = await settled(client, 1)
    assert one["deliveries"][0]["attempts"] == 1, "the first one was never written down"
    first, second = receivers.webhook.headers
    assert first["webhook-id"] == second["webhook-id"]
    assert receivers.webhook.raw[0] == receivers.webhook.raw[1]


async def test_no_secret_is_in_a_log_an_answer_or_the_database(database_url: str, tmp_path: Path, receivers: Receivers) -> None:
    async def talkative() -> web.Response:
        return web.json_response({"message": f"{TOKEN} {SECRET} {PASSWORD}"}, status=404)

    own = variables(database_url, tmp_path, receivers) | {"CONTROL_LOG_LEVEL": "DEBUG", "MAIL_PASSWORD": "wrong", "FAKE_GENERATE": ""}
    receivers.discord.plan = [talkative]
    receivers.webhook.plan = [talkative]
    async with started(CONTROL, own, tmp_path) as (_, client):
        await registered(client, "attrition", "1", "2")
        for number in ("1", "2"):
            await promote(client, "attrition", number)
        await client.post("/models/attrition/rollback", json={"reason": "r", "actor": "bob"})

        async def tried() -> bool:
            return sum(delivery["attempts"] > 0 for one in await listed(client) for delivery in one["deliveries"]) >= 3

        await until(tried)
        said = (await client.get("/notifications")).text + (await client.post("/notifications/test", json={"actor": "ada"})).text
    log = (tmp_path / "control.log").read_text()
    with psycopg.connect(database_url) as connection:
        stored = str(connection.execute("SELECT * FROM deliveries").fetchall()) + str(connection.execute("SELECT * FROM notifications").fetchall())
    assert '"sent later"' in log or "sent later" in log
    assert "404: " in stored
    for secret in (TOKEN, SECRET, receivers.discord.url):
        for text in (said, log, stored):
            assert secret not in text


async def test_control_does_not_start_with_a_wrong_file(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "channels.yaml").write_text("channels: {a: {kind: discord, url_env: NOT_THERE}}")
    own = environment(database_url, 0, tmp_path, NOTIFICATIONS=str(tmp_path / "channels.yaml"), ENVIRONMENT="local")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.control", cwd=ROOT, env=own, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"control cannot start: CONTROL_NOTIFICATIONS: " in said
    assert b"names NOT_THERE, which the environment does not have" in said
