"""The pipeline's verbs against a real MLflow and a real control."""

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from bentos import catalogue
from services.pipeline.__main__ import main
from tests.integration.control_server import TOKEN, control, promote, version
from tests.versions import build

MODEL = "attrition"


@asynccontextmanager
async def running(database_url: str, mlflow_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator["Platform"]:
    """Its addresses are also this process's environment, for `Platform.here`. `settings` are control's."""
    async with control(database_url, folder, **{"mlflow_url": mlflow_url} | settings) as client:
        found = Platform(mlflow_url, client)
        for name, value in found.addresses.items():
            monkeypatch.setenv(name, value)
        yield found


class Platform:
    def __init__(self, mlflow_url: str, client: httpx.AsyncClient) -> None:
        self.mlflow = MlflowClient(mlflow_url)
        self.control = client
        self.addresses = {"MLFLOW_TRACKING_URI": mlflow_url, "PIPELINE_CONTROL_URL": str(client.base_url), "PIPELINE_CONTROL_TOKEN": TOKEN}

    async def step(self, verb: str, *arguments: object, code: int = 0, model: str = MODEL) -> dict[str, Any]:
        """What it printed, the result alone; `words` is what it said meanwhile."""
        ended, result, words = await self._process(verb, f"--model={model}", *arguments)
        assert ended == code, words
        return result | {"words": words}

    async def told(self, *arguments: object) -> tuple[int, dict[str, Any]]:
        """Exit code and result of `tell-control`."""
        code, result, _ = await self._process("tell-control", *arguments)
        return code, result

    async def _process(self, *arguments: object) -> tuple[int | None, dict[str, Any], str]:
        command = [sys.executable, "-m", "services.pipeline", *map(str, arguments)]
        process = await asyncio.create_subprocess_exec(
            *command, env=os.environ | self.addresses, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, words = await process.communicate()
        assert "Traceback" not in words.decode()
        return process.returncode, dict(json.loads(out.decode() or "{}")), words.decode()

    async def here(self, verb: str, *arguments: object, model: str = MODEL, code: int = 0) -> dict[str, Any]:
        """As `step`, without the seconds that a process needs to start."""
        out = io.StringIO()
        with redirect_stdout(out):
            ended = await asyncio.to_thread(main, [verb, "--model", model, *map(str, arguments)])
        assert ended == code
        return dict(json.loads(out.getvalue() or "{}"))

    async def registered(self, *arguments: object, model: str = MODEL) -> tuple[str, dict[str, Any]]:
        """(run id, result of `register`)"""
        run_id = (await self.here("ingest", *arguments, model=model))["run_id"]
        for verb in ("validate", "train", "evaluate"):
            await self.here(verb, "--run-id", run_id, model=model)
        return run_id, await self.here("register", "--run-id", run_id, model=model)

    async def version(self, number: str, folder: Path, *, model: str = MODEL, data_hash: str = "abc") -> tuple[str, str]:
        """(run id, sha256) of a small version that is registered in a second, and not promoted; different numbers give different versions."""
        built = await asyncio.to_thread(build, folder / f"version-{number}", model, seed=int(number))
        if self.mlflow.get_experiment_by_name(model) is None:
            with suppress(MlflowException):  # another worker's test has made it meanwhile
                self.mlflow.create_experiment(model)
        run = self.mlflow.create_run(self.mlflow.get_experiment_by_name(model).experiment_id, tags={"modelyard.model": model})
        self.mlflow.log_artifacts(run.info.run_id, str(built.folder), "model")
        found = {"run_id": run.info.run_id, "sha256": built.sha256, "data_hash": data_hash}
        found["artifact"] = f"{run.info.artifact_uri.split(':/', 1)[-1].strip('/')}/model"
        if catalogue.load().models[model].task == "regression":
            found["policy"] = None
        assert (await self.control.post(f"/models/{model}/versions", json=version(number) | found)).status_code == 201
        return run.info.run_id, built.sha256

    async def promoted(self, number: str, folder: Path) -> tuple[str, str]:
        """The same, and it serves."""
        found = await self.version(number, folder)
        assert (await promote(self.control, MODEL, number, force=True)).status_code == 200
        return found
