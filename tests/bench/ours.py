"""Our own platform, brought up with the commands and the environment of local mode; only the rate limit is out of the way."""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from bentos import catalogue
from services.local import paths, postgres, processes, state
from services.local.process import Process
from services.local.readiness import probe
from tests.bench import model as models
from tests.bench.model import MODEL, Model
from tests.bench.peers.targets import TURNS, close_to, free_port, json_bodies
from tests.bench.processes import Server, Servers, ask, wait
from tests.bench.target import Target
from tests.bench.wrk import Call

RUNNER = f"runner-{MODEL}"
UNLIMITED = "1000000000/minute"
TOKEN_SECONDS = 1200
PIPELINE = ("validate", "train", "evaluate", "register", "promote")


@dataclass(frozen=True)
class Account:
    username: str
    password: str


class Platform:
    """PostgreSQL, control, the runner of one model and the gateway. `start` trains a version with the pipeline and promotes it."""

    model = MODEL
    other = next(name for name in catalogue.names() if name != MODEL)
    """One without a runner."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._home = paths.Home(servers.folder / "platform")
        self._home.create()
        self._token, self._token_ends = "", 0.0
        self.running: dict[str, Server] = {}

    def start(self) -> Model:
        remembered = state.State(ports={name: free_port() for name in ("postgres", *processes.PREFERRED, RUNNER)})
        server = postgres.prepare(self._home, remembered)
        self.settings = processes.settings(self._home, remembered, server.url, server)
        self.declared = {process.name: process for process in processes.declare(self.settings)}
        self.account = Account(state.ADMINISTRATOR, self.settings.administrator_password)
        for name in ("postgres", "database", "migrations", "mlflow", "control"):
            self._run(self.declared[name])
        version = self._train()
        self._run(self.declared[RUNNER])
        self._run(self.declared["gateway"])
        self._bake()
        self.running["mlflow"].stop()  # the runner has its version
        found = Path(self.declared[RUNNER].environment["RUNNER_CACHE_DIR"]) / "versions"
        self.artifact = next(found.glob(f"{version['version']}@*"))
        self.version = version
        return models.prepare(self.artifact, self._servers.folder)

    def _run(self, process: Process, **more: str) -> Server | None:
        environment = process.environment | more
        if process.name == "gateway":
            environment |= {"GATEWAY_RATE_LIMIT": UNLIMITED}
        if process.once:
            self._servers.finish(process.name, process.command, environment=environment, cwd=paths.ROOT)
            return None
        folder = process.folder or paths.ROOT
        started = self._servers.start(
            process.name, process.command, environment=environment, cwd=folder, account=process.account, stop_signal=process.stop_signal
        )
        ready = process.probe or ""
        wait(started, lambda: _probe(ready))
        self.running[process.name] = started
        return started

    def _train(self, *ingest: str) -> dict[str, Any]:
        """The pipeline's steps, one process each, as a workflow runs them. Returns what `register` said, with `version` and `engine`.

        Of the catalogue's data; from others, chosen by `ingest`, the version is not promoted.
        """
        step = self._step
        run = step("ingest", "--rows", str(models.ROWS), *ingest)["run_id"]
        for verb in PIPELINE[:-1]:
            result = step(verb, "--run-id", run)
        # The gate is not what is measured here: its latency bound would judge a busy machine.
        if not ingest:
            step("promote", "--version", str(result["version"]), "--force", "--reason", "bench")
        return result

    def _step(self, verb: str, *arguments: str) -> dict[str, Any]:
        environment = {
            "PIPELINE_ENVIRONMENT": "local",
            "PIPELINE_CONTROL_URL": self.settings.url("control"),
            "PIPELINE_CONTROL_TOKEN": self.settings.control_token,
            "MLFLOW_TRACKING_URI": self.settings.url("mlflow"),
        }
        command = [sys.executable, "-m", "services.pipeline", verb, "--model", MODEL, *arguments]
        said = self._servers.finish(verb, command, environment=environment, cwd=paths.ROOT)
        return dict(json.loads(said.strip().splitlines()[-1]))

    def challenger(self) -> str:
        """Another version, which the runner has in its cache when this returns; and two of the other model, which nobody runs."""
        mlflow = self._run(self.declared["mlflow"])
        version = str(self._train("--seed", "8")["version"])
        passed = {"verdict": {"passed": True, "rules": []}}
        self.tell(f"models/{MODEL}/versions/{version}/verdict", passed)
        described = {"run_id": "bench", "artifact": "bench", "source": "synthetic", "data_hash": "bench", "engine": "linear", "metrics": {}}
        described["policy"] = {"threshold": 0.5, "costs": {"missed_positive": 1, "false_alarm": 1}, "risk_levels": {"medium": 0.5, "high": 1.5}}
        for number in ("1", "2"):
            self.tell(f"models/{self.other}/versions", described | {"version": number, "sha256": number * 64})
            self.tell(f"models/{self.other}/versions/{number}/verdict", passed)
        about = {"reason": "bench", "actor": "bench"}
        self.tell(f"models/{self.other}/promote", about | {"version": "1"})
        self.tell(f"models/{MODEL}/challenger", about | {"version": version, "mode": "shadow"})
        deadline = time.monotonic() + 60
        while not json.loads(ask(f"{self.runner_url}/slots")[1])["challenger"]:
            if time.monotonic() > deadline:
                raise RuntimeError("the runner does not load the challenger")
            time.sleep(0.1)
        if mlflow is not None:
            mlflow.stop()
        return version

    def replay(self, version: str, rows: int) -> dict[str, Any]:
        """What the pipeline's step says of that version beside the newest rows."""
        mlflow = self._run(self.declared["mlflow"])
        found = self._step("replay", "--version", version, "--limit", str(rows))
        if mlflow is not None:
            mlflow.stop()
        return found

    def start_mlflow(self) -> Server:
        """Again: once the runner has its version, nobody needs it."""
        started = self._run(self.declared["mlflow"])
        if started is None:
            raise RuntimeError("MLflow is not a lasting process")
        return started

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The gateway's answer to the administrator. Raises RuntimeError when it refuses."""
        headers = {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"}
        status, said = ask(self.url + path, None if body is None else json.dumps(body).encode(), headers)
        if status not in (200, 202):
            raise RuntimeError(f"gateway: {path}: {status} {said[:300].decode(errors='replace')}")
        return dict(json.loads(said))

    def tell(self, path: str, body: dict[str, Any]) -> None:
        """Raises RuntimeError when control refuses."""
        headers = {"Authorization": f"Bearer {self.settings.control_token}", "Content-Type": "application/json"}
        status, said = ask(f"{self.settings.url('control')}/{path}", json.dumps(body).encode(), headers)
        if status >= 300:
            raise RuntimeError(f"control: {path}: {status} {said[:300].decode(errors='replace')}")

    def gateway(self, workers: int) -> Server:
        """The gateway anew, with that many worker processes."""
        self.running["gateway"].stop()
        self._token_ends = 0.0
        declared = self.declared["gateway"]
        started = self._run(declared, GATEWAY_WORKERS=str(workers))
        if started is None:
            raise RuntimeError("the gateway is not a lasting process")
        return started

    def frontend(self) -> str:
        """The dashboard's address, where it answers now."""
        self._run(self.declared["frontend"])
        return self.settings.url("frontend")

    @property
    def url(self) -> str:
        return self.settings.url("gateway")

    @property
    def runner_url(self) -> str:
        return self.settings.url(RUNNER)

    def token(self) -> str:
        """Of the administrator; a new one before the last one ends."""
        if time.monotonic() > self._token_ends:
            body = json.dumps({"username": self.account.username, "password": self.account.password}).encode()
            status, answer = ask(f"{self.url}/auth/login", body, {"Content-Type": "application/json"})
            if status != 200:
                raise RuntimeError(f"log-in was answered {status}: {answer[:300]!r}")
            self._token, self._token_ends = json.loads(answer)["access_token"], time.monotonic() + TOKEN_SECONDS
        return self._token

    def stored(self) -> int:
        with psycopg.connect(self.settings.database_url) as connection:
            return int(connection.execute("SELECT count(*) FROM predictions").fetchone()[0])  # type: ignore[index]

    def database(self, name: str) -> str:
        """The address of another database of the same server, made when it is not there."""
        with psycopg.connect(self.settings.database_url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
        return make_conninfo(self.settings.database_url, dbname=name)

    def _bake(self) -> None:
        """Makes `baked`: the environment of a runner that starts as one from an image does, with the version beside its code."""
        folder = self._servers.folder / "baked"
        command = [sys.executable, "-m", "bentos.serving.bake", "--model", MODEL, str(folder)]
        runner = self.declared[RUNNER].environment
        self._servers.finish("bake", command, environment=runner, cwd=paths.ROOT)
        self.baked = runner | {"RUNNER_BAKED_DIR": str(folder)}


def _probe(url: str) -> bool:
    return asyncio.run(probe(url))


def targets(platform: Platform, model: Model) -> list[Target]:
    rows = [model.rows[i] for i in range(TURNS)]
    running = platform.running
    wrapped = json_bodies([{"rows": [row]} for row in rows])
    single = json_bodies(rows)
    many = [model.rows[i % len(model.rows)] for i in range(100_000)]

    def full() -> Call:
        return Call(f"{platform.url}/predict/{MODEL}", single, {"Content-Type": "application/json", "Authorization": f"Bearer {platform.token()}"})

    def batch(count: int) -> Call:
        return replace(full(), url=f"{platform.url}/predict/{MODEL}/batch", bodies=json_bodies([{"rows": many[:count]}]))

    return [
        Target(
            name="ours",
            title="Modelyard, full path: JWT, limits, validation, audit committed before the answer",
            call=full,
            servers={"gateway": running["gateway"], "runner": running[RUNNER], "postgres": running["postgres"], "control": running["control"]},
            good=close_to(model.probabilities[0], "probability"),
            stored=platform.stored,
            batch=batch,
        ),
        Target(
            name="runner",
            title="Modelyard, bare runner (POST /rows)",
            call=lambda: Call(f"{platform.runner_url}/rows", wrapped),
            servers={"runner": running[RUNNER]},
            good=close_to(model.probabilities[0], "scores", 0),
            batch=lambda count: Call(f"{platform.runner_url}/rows", json_bodies([{"rows": many[:count]}])),
        ),
        Target(
            name="runner-bento",
            title="Modelyard, bare runner, the documented Bento route",
            call=lambda: Call(f"{platform.runner_url}/predict", wrapped),
            servers={"runner": running[RUNNER]},
            good=close_to(model.probabilities[0], 0, "probability"),
            batch=lambda count: Call(f"{platform.runner_url}/predict", json_bodies([{"rows": many[:count]}])),
        ),
    ]
