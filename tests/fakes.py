"""Stand-ins for collaborators, written by hand: they keep the real one's promises in the simplest way."""

import asyncio
import json
import re
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from aiohttp import web


class Served(ABC):
    """A small aiohttp server on a free port. `async with RunnerServer() as runner: runner.url`"""

    def __init__(self) -> None:
        self._web = web.Application(client_max_size=64 * 1024**2)
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
    """A runner's /rows, /columns, /explain and /slots. It answers `score` of each row as probability, and `decision`, from `version` of `model`.

    `refuse` makes it say something else.
    """

    def __init__(self, *, model: str = "tiny", decision: str = "stays") -> None:
        super().__init__()
        self.model = model
        self.version = "3"
        self.next_versions: list[str] = []
        """Served one after the other, each from the call after the one that came before."""
        self.policy_version: int | None = 2
        self.decision = decision
        self.score: Callable[[dict[str, Any]], float] = lambda _: 0.25
        self.answer: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        """What a regression's runner answers to a row."""
        self.kept: set[str] = set()
        """Versions, besides the one that serves, that answer blocks that are pinned to them."""
        self.delay = 0.0
        self.calls: list[list[dict[str, Any]]] = []
        self.explained: list[dict[str, Any]] = []
        self.off = 0.0
        """By so much its explanations do not add up."""
        self.timeouts: list[float] = []
        """What each call said in X-Request-Timeout."""
        self.challenger: str | None = None
        """The version that answers those who ask for the challenger."""
        self.draining = False
        """Every answer says that it is about to stop."""
        self.refuse: tuple[int, dict[str, Any], dict[str, str]] | None = None
        self.refused_row: dict[str, Any] | None = None

    async def handle(self, request: web.Request) -> web.Response:
        answer = await self._answer(request)
        if self.draining:
            answer.headers.update({"X-Draining": "1", "Connection": "close"})
        return answer

    async def _answer(self, request: web.Request) -> web.Response:
        if request.path == "/slots":
            return web.json_response({"champion": {"version": self.version}})
        self.timeouts.append(float(request.headers.get("X-Request-Timeout", "nan")))
        if request.path == "/explain":
            return self._explained(await request.json())
        call = {} if request.path == "/columns" else await request.json()
        pinned, rows = _block_of(await request.read()) if request.path == "/columns" else (None, call["rows"])
        self.calls.append(rows)
        version = self.challenger if self.challenger and call.get("slot") == "challenger" else self.version
        if pinned is not None and pinned["version"] != version:
            if pinned["version"] not in self.kept:
                return web.json_response({"detail": "not kept"}, status=409)
            version = pinned["version"]
        if self.next_versions:
            self.version = self.next_versions.pop(0)
        await asyncio.sleep(self.delay)
        if self.refuse is not None:
            status, document, headers = self.refuse
            return web.json_response(document, status=status, headers=headers)
        if self.refused_row in rows:
            return web.json_response({"detail": "one row is refused"}, status=422)
        scores = [self.score(row) for row in rows]
        by = {"model": self.model, "version": version, "policy_version": self.policy_version, "engine": "linear"}
        if request.path == "/columns":
            return web.Response(body=self._block(by, scores))
        answers = [{"prediction": 0, "probability": score, "decision": self.decision, "risk_level": "low"} for score in scores]
        if self.answer is not None:
            answers = [self.answer(row) for row in rows]
            return web.json_response(
                by | {"policy_version": None, "scores": [one["prediction"] for one in answers], "decisions": [None] * len(rows), "answers": answers}
            )
        return web.json_response(by | {"scores": scores, "decisions": [self.decision] * len(rows), "answers": answers})

    def _explained(self, call: dict[str, Any]) -> web.Response:
        """The first field has made the score, from a base value of 0.5."""
        self.explained.append(call)
        if self.refuse is not None:
            status, document, headers = self.refuse
            return web.json_response(document, status=status, headers=headers)
        row, score = call["row"], self.score(call["row"])
        parts = [{"field": name, "title": name.title(), "unit": None, "value": value, "contribution": 0.0} for name, value in row.items()]
        parts[0]["contribution"] = score - 0.5 + self.off
        version = call["version"] or self.version
        by = {"model": self.model, "model_version": version, "policy_version": self.policy_version, "scale": "probability", "output_title": "Probability"}
        return web.json_response(by | {"base_value": 0.5, "output": score, "contributions": parts, "method": "tree_shap"})

    def _block(self, by: dict[str, Any], scores: list[float]) -> bytes:
        texts = {"decision": self.decision, "risk_level": "low"}
        kinds: list[dict[str, Any]] = [{"name": "prediction", "kind": "integer"}, {"name": "probability", "kind": "number"}]
        columns = kinds + [{"name": name, "kind": "text", "levels": [text]} for name, text in texts.items()]
        header = json.dumps(by | {"rows": len(scores), "score": "probability", "decision": "decision", "columns": columns}).encode()
        none = bytes(4 * len(scores))
        return b"".join((len(header).to_bytes(4, "little"), header, bytes(8 * len(scores)), struct.pack(f"<{len(scores)}d", *scores), none, none))


