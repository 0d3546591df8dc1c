"""Files out of MLflow: whoever may reach control need not reach MLflow."""

import aiohttp

from services.kit.errors import BadGateway, NotFound, Unavailable

SECONDS = 60.0
LARGEST = 512 * 1024 * 1024
"""Bytes: far more than a part of a scoring has."""


class Files:
    def __init__(self, mlflow_url: str) -> None:
        self._url = f"{mlflow_url.rstrip('/')}/api/2.0/mlflow-artifacts/artifacts"

    async def read(self, path: str) -> bytes:
        """Raises NotFound when it is gone, Unavailable when MLflow is away."""
        timeout = aiohttp.ClientTimeout(total=SECONDS, sock_connect=5)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{self._url}/{path}") as answer:
                if answer.status == NotFound.status:
                    raise NotFound(f"MLflow has no {path} any more.")
                if answer.status != 200:
                    raise BadGateway(f"MLflow answered {answer.status} for {path}.")
                if (answer.content_length or 0) > LARGEST:
                    raise BadGateway(f"{path} is too large.")
                return await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise Unavailable("MLflow does not answer, so its files cannot be had now.", retry_after=5) from None
