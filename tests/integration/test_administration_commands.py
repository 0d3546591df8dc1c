"""`modelyard users|keys|workflows|outcomes` against a gateway on a port."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli import app
from services.gateway.access import Role
from services.gateway.documentation.examples import ID
from services.local import files, launch
from services.local.paths import home
from tests.gateway import EXAMPLE, PASSWORD
from tests.integration.described import Described, described

Command = Callable[..., Any]
NEW = "quite another password"


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Described]:
    async with described(database_url) as running:
        await running.gateway.user("admin", Role.admin)
        yield running


@pytest.fixture
def modelyard(gateway: Described, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command; what it printed, as a document with --json. `code` is the exit code that it must have."""
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path))
    view = {"services": {"gateway": {"url": gateway.url}}, "password": PASSWORD, "started_at": "today", "control_token": "x"}
    monkeypatch.setattr(launch, "view", lambda _home: view)

    async def run(*words: object, code: int = 0, **environment: str) -> Any:
        result: Result = await asyncio.to_thread(CliRunner().invoke, app, list(map(str, words)), env=environment)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if "--json" in words else result.output

    return run


async def test_accounts_are_looked_after(gateway: Described, modelyard: Command) -> None:
    made = await modelyard("users", "add", "ann", "--role", "analyst", "--json")
    assert (made["username"], made["role"], len(made["password"]) >= 12) == ("ann", "analyst", True)
    assert "ann is engineer" in await modelyard("users", "role", "ann", "engineer")
    assert "shut out" in await modelyard("users", "disable", "ann")
    listed = {one["username"]: one for one in (await modelyard("users", "list", "--json"))["users"]}
    assert (listed["ann"]["role"], listed["ann"]["active"], listed["admin"]["role"]) == ("engineer", False, "admin")
    assert "may log in" in await modelyard("users", "enable", "ann")
    shown = await modelyard("users", "list")
    assert [line.split()[:3] for line in shown.splitlines()[1:]] == [["admin", "admin", "active"], ["ann", "engineer", "active"]]
    await modelyard("users", "password", "ann", MODELYARD_PASSWORD=made["password"], MODELYARD_NEW_PASSWORD=NEW)
    await gateway.gateway.log_in("ann", NEW)
    assert "was removed" in await modelyard("users", "remove", "ann")
    assert "there is no role 'king'" in await modelyard("users", "role", "admin", "king", code=2)
    assert "last administrator" in await modelyard("users", "disable", "admin", code=1)


async def test_the_local_administrators_new_password_is_remembered(gateway: Described, modelyard: Command) -> None:
    await modelyard("users", "password", MODELYARD_NEW_PASSWORD=NEW)
    await gateway.gateway.log_in("admin", NEW)
    assert (files.read(home().state) or {})["secrets"]["administrator"] == NEW
    assert "admin" in await modelyard("users", "list")
    assert "12" in await modelyard("users", "password", MODELYARD_NEW_PASSWORD="short", code=1)


async def test_keys_are_made_listed_and_revoked(gateway: Described, modelyard: Command) -> None:
    made = await modelyard("keys", "add", "nightly job", "--days", 7, "--json")
    headers = {"X-API-Key": made["key"]}
    assert (await gateway.gateway.client.get("/auth/users/me", headers=headers)).json()["username"] == "admin"
    (listed,) = (await modelyard("keys", "list", "--json"))["api_keys"]
    assert (listed["id"], listed["name"]) == (made["id"], "nightly job")
    assert "nightly job" in await modelyard("keys", "list")
    await modelyard("keys", "revoke", made["id"])
    assert (await gateway.gateway.client.get("/auth/users/me", headers=headers)).status_code == 401
    assert "no API key" in await modelyard("keys", "revoke", made["id"], code=1)


async def test_runs_are_listed_shown_read_and_stopped(modelyard: Command) -> None:
    assert ID in await modelyard("workflows", "list", "--kind", "train", "-n", 5)
    assert (await modelyard("workflows", "list", "--json"))["workflows"][0]["id"] == ID
    shown = await modelyard("workflows", "show", ID[:8])
    assert ("train of tiny" in shown, "version: 7" in shown) == (True, True)
    assert (await modelyard("workflows", "show", ID, "--json"))["id"] == ID
    assert await modelyard("workflows", "logs", ID) == "=== train\n"
    assert ID in await modelyard("workflows", "stop", ID)
    assert "no run has an id" in await modelyard("workflows", "show", "ffff", code=2)


async def test_outcomes_are_told(gateway: Described, modelyard: Command, tmp_path: Path) -> None:
    headers, _ = await gateway.gateway.log_in("admin")
    made = [(await gateway.gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers)).json()["prediction_id"] for _ in range(3)]
    assert "corrects" not in await modelyard("outcomes", "add", made[0], 1, "--note", "seen")
    assert "corrects" in await modelyard("outcomes", "add", made[0], 0)
    assert "must be 0 or 1" in await modelyard("outcomes", "add", made[0], 0.5, code=1)
    file = tmp_path / "outcomes.csv"
    file.write_text("prediction_id,value\n" + "".join(f"{one},1\n" for one in made))
    assert "3 recorded, 1 of them corrections; 0 rejected" in await modelyard("outcomes", "import", file)
    file.write_text(f"prediction_id,value\n{made[0]},1\n{ID},1\n")
    found = await modelyard("outcomes", "import", file, "--json", code=1)
    assert (found["recorded"], [one["prediction_id"] for one in found["rejected"]]) == (1, [ID])
    file.write_text("prediction,value\nx,1\n")
    assert "The first line must name the columns" in await modelyard("outcomes", "import", file, code=1)
