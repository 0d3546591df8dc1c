"""The runner as it is started: as a Bento in this process, and as a process of its own."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import psutil
import pytest

from bentos import catalogue, contract
from bentos.serving import walker
from bentos.serving.__main__ import app
from tests.conftest import ROOT
from tests.runners import Upstream, process


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML 1.4 with newer pydantic and pathspec
@pytest.mark.parametrize("model", catalogue.names())
async def test_the_bento_answers_on_both_routes(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Upstream(tmp_path / "files", model) as upstream:
        for name, value in upstream.environment(tmp_path / "cache").items():
            monkeypatch.setenv(name, value)
        runner: Any = app(model)
        example = contract.schema(model).EXAMPLE
        bento = runner._bento
        async with bento.router.lifespan_context(bento), httpx.AsyncClient(transport=httpx.ASGITransport(runner), base_url="http://runner") as client:
            assert (await client.get("/livez")).status_code == 200
            async with asyncio.timeout(10):
                while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - a probe is asked again
                    await asyncio.sleep(0.02)
            row = contract.schema(model).Input.model_validate(example).model_dump()
            hot = await client.post("/rows", json={"rows": [row, row]})
            documented = await client.post("/predict", json={"rows": [example, example]})
            wrong = await client.post("/predict", json={"rows": [{"nothing": 1}]})
            mounted = await httpx.AsyncClient(transport=httpx.ASGITransport(bento), base_url="http://runner").get("/slots")
            openapi = (await client.get("/docs.json")).json()
        assert hot.status_code == documented.status_code == 200
        assert hot.json()["answers"] == documented.json()
        assert mounted.json()["champion"]["version"] == "1"
        assert wrong.status_code == 400
        assert "/predict" in openapi["paths"]


def test_a_process_is_ready_fast_small_and_without_scikit_learn(tmp_path: Path) -> None:
    with Upstream(tmp_path / "files", "credit_scoring") as upstream:
        with process("credit_scoring", upstream, tmp_path):
            pass
        with process("credit_scoring", upstream, tmp_path) as (running, url, seconds):
            loaded = Path(f"/proc/{running.pid}/maps").read_text()
            memory = psutil.Process(running.pid).memory_info().rss
            slots = httpx.get(f"{url}/slots").json()
            children = psutil.Process(running.pid).children()
    assert slots["champion"]["source"] == "cache"
    assert slots["champion"]["engine"] == ("native" if walker.LIBRARY.exists() else "gtil")
    assert children == []
    assert not re.search(r"/(sklearn|scipy|pandas|skops)/", loaded)
    assert memory <= 170e6
    assert seconds <= 2 * max(1.0, os.getloadavg()[0])


async def test_promotions_fail_no_request_of_a_caller_that_never_pauses(tmp_path: Path) -> None:
    model = "credit_scoring"
    schema = contract.schema(model)
    body = {"rows": [schema.Input.model_validate(schema.EXAMPLE).model_dump()]}
    with Upstream(tmp_path / "files", model) as upstream, process(model, upstream, tmp_path) as (_, url, _):
        seen: list[tuple[float, int, str, float]] = []
        stop = asyncio.Event()

        async def call(session: aiohttp.ClientSession) -> None:
            while not stop.is_set():
                async with session.post(f"{url}/rows", json=body) as answer:
                    document = await answer.json()
                    seen.append((time.monotonic(), answer.status, document.get("version", ""), document.get("scores", [-1.0])[0]))

        async with aiohttp.ClientSession() as session:
            callers = [asyncio.create_task(call(session)) for _ in range(2)]
            promoted = []
            for version in ("2", "1", "2"):
                await asyncio.sleep(0.5)
                promoted.append((time.monotonic(), version))
                upstream.promote(version)
            await asyncio.sleep(1.5)
            stop.set()
            await asyncio.gather(*callers)
    assert {status for _, status, _, _ in seen} == {200}
    assert len({(version, score) for _, _, version, score in seen}) == 2
    for moment, version in promoted:
        first = next(at for at, _, found, _ in seen if at > moment and found == version)
        assert first - moment <= 1.0
    assert seen[-1][2] == "2"


def test_sigterm_answers_what_is_under_way(tmp_path: Path) -> None:
    model = "credit_scoring"
    schema = contract.schema(model)
    body = {"rows": [schema.Input.model_validate(schema.EXAMPLE).model_dump()] * 20_000}
    with Upstream(tmp_path / "files", model) as upstream, process(model, upstream, tmp_path) as (running, url, _):
        answers: list[int] = []
        caller = threading.Thread(target=lambda: answers.append(len(httpx.post(f"{url}/rows", json=body, timeout=30).json()["answers"])))
        caller.start()
        metrics = ""
        while "modelyard_runner_in_flight" not in metrics or 'in_flight{model="credit_scoring"} 0.0' in metrics:
            metrics = httpx.get(f"{url}/metrics", timeout=10).text
        started = time.monotonic()
        running.send_signal(signal.SIGTERM)
        running.wait(10)
        caller.join(10)
    assert answers == [20_000]
    assert time.monotonic() - started <= 6


def test_an_unknown_model_names_the_known_ones() -> None:
    found = subprocess.run([sys.executable, "-m", "bentos.serving", "--model", "weather"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "--model must be one of attrition, credit_scoring, crypto_price, not weather" in found.stderr


@pytest.mark.parametrize("model", catalogue.names())
def test_bentoml_builds_it_and_it_runs_from_what_was_built(model: str, tmp_path: Path) -> None:
    environment = os.environ | {"BENTOML_HOME": str(tmp_path / "bentoml"), "BENTOML_DO_NOT_TRACK": "true"}
    command = [str(Path(sys.executable).with_name("bentoml")), "build", "-f", f"bentos/{model}/bentofile.yaml", "--version", "test", "-o", "tag", "."]
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    source = tmp_path / "bentoml" / "bentos" / model / "test" / "src"
    others = [name for name in catalogue.names() if name != model]
    assert not any((source / "bentos" / name).exists() for name in others)
    native = source / walker.LIBRARY.parent.relative_to(ROOT)
    assert {path.name for path in native.iterdir()} == {path.name for path in walker.LIBRARY.parent.iterdir()}
    if model == "attrition":
        with Upstream(tmp_path / "files", model) as upstream, process(model, upstream, tmp_path, cwd=source) as (running, url, _):
            assert psutil.Process(running.pid).cwd() == str(source)
            assert httpx.get(f"{url}/slots").json()["champion"]["version"] == "1"


def test_the_bentos_packages_are_those_of_the_lock() -> None:
    uv = Path(sys.executable).with_name("uv")
    options = ["--frozen", "--offline", "--no-default-groups", "--group", "runner", "--no-emit-project", "--no-hashes", "--no-annotate", "--no-header"]
    exported = subprocess.run([str(uv), "export", *options], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "bentos" / "serving" / "requirements.txt").read_text() == exported, "write it anew: uv export " + " ".join(options)
