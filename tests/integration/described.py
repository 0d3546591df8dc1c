"""A gateway on a port whose control answers with the description's own examples, for whoever calls every operation of it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from services.gateway.access import Role
from services.gateway.documentation.examples import ID
from tests.gateway import Gateway, started

KNOWN = {"version": "7", "run_id": ID}
ROUTES = {
    "GET /models": "/models",
    "GET /models/{model}": "/models/{model}",
    "GET /models/{model}/versions": "/models/{model}/versions",
    "GET /models/{model}/versions/{version}": "/models/{model}/versions/{version}",
    "GET /models/{model}/ledger": "/models/{model}/ledger",
    "GET /models/{model}/ledger/verify": "/models/{model}/ledger/verify",
    "GET /models/{model}/at": "/models/{model}/at",
    "GET /models/{model}/evaluation": "/prediction/model-evaluation",
    "GET /models/{model}/best": "/prediction/best-model",
    "POST /models/{model}/promote": "/models/{model}/promote",
    "POST /models/{model}/rollback": "/models/{model}/rollback",
    "PUT /models/{model}/policy": "/models/{model}/policy",
    "POST /workflows": "/prediction/train",
    "GET /workflows": "/workflows",
    "GET /workflows/{run_id}": "/workflows/{run_id}",
    "POST /workflows/{run_id}/stop": "/workflows/{run_id}/stop",
    "GET /market/pairs": "/crypto/kraken_assets",
    "POST /models/{model}/retrain": "/retrain",
    "GET /models/{model}/retrainings": "/models/{model}/retrainings",
    "GET /models/{model}/drift": "/models/{model}/drift",
    "GET /models/{model}/performance": "/models/{model}/performance",
    "GET /models/{model}/shadow": "/models/{model}/shadow",
    "GET /notifications": "/notifications",
}
"""What control is asked, and the operation whose example it answers with."""


@dataclass
class Described:
    gateway: Gateway
    url: str

    async def key_of(self, role: Role) -> str:
        """An API key: what a session is called for may end it."""
        session = await self.gateway.user(f"the-{role.name}", role)
        made = await self.gateway.client.post("/auth/api-keys", json={"name": "described"}, headers=session)
        return str(made.json()["key"])


@asynccontextmanager
async def described(database_url: str, **more: Any) -> AsyncIterator[Described]:
    async with started(database_url, **more) as gateway:
        gateway.control.otherwise = _answers(gateway.app.openapi())
        gateway.runner.version = KNOWN["version"]  # follows every change at once
        gateway.control.texts[f"GET /workflows/{ID}/logs"] = "=== train\n"
        added = await gateway.query(
            "INSERT INTO assets (symbol, pair, base, quote, added_by) VALUES ('XBTUSD', 'XXBTZUSD', 'XXBT', 'ZUSD', 'ada') RETURNING id"
        )
        gateway.control.answers["POST /market/assets"] = (201, {"id": added[0][0]})
        server = uvicorn.Server(uvicorn.Config(gateway.app, host="127.0.0.1", port=0, log_config=None, lifespan="off"))
        task = asyncio.create_task(server.serve())
        try:
            while not server.started:
                assert not task.done(), "the gateway did not start"
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield Described(gateway, f"http://127.0.0.1:{port}")
        finally:
            server.should_exit = True
            await task


def _answers(document: dict[str, Any]) -> Callable[[str, str], tuple[int, Any] | None]:
    patterns = []
    for route, path in ROUTES.items():
        method, _, asked = route.partition(" ")
        operation = document["paths"][path]["post" if path in ("/prediction/train", "/retrain") else method.lower()]
        status, answer = next((int(code), answer) for code, answer in operation["responses"].items() if code.startswith("2"))
        patterns.append((re.compile(f"{method} " + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", asked)), status, answer["content"]["application/json"]["example"]))

    def answer_to(method: str, path: str) -> tuple[int, Any] | None:
        for pattern, status, example in patterns:
            if (found := pattern.fullmatch(f"{method} {path}")) and all(found[name] == value for name, value in KNOWN.items() if name in found.groupdict()):
                return status, example
        return None

    return answer_to
