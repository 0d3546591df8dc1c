"""MLflow as the steps see it: one run carries a data set through all of them, and becomes a version."""

import contextlib
import json
import logging
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from services.pipeline.failure import Failure

log = logging.getLogger(__name__)

MODEL_FOLDER = "model"
COMMIT = "mlflow.source.git.commit"
"""The tag that MLflow's page shows as the source."""


class Runs:
    """Connects when first asked. Raises Failure, naming the address, when nobody answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: Any = None
        self._current: Run | None = None

    def start(self, model: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> "Run":
        """A new run in the model's experiment, which is made when it is not there."""
        client = self.client
        experiment = client.get_experiment_by_name(model)
        if experiment is None:
            with contextlib.suppress(_mlflow_error()):  # another step made it meanwhile
                client.create_experiment(model)
            experiment = client.get_experiment_by_name(model)
        run = client.create_run(experiment.experiment_id, tags={**tags, "modelyard.model": model})
        self._current = Run(client, run)
        self._current.log(params=params)
        return self._current

    def open(self, model: str, run_id: str) -> "Run":
        """To be worked on. Raises as `look`."""
        self._current = self.look(model, run_id)
        return self._current

    def look(self, model: str, run_id: str) -> "Run":
        """To be read only. Raises Failure when there is no such run, or when it is another model's."""
        try:
            run = self.client.get_run(run_id)
        except _mlflow_error() as error:
            raise Failure(f"MLflow at {self.url} has no run {run_id!r}: {error}") from error
        owner = run.data.tags.get("modelyard.model")
        if owner != model:
            raise Failure(f"run {run_id} is one of {owner or 'nobody that the pipeline knows'}, not of {model}")
        return Run(self.client, run)

    def download(self, run_id: str, folder: Path) -> Path:
        """The artifact of the version that this run became. Raises Failure when it cannot be had."""
        try:
            return Path(self.client.download_artifacts(run_id, MODEL_FOLDER, str(folder)))
        except Exception as error:
            raise Failure(f"the artifact of run {run_id} cannot be downloaded from {self.url}: {error}") from error

    def add_version(self, run: "Run", model: str, summary: str, tags: Mapping[str, str]) -> str:
        """Registers the run's artifact; the registered model is made when it is not there."""
        with contextlib.suppress(_mlflow_error()):  # it exists
            self.client.create_registered_model(model, description=summary)
        made = self.client.create_model_version(model, source=f"{run.artifact_uri}/{MODEL_FOLDER}", run_id=run.id, tags=dict(tags), await_creation_for=0)
        return str(made.version)

    def tag_version(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        for name, value in tags.items():
            self.client.set_model_version_tag(model, version, name, value)

    def give_up(self, reason: str) -> None:
        """Marks the run that is being worked on as failed, if there is one and MLflow still answers."""
        if self._current is not None:
            with contextlib.suppress(Exception):
                self._current.log(tags={"modelyard.error": reason[:4000]})
                self._current.finish("FAILED")

    @property
    def client(self) -> Any:
        if self._connection is None:
            try:
                httpx.get(f"{self.url}/health", timeout=10).raise_for_status()
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise Failure(f"MLflow does not answer at {self.url} ({error}): is it running? MLFLOW_TRACKING_URI names it") from error
            from mlflow import MlflowClient, set_tracking_uri

            set_tracking_uri(self.url)
            self._connection = MlflowClient(self.url)
        return self._connection


class Run:
    def __init__(self, client: Any, run: Any) -> None:
        self._client = client
        self.id: str = run.info.run_id
        self.artifact_uri: str = run.info.artifact_uri
        self.tags: dict[str, str] = dict(run.data.tags)
        self.params: dict[str, str] = dict(run.data.params)

    @property
    def artifact_path(self) -> str:
        """Where the artifacts lie below MLflow's proxy."""
        return self.artifact_uri.split(":/", 1)[-1].strip("/")

    def log(self, *, params: Mapping[str, Any] | None = None, metrics: Mapping[str, float] | None = None, tags: Mapping[str, str] | None = None) -> None:
        """A parameter that a step repeats with the same value is fine; MLflow refuses another value."""
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        self._client.log_batch(
            self.id,
            metrics=[Metric(name, value, now, 0) for name, value in (metrics or {}).items()],
            params=[Param(name, str(value)) for name, value in (params or {}).items()],
            tags=[RunTag(name, value) for name, value in (tags or {}).items()],
        )

    def put(self, path: Path, under: str | None = None) -> None:
        """A file, or the files of a folder, as artifacts in the folder `under`."""
        if path.is_dir():
            self._client.log_artifacts(self.id, str(path), under)
        else:
            self._client.log_artifact(self.id, str(path), under)

    def get(self, artifact: str, folder: Path) -> Path:
        """Raises Failure when the run does not have it: then an earlier step is missing."""
        try:
            return Path(self._client.download_artifacts(self.id, artifact, str(folder)))
        except Exception as error:
            raise Failure(f"run {self.id} has no {artifact}: has every step before this one succeeded? ({error})") from error

    def put_document(self, artifact: str, document: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(artifact).name
            path.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")
            self.put(path, str(Path(artifact).parent))

    def get_document(self, artifact: str) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            return json.loads(self.get(artifact, Path(folder)).read_text(encoding="utf-8"))

    def finish(self, status: str = "FINISHED") -> None:
        self._client.set_terminated(self.id, status)


def _mlflow_error() -> type[Exception]:
    from mlflow.exceptions import MlflowException

    return MlflowException
