"""The peers, each set up as well as it can be for one core: uvloop, httptools, one worker, no access log."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
import psycopg

from tests.bench.model import Model, number_of
from tests.bench.processes import Server, Servers, ask, wait
from tests.bench.target import Target
from tests.bench.wrk import Call

FOLDER = Path(__file__).parent
BIN = Path(sys.executable).parent
TUTORIAL_SECRET = "a secret of the bench, long enough for HS256"
TURNS = 100
"""Different rows that a window sends in turn."""


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def json_bodies(documents: Sequence[Any]) -> list[bytes]:
    return [json.dumps(document).encode() for document in documents]


def close_to(expected: float, *path: str | int) -> Callable[[bytes], bool]:
    def right(body: bytes) -> bool:
        found = number_of(body, *path)
        return found is not None and abs(found - expected) < 1e-9

    return right


def answers(url: str, body: bytes) -> Callable[[], bool]:
    return lambda: ask(url, body, {"Content-Type": "application/json"}, timeout=5)[0] == 200


def _uvicorn(port: int) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return [str(BIN / "uvicorn"), "app:app", *options]


def _vectors(model: Model) -> list[bytes]:
    return json_bodies([{"rows": [row]} for row in model.features(TURNS)])


def bentoml_plain(servers: Servers, model: Model, name: str = "bentoml") -> Target:
    port = free_port()
    url = f"http://127.0.0.1:{port}/predict"
    server = servers.start(
        f"{name}-{port}",
        [str(BIN / "bentoml"), "serve", "service:Plain", "--host", "127.0.0.1", "--port", str(port)],
        environment={"BENCH_MODEL": str(model.file), "BENTOML_HOME": str(servers.folder / f"{name}-{port}"), "BENTOML_DO_NOT_TRACK": "true"},
        cwd=FOLDER / "bentoml_plain",
    )
    bodies = _vectors(model)
    wait(server, answers(url, bodies[0]), pause=0.01)
    return Target(
        name=name,
        title="BentoML, plain",
        call=lambda: Call(url, bodies),
        servers={"server": server},
        good=close_to(model.probabilities[0], 0),
        batch=lambda count: Call(url, json_bodies([{"rows": model.features(count)}])),
    )


def fastapi_joblib(servers: Servers, model: Model) -> Target:
    port = free_port()
    url = f"http://127.0.0.1:{port}/predict"
    server = servers.start("fastapi", _uvicorn(port), environment={"BENCH_MODEL": str(model.file)}, cwd=FOLDER / "fastapi_joblib")
    bodies = _vectors(model)
    wait(server, answers(url, bodies[0]))
    return Target(
        name="fastapi",
        title="FastAPI + joblib",
        call=lambda: Call(url, bodies),
        servers={"server": server},
        good=close_to(model.probabilities[0], "probabilities", 0),
        batch=lambda count: Call(url, json_bodies([{"rows": model.features(count)}])),
    )


def tutorial(servers: Servers, model: Model, database_url: str, postgres: Server) -> Target:
    """Has a BentoML service of its own. `database_url` is of a database of its own."""
    bento = bentoml_plain(servers, model, "tutorial-bentoml")
    port = free_port()
    environment = {
        "TUTORIAL_SECRET": TUTORIAL_SECRET,
        "TUTORIAL_RUNNER": bento.call().url.removesuffix("/predict"),
        "TUTORIAL_DATABASE": database_url,
    }
    server = servers.start("tutorial", _uvicorn(port), environment=environment, cwd=FOLDER / "tutorial")
    wait(server, lambda: ask(f"http://127.0.0.1:{port}/openapi.json")[0] == 200)
    bodies = json_bodies([{"features": row} for row in model.features(TURNS)])

    def call() -> Call:
        token = jwt.encode({"sub": "bench", "exp": int(time.time()) + 3600}, TUTORIAL_SECRET, "HS256")
        return Call(f"http://127.0.0.1:{port}/predict", bodies, {"Content-Type": "application/json", "Authorization": f"Bearer {token}"})

    def stored() -> int:
        with psycopg.connect(database_url) as connection:
            return int(connection.execute("SELECT count(*) FROM tutorial_predictions").fetchone()[0])  # type: ignore[index]

    return Target(
        name="tutorial",
        title="Tutorial stack: FastAPI, JWT, httpx, BentoML, one INSERT a request",
        call=call,
        servers={"gateway": server, "runner": bento.servers["server"], "postgres": postgres},
        good=close_to(model.probabilities[0], "probability"),
        stored=stored,
    )


MLSERVER_BATCHING = ((16, 0.005), (32, 0.005), (64, 0.002), (64, 0.005))
"""max_batch_size and max_batch_time (s) that are tried; the best is measured."""


class NoMLServer(Exception):
    """It could not be installed."""


def mlserver_environment(folder: Path) -> Path:
    """The Python of an environment of its own, made by uv when it is not there yet. Raises NoMLServer."""
    python, requirements = folder / "bin" / "python", FOLDER / "mlserver" / "requirements.txt"
    stamp = folder / "installed.txt"
    if stamp.is_file() and stamp.read_text() == requirements.read_text():
        return python
    uv = str(BIN / "uv")
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), "-r", str(requirements)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "VIRTUAL_ENV": ""}, check=False)
        if done.returncode != 0:
            raise NoMLServer(f"MLServer could not be installed: {done.stderr.strip()[-300:]}")
    stamp.write_text(requirements.read_text())
    return python


def mlserver(servers: Servers, model: Model, python: Path, batch_size: int, batch_time: float) -> Target:
    """In one process: a worker process of its own would cost it a hop through a queue."""
    port = free_port()
    folder = servers.folder / f"mlserver-{port}" / "credit"
    folder.mkdir(parents=True)
    settings = json.loads((FOLDER / "mlserver" / "settings.json").read_text())
    settings |= {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    declared = json.loads((FOLDER / "mlserver" / "model-settings.json").read_text())
    declared |= {"max_batch_size": batch_size, "max_batch_time": batch_time, "parameters": {"uri": str(model.file), "version": "1"}}
    (folder.parent / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(declared))
    server = servers.start(f"mlserver-{port}", [str(python.with_name("mlserver")), "start", "."], cwd=folder.parent)

    url = f"http://127.0.0.1:{port}/v2/models/credit/infer"

    def document(rows: list[list[float]]) -> dict[str, Any]:
        flat = [value for row in rows for value in row]
        tensor = {"name": "rows", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": flat}
        return {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}

    bodies = json_bodies([document([row]) for row in model.features(TURNS)])
    wait(server, answers(url, bodies[0]))
    return Target(
        name="mlserver",
        title="MLServer 1.7.1, adaptive batching",
        call=lambda: Call(url, bodies),
        servers={"server": server},
        good=close_to(model.probabilities[0], "outputs", 0, "data", 1),
        batch=lambda count: Call(url, json_bodies([document(model.features(count))])),
        notes={"max_batch_size": batch_size, "max_batch_time_ms": batch_time * 1e3},
    )
