"""MLflow's runs and registry by its REST API, 2.0: the client in its own package takes two seconds to import, and a training has seven steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import time
from typing import Any

import httpx

from services.pipeline.failure import Failure

SECONDS = 30.0
EXISTS = "RESOURCE_ALREADY_EXISTS"


@dataclass(frozen=True)
class Tracked:
    """A run as it was when it was read."""

    id: str
    artifact_uri: str
    tags: Mapping[str, str]


class Tracking:
    """Every method raises Failure when MLflow is away or refuses."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def start(self, model: str, tags: Mapping[str, str]) -> Tracked:
        """A run in the model's experiment, which is made when it is not there."""
        made = self._ask("POST", "experiments/create", {"name": model}, refused=EXISTS)
        experiment = made.get("experiment_id") or self._ask("GET", "experiments/get-by-name", {"experiment_name": model})["experiment"]["experiment_id"]
        return _tracked(self._ask("POST", "runs/create", {"experiment_id": experiment, "start_time": _now(), "tags": _listed(tags)}))

    def look(self, run_id: str) -> Tracked:
        return _tracked(self._ask("GET", "runs/get", {"run_id": run_id}))

    def log(self, run_id: str, params: Mapping[str, Any], metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """MLflow cuts what is too long for it: a parameter after 6000 characters, a tag after 8000."""
        now = _now()
        points = [{"key": key, "value": float(value), "timestamp": now, "step": 0} for key, value in metrics.items()]
        self._ask("POST", "runs/log-batch", {"run_id": run_id, "params": _listed(params), "metrics": points, "tags": _listed(tags)})

    def set(self, run_id: str, status: str) -> None:
        ended = {} if status == "RUNNING" else {"end_time": _now()}
        self._ask("POST", "runs/update", {"run_id": run_id, "status": status, **ended})

    def add_version(self, model: str, summary: str, *, run_id: str, source: str, tags: Mapping[str, str]) -> str:
        """The registered model is made when it is not there. Returns the number of its new version."""
        self._ask("POST", "registered-models/create", {"name": model, "description": summary}, refused=EXISTS)
        made = self._ask("POST", "model-versions/create", {"name": model, "source": source, "run_id": run_id, "tags": _listed(tags)})
        return str(made["model_version"]["version"])

    def tag_version(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._ask("POST", "model-versions/set-tag", {"name": model, "version": version, "key": key, "value": value})

    def _ask(self, method: str, path: str, content: dict[str, Any], refused: str | None = None) -> dict[str, Any]:
        """`refused`: a refusal that is no failure, and gives nothing."""
        given = {"params": content} if method == "GET" else {"json": content}
        try:
            answer = self._client.request(method, f"mlflow/{path}", timeout=SECONDS, **given)  # type: ignore[arg-type]
        except httpx.HTTPError as error:
            raise away(self._client, error) from error
        try:
            said: dict[str, Any] = answer.json()
        except ValueError:
            raise Failure(f"MLflow answered {path} with {answer.status_code} and no document: {answer.text[:200]!r}") from None
        if answer.is_success:
            return said
        if refused is not None and said.get("error_code", "").startswith(refused):
            return {}
        raise Failure(f"MLflow refused {path} with {answer.status_code}: {said.get('message', said)}")


def away(client: httpx.Client, error: httpx.HTTPError) -> Failure:
    place = str(client.base_url.copy_with(path="/")).rstrip("/")
    return Failure(f"MLflow does not answer at {place} ({str(error) or type(error).__name__}): is it running? MLFLOW_TRACKING_URI names it")


def _tracked(answer: dict[str, Any]) -> Tracked:
    run = answer["run"]
    return Tracked(run["info"]["run_id"], run["info"]["artifact_uri"], {one["key"]: one["value"] for one in run["data"].get("tags", ())})


def _listed(given: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"key": key, "value": str(value)} for key, value in given.items()]


def _now() -> int:
    return int(time() * 1000)