def _block_of(body: bytes) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Which version a block is pinned to, and its rows."""
    at = 4 + int.from_bytes(body[:4], "little")
    header = json.loads(body[4:at])
    columns: dict[str, list[Any]] = {}
    for column in header["columns"]:
        count = header["rows"] * (column["width"] or 1)
        size = count * (4 if column["kind"] == "text" else 8)
        values: list[Any] = list(struct.unpack(f"<{count}{'i' if column['kind'] == 'text' else 'd'}", body[at : at + size]))
        if column["kind"] == "text":
            values = [[*column["levels"], None][code] for code in values]
        values = [None if value != value else value for value in values]
        columns[column["name"]] = values if column["width"] is None else [values[i : i + column["width"]] for i in range(0, count, column["width"])]
        at += size
    assert at == len(body)
    return header["serving"], [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


class WireServer:
    """A TCP server that answers each POST with the next of `answers`, byte for byte, and goes on as `afterwards` says. GET /slots it answers well.

    When there are no more answers, it never answers: half-open is what remains. `async with WireServer(b"HTTP/1.1 200 …") as server: server.url`
    """

    WELL = b'HTTP/1.1 200 OK\r\ncontent-length: 29\r\n\r\n{"champion":{"version": "3"}}'

    def __init__(self, *answers: bytes, afterwards: Literal["keep", "close", "reset"] = "keep", host: str = "127.0.0.1", port: int = 0) -> None:
        self.answers = list(answers)
        self._host, self._port = host, port
        self.afterwards = afterwards
        self.posts = 0
        self.connections = 0
        self.well = True
        self.url = ""
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, self._port)
        self.url = f"http://{self._host}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        async with asyncio.timeout(5):
            while self._writers:  # noqa: ASYNC110 - until each handler has ended
                await asyncio.sleep(0)
        await self._server.wait_closed()

    def hang_up(self, unasked: bytes = b"") -> None:
        """Ends every connection before it returns, after some bytes that nobody asked for."""
        for writer in self._writers:
            writer.write(unasked)
            with suppress(OSError):
                writer.get_extra_info("socket").shutdown(socket.SHUT_WR)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = re.search(rb"content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                if head.startswith(b"get "):
                    writer.write(self.WELL if self.well else b"")
                    continue
                self.posts += 1
                if not self.answers:
                    continue
                writer.write(self.answers.pop(0))
                await writer.drain()
                if self.afterwards == "close":
                    break
                if self.afterwards == "reset":
                    writer.transport.abort()
                    break
        self._writers.discard(writer)
        writer.close()


class ControlServer(Served):
    """Control as the gateway sees it: `answers` by method and path, everything asked in `asked`."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, tuple[int, Any]] = {"GET /livez": (200, {})}
        self.texts: dict[str, str] = {}
        self.otherwise: Callable[[str, str], tuple[int, Any] | None] = lambda _method, _path: None
        """What is answered to all that `answers` does not have; by method and path."""
        self.asked: list[tuple[str, Any, str | None]] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.asked.append((f"{request.method} {request.path_qs}", body, request.headers.get("Authorization")))
        if (text := self.texts.get(f"{request.method} {request.path}")) is not None:
            return web.Response(text=text)
        known = self.answers.get(f"{request.method} {request.path}") or self.otherwise(request.method, request.path)
        status, document = known or (404, {"detail": "nothing there"})
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


class DatabaseProxy:
    """Between a gateway and its PostgreSQL. While `holds_commits`, what was written into the audit is committed, but nobody hears of it."""

    def __init__(self, database_url: str) -> None:
        self._target = urlsplit(database_url)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.holds_commits = False
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = self._target._replace(netloc=f"{self._target.username}@127.0.0.1:{port}").geturl()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_database, to_database = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._writers |= {writer, to_database}
        written = held = False

        async def ask() -> None:
            nonlocal written, held
            while part := await reader.read(65536):
                written = written or b"COPY predictions" in part or b"INSERT INTO predictions" in part
                held = held or (self.holds_commits and written and b"COMMIT" in part)
                to_database.write(part)
                await to_database.drain()

        async def answer() -> None:
            while part := await from_database.read(65536):
                if not held:
                    writer.write(part)
                    await writer.drain()

        with suppress(OSError):
            await asyncio.wait([asyncio.create_task(ask()), asyncio.create_task(answer())], return_when=asyncio.FIRST_COMPLETED)
        writer.close()
        to_database.close()
