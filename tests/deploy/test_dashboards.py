"""Every expression of the dashboards and alerts, asked of a real Prometheus that scrapes real processes with a little traffic."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
import yaml
from psycopg.types.json import Jsonb

from tests import runners
from tests.conftest import ROOT, find_free_port, wait_until
from tests.deploy import promql
from tests.deploy.chart import NAMESPACE
from tests.deploy.test_monitoring import BUILTIN, config
from tests.fakes import DeploymentServer
from tests.gateway_process import EXAMPLE, MODEL, Load, gateway_process, until
from tests.integration.control_server import PASSED, policy, version
from tests.kraken import KrakenServer
from tests.versions import build

SECONDS = 25
TOKEN = DeploymentServer.TOKEN
EMPTY = {
    "system-health / What fires / A": "nothing is wrong",
}
"""What shows nothing, and why."""

METRICS: dict[str, Any] = {
    "task": "classification",
    "holdout": {
        "rows": 100,
        "metrics": {name: {"value": 0.8, "low": 0.7, "high": 0.9} for name in ("roc_auc", "cost_per_row")},
        "baseline": {"roc_auc": 0.5, "cost_per_row": 1.0},
    },
}


def prometheus() -> str:
    """The program; it is often installed beside promtool without being on the PATH."""
    beside = Path(shutil.which("promtool") or "promtool").resolve().with_name("prometheus")
    found = shutil.which("prometheus") or (str(beside) if beside.exists() else None)
    if found is None:
        pytest.skip("prometheus is not installed (Debian: apt install prometheus)")
    return found


@dataclass
class Prometheus:
    url: str
    session: aiohttp.ClientSession

    async def ask(self, expression: str) -> list[dict[str, Any]]:
        """An instant query. Fails when it is no expression."""
        async with self.session.post(f"{self.url}/api/v1/query", data={"query": expression}) as answer:
            document = await answer.json()
        assert document["status"] == "success", (expression, document)
        found: list[dict[str, Any]] = document["data"]["result"]
        return found


@dataclass
class Real:
    """As `runners.process` wants to be told where its control and its files are."""

    control: str
    files: str

    def environment(self, cache: Path) -> dict[str, str]:
        return {
            "RUNNER_CONTROL_URL": self.control,
            "RUNNER_MLFLOW_URL": self.files,
            "RUNNER_CONTROL_TOKEN": TOKEN,
            "RUNNER_CACHE_DIR": str(cache),
            "RUNNER_HOST": "127.0.0.1",
            "BENTOML_DO_NOT_TRACK": "true",
        }


@contextmanager
def process(folder: Path, command: list[str], answers: str, environment: dict[str, str]) -> Iterator[None]:
    log = folder / f"{Path(command[-1]).name}.log"
    with log.open("wb") as output:
        running = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=output)
        try:
            wait_until(answers, running, log, 60)
            yield
        finally:
            running.terminate()
            running.wait(20)


@contextmanager
def control(database_url: str, folder: Path, metrics_port: int, kraken: str) -> Iterator[str]:
    port = find_free_port()
    channels = folder / "channels.yaml"
    channels.write_text("channels: {systems: {kind: webhook, url: 'http://127.0.0.1:1', secret_env: HOOK_SECRET}}")
    environment = {
        "CONTROL_NOTIFICATIONS": str(channels),
        "HOOK_SECRET": "of-a-receiver-that-is-away",
        "CONTROL_HOST": "127.0.0.1",
        "CONTROL_PORT": str(port),
        "CONTROL_METRICS_PORT": str(metrics_port),
        "CONTROL_DATABASE_URL": database_url,
        "CONTROL_MLFLOW_URL": "http://127.0.0.1:1",
        "CONTROL_TOKEN": TOKEN,
        "CONTROL_LOG_DIR": str(folder / "runs"),
        "CONTROL_WORKFLOWS": "local",
        "CONTROL_KRAKEN_URL": kraken,
        "CONTROL_KRAKEN_SPACING_SECONDS": "0",
        "CONTROL_MARKET_REFRESH_SECONDS": "1",
    }
    url = f"http://127.0.0.1:{port}"
    with process(folder, [sys.executable, "-m", "services.control"], f"{url}/readyz", environment):
        yield url


async def promote(url: str, sha256: str) -> None:
    async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {TOKEN}"}, raise_for_status=True) as session:
        new = version("1") | {"artifact": "1", "sha256": sha256, "metrics": METRICS, "policy": policy()}
        await session.post(f"/models/{MODEL}/versions", json=new)
        await session.post(f"/models/{MODEL}/versions/1/verdict", json={"verdict": PASSED})
        await session.post(f"/models/{MODEL}/promote", json={"version": "1", "reason": "a test", "actor": "ada"})
        await session.post(f"/models/{MODEL}/versions", json=new | {"version": "2"})
        await session.post(f"/models/{MODEL}/versions/2/verdict", json={"verdict": PASSED})
        await session.post(f"/models/{MODEL}/challenger", json={"version": "2", "mode": "shadow", "reason": "a test", "actor": "ada"})
        await session.post("/market/assets", json={"symbol": "XBTUSD", "actor": "ada"})


@contextmanager
def watching(folder: Path, targets: dict[str, int]) -> Iterator[str]:
    """Prometheus as the chart configures it, but for the addresses, and with less patience. `targets`: DNS name → port."""
    configured = config(BUILTIN, folder)
    file = configured / "prometheus.yml"
    document = yaml.safe_load(file.read_text())
    document["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    del document["alerting"]
    for job in document["scrape_configs"]:
        names = [name for discovery in job.pop("dns_sd_configs") for name in discovery["names"] if name in targets]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{targets[name]}"], "labels": {"__meta_dns_name": name}} for name in names]
    file.write_text(yaml.safe_dump(document))
    for rules in (configured / "rules").iterdir():
        rules.write_text(re.sub(r"^    interval: \w+.*\n", "", rules.read_text(), flags=re.MULTILINE))
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    options = [f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with process(folder, [prometheus(), *options], f"{url}/-/ready", {}):
        yield url


@asynccontextmanager
async def platform(database_url: str, folder: Path) -> AsyncIterator[Prometheus]:
    """Gateway with two workers, runner, control and Prometheus; one model, one version, one training, some traffic."""
    prometheus()
    sha256 = build(folder / "files/1", MODEL).sha256
    with psycopg.connect(database_url, autocommit=True) as database:
        statement = """
            INSERT INTO workflow_runs (id, kind, model, parameters, reason, actor, status, started_at, finished_at)
            VALUES (gen_random_uuid(), 'train', %s, '{}', '', '', 'succeeded', now() - interval '1 minute', now())
        """
        database.execute(statement, (MODEL,))
        drift = {"features": [{"feature": "age", "psi": 0.02}], "score": None}
        live = {"versions": [{"version": "1", "metrics": {"roc_auc": {"value": 0.8, "low": 0.7, "high": 0.9}}}]}
        statement = "INSERT INTO drift_reports (model, version, window_from, window_to, rows, alarm, document) VALUES (%s, '1', now(), now(), 300, false, %s)"
        database.execute(statement, (MODEL, Jsonb(drift)))
        database.execute("INSERT INTO performance_reports (model, rows, alarm, document) VALUES (%s, 300, false, %s)", (MODEL, Jsonb(live)))
    control_metrics = find_free_port()
    async with DeploymentServer(folder / "files") as files, KrakenServer() as kraken, aiohttp.ClientSession() as session:
        with ExitStack() as stack:
            url = await asyncio.to_thread(stack.enter_context, control(database_url, folder, control_metrics, kraken.url))
            await promote(url, sha256)
            _, runner, _ = await asyncio.to_thread(stack.enter_context, runners.process(MODEL, Real(url, files.url), folder))
            async with gateway_process(database_url, folder, runners=json.dumps({MODEL: runner})) as gateway:
                name = f"runner-{MODEL.replace('_', '-')}-metrics"
                targets = {"gateway-metrics": gateway.metrics_port, "control-metrics": control_metrics, name: int(runner.rpartition(":")[2])}
                watched = await asyncio.to_thread(stack.enter_context, watching(folder / "prometheus", targets))
                async with Load(gateway).running(2) as load:
                    await gateway.call("POST", f"/predict/{MODEL}/batch", json={"rows": [EXAMPLE] * 20})
                    await asyncio.sleep(SECONDS)
                    await until(lambda: load.statuses[200] > 100)
                    yield Prometheus(watched, session)


def concrete(expression: str) -> str:
    for variable, value in (("$__rate_interval", "10s"), ("$__range", "20s"), ("$namespace", NAMESPACE), ("$model", ".*")):
        expression = expression.replace(variable, value)
    return expression


async def test_no_panel_is_empty(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "prometheus").mkdir()
    async with platform(database_url, tmp_path) as watched:
        down = [one["metric"]["instance"] for one in await watched.ask("max_over_time(up[15s]) == 0")]
        assert down == []

        found = {where: await watched.ask(concrete(expression)) for where, expression in promql.expressions()}
        empty = {where for where, result in found.items() if not result or all(one["value"][1] == "NaN" for one in result)}
        assert empty - set(EMPTY) == set()

        for path in promql.DASHBOARDS:
            for annotation in promql.dashboard(path)["annotations"]["list"]:
                await watched.ask(concrete(annotation["expr"]))  # empty, since nothing has been promoted lately

        # What the rules stand on is there, nothing fires, and the books are balanced.
        fired = [one["metric"]["alertname"] for one in await watched.ask('ALERTS{alertstate="firing"}')]
        assert fired == []
        for _, rule in promql.rules():
            for metric, _ in promql.used(rule["expr"]).selectors:
                assert metric.startswith("kubelet_") or metric == "modelyard_runner_pin_info" or await watched.ask(metric), metric
        (balance,) = await watched.ask("min_over_time(modelyard:audit_unanswered_rows[10s])")
        assert (balance["metric"]["job"], balance["value"][1]) == ("gateway", "0")

        # A gateway's two workers and their parent are one process, and runners know their model.
        (memory,) = await watched.ask('process_resident_memory_bytes{job="gateway"}')
        assert float(memory["value"][1]) > 150e6
        models = {one["metric"]["model"] for one in await watched.ask('{job="runner", __name__=~"up|process_.*|modelyard_.*"}')}
        assert models == {MODEL}
        assert await watched.ask('{job="runner", exported_model!=""}') == []
