"""A whole gateway for tests: the real application on a real database, with a stand-in runner and control."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Literal, cast

import httpx
from fastapi import FastAPI
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from bentos.schemas import Schema
from services.gateway.access import Role
from services.gateway.app import create
from services.gateway.auth import repository
from services.gateway.auth.passwords import Passwords
from services.gateway.lifespan import running
from services.gateway.predictions.contracts import Contracts, contract
from services.gateway.settings import Settings
from services.gateway.state import State
from tests.conftest import application
from tests.fakes import ControlServer, RunnerServer

PASSWORD = "correct horse battery"
HASHER = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))


class TinyInput(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    age: int = Field(ge=0, le=120)
    income: FiniteFloat | None = None
    note: str = "none"


class TinyOutput(BaseModel):
    prediction: Literal[0, 1]
    probability: float
    decision: Literal["stays", "leaves"]
    risk_level: Literal["low", "medium", "high"]


EXAMPLE = {"age": 41, "income": 1000.5}
SCHEMA = cast(Schema, SimpleNamespace(Input=TinyInput, Output=TinyOutput, Record=TinyInput, EXAMPLE=EXAMPLE))
CONTRACTS = {"tiny": contract("tiny", title="Tiny", summary="Does it work?", timeout=1.0, schema=SCHEMA)}


@dataclass
class Gateway:
    app: FastAPI
    client: httpx.AsyncClient
    runner: RunnerServer
    control: ControlServer

    @property
    def state(self) -> State:
        return cast(State, self.app.state.gateway)

    async def user(self, username: str, role: Role = Role.viewer) -> dict[str, str]:
        """Makes an account and returns the headers of a session of it."""
        async with self.state.pool.connection() as connection:
            await repository.add(connection, username, HASHER.hash(PASSWORD), role)
        return (await self.log_in(username))[0]

    async def log_in(self, username: str, password: str = PASSWORD) -> tuple[dict[str, str], dict[str, Any]]:
        answer = await self.client.post("/auth/login", json={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}, answer.json()

    async def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        async with self.state.pool.connection() as connection:
            return await (await connection.execute(statement, parameters)).fetchall()


@asynccontextmanager
async def started(database_url: str, contracts: Contracts = CONTRACTS, **more: Any) -> AsyncIterator[Gateway]:
    """The gateway with `tiny` as its only model, unless others are given, and no users."""
    async with RunnerServer() as runner, ControlServer() as control, AsyncExitStack() as stack:
        spool = stack.enter_context(TemporaryDirectory(prefix="modelyard-spool-"))
        given = {
            "database_url": application(database_url),
            "control_url": control.url,
            "control_token": "control-token",
            "runner_url": runner.url,
            "spool_dir": spool,
        }
        # The machine of a test may be busy with others.
        settings = Settings.model_validate(given | {"rate_limit": "1000000/minute", "max_wait_ms": 10_000} | more)
        app = create(contracts, lambda: running(settings, contracts, Passwords(HASHER)))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("203.0.113.7", 1))
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=30) as client:
            yield Gateway(app, client, runner, control)
