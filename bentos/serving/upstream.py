"""The two servers that a runner talks to: control (desired state, reports) and MLflow's artifact proxy (files)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from pydantic import TypeAdapter, ValidationError

from bentos.serving import artifact
from bentos.serving.settings import RunnerSettings
from bentos.serving.wanted import Wanted, WantedVersion

LONG_POLL_SECONDS = 30
LARGEST_FILE = 2**30
_DOCUMENT = TypeAdapter(dict[str, Any])


class Away(Exception):
    """A server did not answer, or not as agreed: worth another try later."""


class Unknown(Away):
    """There is no such version."""


class Upstream:
    """An async context manager: holds the connections."""

    def __init__(self, settings: RunnerSettings) -> None:
        self._model = settings.model
        self._control = settings.control_url.rstrip("/")
        self._files = f"{settings.mlflow_url.rstrip('/')}/api/2.0/mlflow-artifacts/artifacts"
        self._token = settings.control_token.get_secret_value()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10, sock_connect=3))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._session.close()

    async def wanted(self, etag: str | None) -> tuple[Wanted, str] | None:
        """The desired state with its ETag, at once when `etag` is not the present one; None when nothing changed for the whole wait."""
        headers = {"If-None-Match": etag} if etag else {}
        timeout = aiohttp.ClientTimeout(total=LONG_POLL_SECONDS + 10, sock_connect=3)
        url = f"{self._control}/serving/{self._model}?wait={LONG_POLL_SECONDS}"
        with _reaching("control"):
            async with self._session.get(url, headers=headers, timeout=timeout) as answer:
                if answer.status == 304:
                    return None
                _expect(answer)
                if "ETag" not in answer.headers:  # the next question could not wait for a change
                    raise Away("control's answer has no ETag")
                return Wanted.model_validate_json(await answer.read()), answer.headers["ETag"]

    async def version(self, version: str) -> WantedVersion:
        """Where a version's files are, whether it is promoted or not."""
        with _reaching("control"):
            return WantedVersion.model_validate_json(await self._version(version))

    async def registered(self, version: str) -> Wanted:
        """A version as it would serve. Its training's policy has number 0: control numbers it when it promotes the version."""
        with _reaching("control"):
            document = _DOCUMENT.validate_json(await self._version(version))
            policy = document.get("policy")
            return Wanted.model_validate({"champion": document, "policy": policy and policy | {"version": 0}})

    async def _version(self, version: str) -> bytes:
        async with self._session.get(f"{self._control}/models/{self._model}/versions/{version}") as answer:
            if answer.status == 404:
                raise Unknown(f"control knows no version {version} of {self._model}")
            _expect(answer)
            return await answer.read()

    async def report(self, document: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        with _reaching("control"):
            async with self._session.post(f"{self._control}/serving/{self._model}/replicas", json=document, headers=headers) as answer:
                _expect(answer)

    async def download(self, wanted: WantedVersion, folder: Path) -> None:
        """Fills the folder with the version's files. Raises Refused when the list of files is not the one that control names."""
        await self._save(f"{wanted.artifact}/{artifact.SUMS}", folder / artifact.SUMS)
        for name in artifact.parse_sums((folder / artifact.SUMS).read_bytes(), wanted.sha256):
            await self._save(f"{wanted.artifact}/{name}", folder / name)

    async def _save(self, path: str, target: Path) -> None:
        timeout = aiohttp.ClientTimeout(total=300, sock_connect=3, sock_read=10)
        size = 0
        with _reaching("MLflow"):
            async with self._session.get(f"{self._files}/{path}", timeout=timeout) as answer:
                _expect(answer)
                with target.open("xb") as file:
                    async for chunk in answer.content.iter_chunked(2**18):
                        size += len(chunk)
                        if size > LARGEST_FILE:
                            raise Away(f"{path} is larger than {LARGEST_FILE} bytes")
                        file.write(chunk)


@contextmanager
def _reaching(server: str) -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Away(f"{server}: {type(error).__name__}: {error}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        raise Away(f"{server}'s answer is not as agreed: {wrong}") from None


def _expect(answer: aiohttp.ClientResponse) -> None:
    if answer.status >= 300:
        raise Away(f"{answer.method} {answer.url.with_query(None)} was answered {answer.status}")
