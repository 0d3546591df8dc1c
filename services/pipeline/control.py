"""Control as the steps see it."""

from typing import Any

import httpx

from services.pipeline.failure import Failure, Final

PASSING = frozenset({408, 425, 429})
"""Refusals that end by themselves."""


class Control:
    def __init__(self, url: str, token: str, actor: str) -> None:
        self._url, self._actor = url, actor
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=30)

    def close(self) -> None:
        self._client.close()

    def champion(self, model: str) -> str | None:
        """The version that serves."""
        serving = self.serving(model)["champion"]
        return None if serving is None else str(serving["version"])

    def serving(self, model: str) -> dict[str, Any]:
        """{champion, policy}, both None when nothing has been promoted."""
        return self._call("GET", f"/serving/{model}")

    def version(self, model: str, version: str) -> dict[str, Any]:
        return self._call("GET", f"/models/{model}/versions/{version}")

    def add_version(self, model: str, version: dict[str, Any]) -> None:
        self._call("POST", f"/models/{model}/versions", version)

    def store_verdict(self, model: str, version: str, verdict: dict[str, Any]) -> None:
        self._call("POST", f"/models/{model}/versions/{version}/verdict", {"verdict": verdict})

    def promote(self, model: str, version: str, reason: str, force: bool) -> None:
        self._call("POST", f"/models/{model}/promote", {"version": version, "reason": reason, "actor": self._actor, "force": force})

    def tell(self, workflow: str, status: str) -> None:
        self._call("POST", "/workflows/ended", {"workflow": workflow, "status": status})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise Failure(f"control does not answer at {self._url} ({reason}): is it running? PIPELINE_CONTROL_URL names it") from error
        if answer.is_success:
            found: dict[str, Any] = answer.json() if answer.content else {}
            return found
        try:
            detail = answer.json()["detail"]
        except (ValueError, KeyError, TypeError):
            detail = answer.text[:300]
        hint = ": PIPELINE_CONTROL_TOKEN must be control's CONTROL_TOKEN" if answer.status_code == httpx.codes.UNAUTHORIZED else ""
        final = answer.is_client_error and answer.status_code not in PASSING
        raise (Final if final else Failure)(f"control refused {method} {path} with {answer.status_code}: {detail}{hint}")
