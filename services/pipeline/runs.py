"""MLflow as the steps see it: one run carries a data set through all of them, and becomes a version."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from services.pipeline.artifacts import Artifacts
from services.pipeline.failure import Failure, Final
from services.pipeline.tracking import Tracked, Tracking

MODEL_FOLDER = "model"
COMMIT = "mlflow.source.git.commit"
"""The tag that MLflow's page shows as the source."""
MODEL = "modelyard.model"


class Runs:
    """Connects when first asked. What is asked raises Failure, naming the address, when nobody answers."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=f"{url.rstrip('/')}/api/2.0/")
        self._tracking = Tracking(self._client)
        self.artifacts = Artifacts(self._client)
        self._current: Run | None = None

    def close(self) -> None:
        self._client.close()

    def start(self, model: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> "Run":
        """A new run in the model's experiment, which is made when it is not there; to be worked on."""
        run = self.work_on(Run(self._tracking, self.artifacts, self._tracking.start(model, {**tags, MODEL: model})))
        run.log(params=params)
        return run

    def open(self, model: str, run_id: str) -> "Run":
        """To be worked on. Raises as `look`."""
        return self.work_on(self.look(model, run_id))

    def work_on(self, run: "Run") -> "Run":
        """From now on `give_up` is about this one."""
        self._current = run
        return run

    def look(self, model: str, run_id: str) -> "Run":
        """To be read only. Raises Failure when there is no such run, or when it is another model's."""
        run = self.run(run_id)
        owner = run.tags.get(MODEL)
        if owner != model:
            raise Failure(f"run {run_id} is one of {owner or 'nobody that the pipeline knows'}, not of {model}")
        return run

    def run(self, run_id: str) -> "Run":
        """To be read only, whichever model's it is."""
        return Run(self._tracking, self.artifacts, self._tracking.look(run_id))

    def download(self, run_id: str, folder: Path) -> Path:
        """The artifact of the version that this run became. Raises Failure when it cannot be had."""
        return self.run(run_id).get_folder(MODEL_FOLDER, folder)

    def add_version(self, run: "Run", model: str, summary: str, tags: Mapping[str, str]) -> str:
        """Registers the run's artifact; the registered model is made when it is not there."""
        return self._tracking.add_version(model, summary, run_id=run.id, source=f"{run.artifact_uri}/{MODEL_FOLDER}", tags=tags)

    def tag_version(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        self._tracking.tag_version(model, version, tags)

    def give_up(self, reason: str) -> None:
        """Marks the run that is being worked on as failed, if there is one and MLflow still answers."""
        if self._current is not None:
            with suppress(Failure):
                self._current.log(tags={"modelyard.error": reason})
                self._current.set("FAILED")


class Run:
    def __init__(self, tracking: Tracking, artifacts: Artifacts, tracked: Tracked) -> None:
        self._tracking, self._artifacts = tracking, artifacts
        self.id, self.artifact_uri, self.tags = tracked.id, tracked.artifact_uri, tracked.tags

    @property
    def root(self) -> str:
        """Where its artifacts lie below MLflow's proxy."""
        return self.artifact_uri.split(":/", 1)[-1].strip("/")

    def log(self, *, params: Mapping[str, Any] | None = None, metrics: Mapping[str, float] | None = None, tags: Mapping[str, str] | None = None) -> None:
        """A parameter that a step repeats with the same value is fine; MLflow refuses another value."""
        self._tracking.log(self.id, params or {}, metrics or {}, tags or {})

    def put(self, path: Path, under: str | None = None) -> None:
        """A file, or the files of a folder, as artifacts in the folder `under`."""
        into = f"{self.root}/{under}" if under else self.root
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            self._artifacts.send(f"{into}/{file.name}", file)

    def get(self, artifact: str, folder: Path) -> Path:
        """Raises Failure when the run does not have it: then an earlier step is missing."""
        target = folder / Path(artifact).name
        with self._expected(artifact):
            self._artifacts.save(f"{self.root}/{artifact}", target)
        return target

    def get_folder(self, artifact: str, folder: Path) -> Path:
        """Its files, in `folder`. Raises Failure when there is none."""
        with self._expected(artifact):
            for name in self._artifacts.names(f"{self.root}/{artifact}"):
                self._artifacts.save(f"{self.root}/{artifact}/{name}", folder / name)
        return folder

    def put_document(self, artifact: str, document: Any) -> None:
        self._artifacts.put(f"{self.root}/{artifact}", json.dumps(document, indent=1, allow_nan=False).encode())

    def get_document(self, artifact: str) -> Any:
        with self._expected(artifact):
            return json.loads(self._artifacts.get(f"{self.root}/{artifact}"))

    def set(self, status: str) -> None:
        self._tracking.set(self.id, status)

    def finish(self) -> None:
        self.set("FINISHED")

    @contextmanager
    def _expected(self, artifact: str) -> Iterator[None]:
        try:
            yield
        except Final as error:
            raise Failure(f"run {self.id} has no {artifact}: has every step before this one succeeded? ({error})") from error
