"""Files in MLflow, through the proxy that all steps reach."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from services.pipeline.failure import Failure, Final
from services.pipeline.tracking import away

PLACE = "mlflow-artifacts/artifacts"
SECONDS = httpx.Timeout(120, connect=10)
ATTEMPTS = 4
PIECE = 1024 * 1024


class Artifacts:
    """Paths are those below MLflow's artifacts, such as `1/<run id>/artifacts/predictions/part-00000.parquet`.

    Every method raises Failure when MLflow is away, after some attempts.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str) -> bytes:
        """Raises Final when there is no such file."""
        return self._tried("GET", path, lambda: self._client.get(f"{PLACE}/{path}", timeout=SECONDS)).content

    def put(self, path: str, content: bytes) -> None:
        """Whole, or not at all: what was there before is replaced."""
        self._tried("PUT", path, lambda: self._client.put(f"{PLACE}/{path}", content=content, timeout=SECONDS))

    def send(self, path: str, source: Path) -> None:
        """A file of any size, piece by piece."""

        def attempt() -> httpx.Response:
            with source.open("rb") as file:
                return self._client.put(f"{PLACE}/{path}", content=iter(lambda: file.read(PIECE), b""), timeout=SECONDS)

        self._tried("PUT", path, attempt)

    def save(self, path: str, target: Path) -> None:
        """A file of any size, piece by piece. Raises Final when there is none."""

        def attempt() -> httpx.Response:
            with target.open("wb") as file, self._client.stream("GET", f"{PLACE}/{path}", timeout=SECONDS) as answer:
                if answer.is_success:
                    for piece in answer.iter_bytes(PIECE):
                        file.write(piece)
            return answer

        self._tried("GET", path, attempt)

    def names(self, folder: str) -> list[str]:
        """Of the files in it, not of those in folders of its own. Raises Final when there is none."""
        answer = self._tried("GET", folder, lambda: self._client.get(PLACE, params={"path": folder}, timeout=SECONDS))
        found = [one["path"] for one in answer.json().get("files", ()) if not one.get("is_dir")]
        if not found:
            raise Final(f"MLflow has no artifact below {folder}")
        return found

    def _tried(self, method: str, path: str, attempt: Callable[[], httpx.Response]) -> httpx.Response:
        for pause in _pauses():
            try:
                answer = attempt()
            except httpx.HTTPError as error:
                if pause is None:
                    raise away(self._client, error) from error
            else:
                if answer.is_success:
                    return answer
                if answer.is_client_error or pause is None:
                    raise _refusal(method, path, answer.status_code)
            time.sleep(pause or 0)
        raise AssertionError("the last attempt raises")


def _pauses() -> Iterator[float | None]:
    """Seconds after each attempt; None after the last."""
    yield from (0.2 * 4**number for number in range(ATTEMPTS - 1))
    yield None


def _refusal(method: str, path: str, status: int) -> Failure:
    kind = Final if 400 <= status < 500 else Failure
    return kind(f"MLflow answered {method} of the artifact {path} with {status}")
