"""Control as the steps see it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson

from services.pipeline.failure import Failure, Final

PASSING = frozenset({408, 425, 429})
"""Refusals that end by themselves."""
SECONDS = 30.0


class Control:
    def __init__(self, url: str, token: str, actor: str) -> None:
        self._url, self._actor = url, actor
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=SECONDS)

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

    def challenge(self, model: str, version: str, reason: str) -> None:
        self._call("POST", f"/models/{model}/challenger", {"version": version, "mode": "shadow", "reason": reason, "actor": self._actor})

    def tell(self, workflow: str, status: str) -> None:
        self._call("POST", "/workflows/ended", {"workflow": workflow, "status": status})

    def archives(self) -> list[str]:
        """Names of what is collected for training, such as XBTUSD_60."""
        return [str(one["name"]) for one in self._call("GET", "/market/archives")["archives"]]

    def archive(self, name: str, folder: Path) -> Path:
        path = folder / f"{name}.csv"
        path.write_bytes(self._ask("GET", f"/market/archives/{name}.csv").content)
        return path

    def audit(self, model: str, **wanted: Any) -> Iterator[dict[str, Any]]:
        """Answered rows with their outcomes where there are any, oldest first, or newest first with `newest`; `wanted` is the query of GET /audit/{model}.

        {id, at, version, policy, score, decision, latency_ms, batch, username, input, output, outcome, outcome_at}, moments in UNIX seconds.
        """
        query = {name: str(value) for name, value in wanted.items() if value is not None}
        try:
            with self._client.stream("GET", f"/audit/{model}", params=query, timeout=httpx.Timeout(600, connect=10)) as answer:
                if not answer.is_success:
                    answer.read()
                    raise self._refusal("GET", f"/audit/{model}", answer)
                for line in answer.iter_lines():
                    yield orjson.loads(line)
        except httpx.HTTPError as error:
            raise self._away(error) from error

    def add_drift(self, model: str, document: dict[str, Any]) -> dict[str, Any]:
        """{id}"""
        return self._call("POST", f"/models/{model}/drift", document)

    def add_performance(self, model: str, document: dict[str, Any]) -> dict[str, Any]:
        """{id}"""
        return self._call("POST", f"/models/{model}/performance", document)

    def add_scored(self, model: str, part: dict[str, Any]) -> dict[str, Any]:
        """What control keeps of a part, from the first time that it was told."""
        return self._call("POST", f"/models/{model}/scored", part)

    def scored(self, model: str, run_id: str) -> list[dict[str, Any]]:
        """The parts of a run that are done."""
        found: list[dict[str, Any]] = []
        after: int | None = -1
        while after is not None:
            page = self._call("GET", f"/models/{model}/scored/{run_id}?after={after}&limit=1000")
            found, after = found + page["parts"], page["next"]
        return found

    def answered(self, model: str, since: str) -> list[dict[str, Any]]:
        """By version and day (UTC) how many rows were answered, and of how many the outcome is known: {version, day, answered, known}."""
        return list(self._ask("GET", f"/models/{model}/answered?{urlencode({'since': since})}", seconds=130).json()["days"])

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._ask(method, path, body)
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, seconds: float = SECONDS) -> httpx.Response:
        try:
            answer = self._client.request(method, path, json=body, timeout=seconds)
        except httpx.HTTPError as error:
            raise self._away(error) from error
        if answer.is_success:
            return answer
        raise self._refusal(method, path, answer)

    def _away(self, error: httpx.HTTPError) -> Failure:
        reason = str(error) or type(error).__name__
        return Failure(f"control does not answer at {self._url} ({reason}): is it running? PIPELINE_CONTROL_URL names it")

    def _refusal(self, method: str, path: str, answer: httpx.Response) -> Failure:
        try:
            detail = answer.json()["detail"]
        except (ValueError, KeyError, TypeError):
            detail = answer.text[:300]
        hint = ": PIPELINE_CONTROL_TOKEN must be control's CONTROL_TOKEN" if answer.status_code == httpx.codes.UNAUTHORIZED else ""
        final = answer.is_client_error and answer.status_code not in PASSING
        return (Final if final else Failure)(f"control refused {method} {path} with {answer.status_code}: {detail}{hint}")
