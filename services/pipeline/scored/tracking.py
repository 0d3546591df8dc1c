"""MLflow's tracking server, as far as a scoring needs it, without its client: that takes seconds to import, in each of the steps."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import time
from typing import Any

import httpx

from services.pipeline.failure import Failure

SECONDS = 30.0
MOST_WORDS = 4000
GIVEN = "modelyard.input"
"""Tag of a run that scores a file or a table: which one."""
PLANNED = "modelyard.planned"
EXISTS = "RESOURCE_ALREADY_EXISTS"


@dataclass(frozen=True)
class Tracked:
    """A run. `root` is where its artifacts are below MLflow's proxy."""

    id: str
    root: str
    tags: Mapping[str, str]


class Tracking:
    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.Client(base_url=f"{self._url}/api/2.0/mlflow/", timeout=SECONDS)

    def close(self) -> None:
        self._client.close()

    def start(self, model: str, params: Mapping[str, str], tags: Mapping[str, str]) -> Tracked:
        """A run in the model's experiment, which is made when it is not there."""
        made = self._ask("POST", "experiments/create", {"name": model}, refused=EXISTS)
        experiment = made.get("experiment_id") or self._ask("GET", "experiments/get-by-name", {"experiment_name": model})["experiment"]["experiment_id"]
        given = [{"key": key, "value": value} for key, value in {**tags, "modelyard.model": model}.items()]
        run = self._ask("POST", "runs/create", {"experiment_id": experiment, "start_time": int(time() * 1000), "tags": given})
        tracked = _tracked(run)
        self.log(tracked, params=params)
        return tracked

    def look(self, run_id: str) -> Tracked:
        """Raises Failure when there is none."""
        return _tracked(self._ask("GET", "runs/get", {"run_id": run_id}))

    def scoring(self, model: str, run_id: str) -> Tracked:
        """One that scores a file or a table with this model. Raises Failure for any other."""
        found = self.look(run_id)
        if found.tags.get("modelyard.model") != model or GIVEN not in found.tags:
            raise Failure(f"run {run_id} has scored no file or table with {model}")
        return found

    def log(self, run: Tracked, *, params: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None, **metrics: float) -> None:
        now = int(time() * 1000)
        document = {
            "run_id": run.id,
            "params": [{"key": key, "value": value[:MOST_WORDS]} for key, value in (params or {}).items()],
            "tags": [{"key": key, "value": value[:MOST_WORDS]} for key, value in (tags or {}).items()],
            "metrics": [{"key": key, "value": value, "timestamp": now, "step": 0} for key, value in metrics.items()],
        }
        self._ask("POST", "runs/log-batch", document)

    def set(self, run: Tracked, status: str) -> None:
        ended = {"end_time": int(time() * 1000)} if status != "RUNNING" else {}
        self._ask("POST", "runs/update", {"run_id": run.id, "status": status, **ended})

    @contextmanager
    def working_on(self, run: Tracked) -> Iterator[None]:
        """What goes wrong meanwhile has the run marked as failed, if MLflow still answers."""
        try:
            yield
        except BaseException as error:
            with suppress(Failure):
                self.log(run, tags={"modelyard.error": str(error)})
                self.set(run, "FAILED")
            raise

    def _ask(self, method: str, path: str, content: dict[str, Any], refused: str | None = None) -> dict[str, Any]:
        """`refused`: a refusal that is no failure, and gives nothing."""
        read = method == "GET"
        try:
            answer = self._client.request(method, path, params=content if read else None, json=None if read else content)
            said: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise Failure(f"MLflow does not answer at {self._url} ({reason}): is it running? MLFLOW_TRACKING_URI names it") from error
        if answer.is_success:
            return said
        if refused is not None and said.get("error_code", "").startswith(refused):
            return {}
        raise Failure(f"MLflow refused {path} with {answer.status_code}: {said.get('message', said)}")


def _tracked(answer: dict[str, Any]) -> Tracked:
    run = answer["run"]
    tags = {one["key"]: one["value"] for one in run["data"].get("tags", ())}
    return Tracked(run["info"]["run_id"], run["info"]["artifact_uri"].split(":/", 1)[-1].strip("/"), tags)
