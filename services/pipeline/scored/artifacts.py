"""Single files in MLflow, through the proxy that all steps reach; without MLflow's client, whose import takes longer than a part."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from services.pipeline.failure import Failure, Final

ATTEMPTS = 4
PIECE = 1024 * 1024


class Artifacts:
    """Paths are those below MLflow's artifacts, such as `1/<run id>/artifacts/predictions/part-00000.parquet`."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.Client(base_url=f"{self._url}/api/2.0/mlflow-artifacts/artifacts/", timeout=httpx.Timeout(120, connect=10))

    def close(self) -> None:
        self._client.close()

    def get(self, path: str) -> bytes:
        """Raises Final when there is no such file."""
        return self._ask("GET", path).content

    def put(self, path: str, content: bytes) -> None:
        """Whole, or not at all: what was there before is replaced."""
        self._ask("PUT", path, content)

    def send(self, path: str, source: Path) -> None:
        """A file of any size, piece by piece."""
        try:
            with source.open("rb") as file:
                answer = self._client.put(path, content=iter(lambda: file.read(PIECE), b""))
        except httpx.HTTPError as error:
            raise self._away(error) from error
        if not answer.is_success:
            raise _refusal("PUT", path, answer.status_code)

    def save(self, path: str, target: Path) -> None:
        """A file of any size, piece by piece. Raises Final when there is none."""
        try:
            with target.open("wb") as file, self._client.stream("GET", path) as answer:
                if answer.is_success:
                    for piece in answer.iter_bytes(PIECE):
                        file.write(piece)
                    return
        except httpx.HTTPError as error:
            raise self._away(error) from error
        raise _refusal("GET", path, answer.status_code)

    def _ask(self, method: str, path: str, content: bytes | None = None) -> httpx.Response:
        for pause in _pauses():
            try:
                answer = self._client.request(method, path, content=content)
            except httpx.HTTPError as error:
                if pause is None:
                    raise self._away(error) from error
            else:
                if answer.is_success:
                    return answer
                if answer.is_client_error or pause is None:
                    raise _refusal(method, path, answer.status_code)
            time.sleep(pause or 0)
        raise AssertionError("the last attempt raises")

    def _away(self, error: httpx.HTTPError) -> Failure:
        reason = str(error) or type(error).__name__
        return Failure(f"MLflow does not answer at {self._url} ({reason}): is it running? MLFLOW_TRACKING_URI names it")


def _pauses() -> Iterator[float | None]:
    """Seconds after each attempt; None after the last."""
    yield from (0.2 * 4**number for number in range(ATTEMPTS - 1))
    yield None


def _refusal(method: str, path: str, status: int) -> Failure:
    kind = Final if 400 <= status < 500 else Failure
    return kind(f"MLflow answered {method} of the artifact {path} with {status}")
