"""Stand-ins for collaborators, written by hand: they keep the real one's promises in the simplest way."""

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web


class Served(ABC):
    """A small aiohttp server on a free port. `async with RunnerServer() as runner: runner.url`"""

    def __init__(self) -> None:
        self._web = web.Application()
        self._web.router.add_route("*", "/{path:.*}", self.handle)
        self._server: web.AppRunner | None = None
        self.url = ""

    @abstractmethod
    async def handle(self, request: web.Request) -> web.Response:
        """Every request of every method comes here."""

    async def __aenter__(self) -> Self:
        self._server = web.AppRunner(self._web, access_log=None)
        await self._server.setup()
        site = web.TCPSite(self._server, "127.0.0.1", 0)
        await site.start()
        host, port = self._server.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server is not None:
            await self._server.cleanup()


class RunnerServer(Served):
    """A runner's /rows and /slots. It answers probability 0.25 and `decision`, from `version`; `refuse` makes it say something else."""

    def __init__(self, *, decision: str = "stays") -> None:
        super().__init__()
        self.version = "3"
        self.next_versions: list[str] = []
        """Served one after the other, each from the call after the one that came before."""
        self.policy_version: int | None = 2
        self.decision = decision
        self.delay = 0.0
        self.calls: list[list[dict[str, Any]]] = []
        self.refuse: tuple[int, dict[str, Any], dict[str, str]] | None = None
        self.refused_row: dict[str, Any] | None = None

    async def handle(self, request: web.Request) -> web.Response:
        if request.path == "/slots":
            return web.json_response({"champion": {"version": self.version}})
        rows = (await request.json())["rows"]
        self.calls.append(rows)
        version = self.version
        if self.next_versions:
            self.version = self.next_versions.pop(0)
        await asyncio.sleep(self.delay)
        if self.refuse is not None:
            status, document, headers = self.refuse
            return web.json_response(document, status=status, headers=headers)
        if self.refused_row in rows:
            return web.json_response({"detail": "one row is refused"}, status=422)
        answer = {"prediction": 0, "probability": 0.25, "decision": self.decision, "risk_level": "low"}
        scored = {"scores": [0.25] * len(rows), "answers": [answer] * len(rows)}
        return web.json_response({"model": "m", "version": version, "policy_version": self.policy_version, "engine": "linear"} | scored)


class ControlServer(Served):
    """Control as the gateway sees it: `answers` by method and path, everything asked in `asked`."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, tuple[int, Any]] = {"GET /livez": (200, {})}
        self.asked: list[tuple[str, Any, str | None]] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.asked.append((f"{request.method} {request.path_qs}", body, request.headers.get("Authorization")))
        status, document = self.answers.get(f"{request.method} {request.path}", (404, {"detail": "nothing there"}))
        return web.json_response(document, status=status)


class DeploymentServer(Served):
    """What a runner talks to: control's long poll and reports, and MLflow's artifact proxy for the files in a folder.

    `async with DeploymentServer(folder) as control: control.add("3", sha256); control.promote("3"); … control.url`
    """

    TOKEN = "control-token-of-a-test"

    def __init__(self, files: Path) -> None:
        super().__init__()
        self.files = files
        self.deployment: int | None = None
        self.state: dict[str, Any] = {"champion": None, "challenger": None, "policy": None}
        self.versions: dict[str, dict[str, Any]] = {}
        self.reports: list[dict[str, Any]] = []
        self.downloads: list[str] = []
        self.control_away = self.mlflow_away = False
        self._changed = asyncio.Event()

    def add(self, version: str, sha256: str) -> None:
        """A version whose files are in the folder's subfolder of the same name."""
        self.versions[version] = {"version": version, "artifact": version, "sha256": sha256}

    def promote(self, champion: str | None, *, challenger: str | None = None, policy: dict[str, Any] | None = None) -> None:
        self.state = {
            "champion": champion and self.versions[champion],
            "challenger": challenger and self.versions[challenger],
            "policy": policy or self.state["policy"],
        }
        self.deployment = (self.deployment or 0) + 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.control_away = True
        self._changed.set()
        await super().__aexit__(kind, error, trace)

    def last_report(self) -> dict[str, Any]:
        return self.reports[-1] if self.reports else {}

    async def handle(self, request: web.Request) -> web.Response:
        proxy = "/api/2.0/mlflow-artifacts/artifacts/"
        if request.path.startswith(proxy):
            return self._file(request.path.removeprefix(proxy))
        if self.control_away:
            return web.Response(status=503)
        if request.path.endswith("/replicas"):
            return await self._report(request)
        if request.path.startswith("/serving/"):
            return await self._serving(request)
        known = self.versions.get(request.path.rpartition("/")[2])
        return web.json_response(known) if known else web.Response(status=404)

    async def _serving(self, request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == f'"{self.deployment}"':
            try:
                await asyncio.wait_for(self._changed.wait(), float(request.query.get("wait", "0")))
            except TimeoutError:
                return web.Response(status=304)
        document = {"deployment": self.deployment, "shadow_percent": 0, "canary_percent": 0, **self.state}
        return web.json_response(document, headers={"ETag": f'"{self.deployment}"'})

    async def _report(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.TOKEN}":
            return web.Response(status=401)
        self.reports.append(await request.json())
        return web.Response(status=204)

    def _file(self, path: str) -> web.Response:
        if self.mlflow_away:
            return web.Response(status=503)
        self.downloads.append(path)
        file = self.files / path
        return web.Response(body=file.read_bytes()) if file.is_file() else web.Response(status=404)
