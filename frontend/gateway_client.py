"""The gateway's endpoints that the dashboard uses, one method each. Errors are those of problems.py."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from frontend.problems import Away, SessionOver
from frontend.sessions import Session
from frontend.settings import settings
from frontend.wire import Wire, wire

Document = dict[str, Any]
Headers = dict[str, str]
T = TypeVar("T")


def _part(text: object) -> str:
    return quote(str(text), safe="")


def _given(query: Document) -> Document:
    return {name: value for name, value in query.items() if value is not None}


class Gateway:
    def __init__(self, session: Session, wired: Wire | None = None) -> None:
        self.session = session
        self._wire = wired or wire()

    # Platform

    def health(self) -> Document:
        """Also when it is not well: the gateway answers 503 then, with the same document. Raises Away for a 503 of somebody else."""
        found = self._wire.json("GET", "/health", also=503)
        if not {"database", "control", "runners"} <= found.keys():
            raise Away(str(found.get("detail", "The gateway is not well.")), 503)
        return found

    def openapi(self) -> Document:
        return self._wire.json("GET", "/openapi.json")

    # The own account

    def log_out(self) -> None:
        self._send("POST", "/auth/logout")

    def me(self) -> Document:
        return self._json("GET", "/auth/users/me")

    def change_password(self, current: str, new: str) -> None:
        self._send("PUT", "/auth/users/me", json={"current_password": current, "new_password": new})

    def api_keys(self) -> list[Document]:
        return list(self._json("GET", "/auth/api-keys")["api_keys"])

    def add_api_key(self, name: str, days: int | None) -> Document:
        return self._json("POST", "/auth/api-keys", json={"name": name, "expires_in_days": days})

    def revoke_api_key(self, key: str) -> None:
        self._send("DELETE", f"/auth/api-keys/{_part(key)}")

    # Users

    def users(self, cursor: str = "") -> Document:
        return self._json("GET", "/auth/users", limit=200, cursor=cursor or None)

    def sign_up(self, username: str, password: str, role: str) -> Document:
        return self._json("POST", "/auth/signup", json={"username": username, "password": password, "role": role})

    def set_role(self, username: str, role: str) -> Document:
        return self._json("PUT", f"/auth/users/{_part(username)}/role", json={"role": role})

    def set_active(self, username: str, active: bool) -> Document:
        return self._json("PUT", f"/auth/users/{_part(username)}/active", json={"active": active})

    def remove_user(self, username: str) -> None:
        self._send("DELETE", f"/auth/users/{_part(username)}")

    # Predictions

    def predict(self, model: str, row: Document) -> Document:
        return self._json("POST", f"/predict/{_part(model)}", json=row)

    def explain(self, model: str, row: Document) -> Document:
        return self._json("POST", f"/predict/{_part(model)}/explain", json=row)

    def explanation(self, prediction: str) -> Document:
        return self._json("GET", f"/predictions/{_part(prediction)}/explanation")

    def prediction(self, prediction: str) -> Document:
        return self._json("GET", f"/predictions/{_part(prediction)}")

    def lineage(self, prediction: str) -> Document:
        return self._json("GET", f"/predictions/{_part(prediction)}/lineage")

    def reproduction(self, prediction: str) -> Document:
        return self._json("GET", f"/predictions/{_part(prediction)}/reproduction")

    def proof(self, prediction: str) -> bytes:
        return self._send("GET", f"/predictions/{_part(prediction)}/proof").content

    def history(self, **filters: Any) -> Document:
        return self._json("GET", "/predict/history", **filters)

    def export(self, **filters: Any) -> Iterator[bytes]:
        """The history as CSV, as it comes."""
        return self._pieces("/predict/history/export", **filters)

    def add_outcome(self, prediction: str, value: float, note: str | None) -> Document:
        return self._json("POST", f"/predictions/{_part(prediction)}/outcome", json={"value": value, "note": note or None})

    def add_outcomes(self, table: bytes) -> Document:
        return self._json("POST", "/predictions/outcomes", content=table, headers={"Content-Type": "text/csv"})

    # Batches

    def batch(self, model: str, pieces: Iterator[bytes]) -> tuple[httpx.Headers, Iterator[bytes]]:
        """Uploads a CSV; a bad row is answered by an empty line with its reasons. The second part of the answer is the CSV, as it comes."""
        answers = self._streamed(
            "POST",
            f"/predict/{_part(model)}/batch",
            params={"on_error": "skip"},
            content=pieces,
            headers={"Content-Type": "text/csv", "Accept": "text/csv"},
            timeout=httpx.Timeout(settings().gateway_seconds * 8, connect=3.0),
        )
        answer = next(answers)
        assert isinstance(answer, httpx.Headers)  # noqa: S101 - tells mypy what _streamed gives first
        return answer, (piece for piece in answers if isinstance(piece, bytes))

    def batch_report(self, batch: str) -> bytes:
        return self._send("GET", f"/predict/batches/{_part(batch)}/report.pdf").content

    def prediction_report(self, prediction: str) -> bytes:
        return self._send("GET", f"/predictions/{_part(prediction)}/report.pdf").content

    def version_report(self, model: str, version: str) -> bytes:
        return self._send("GET", f"/models/{_part(model)}/versions/{_part(version)}/report.pdf").content

    # Models

    def models(self) -> list[Document]:
        return list(self._json("GET", "/models")["models"])

    def model(self, model: str) -> Document:
        return self._json("GET", f"/models/{_part(model)}")

    def versions(self, model: str) -> list[Document]:
        return list(self._json("GET", f"/models/{_part(model)}/versions")["versions"])

    def version(self, model: str, version: str) -> Document:
        return self._json("GET", f"/models/{_part(model)}/versions/{_part(version)}")

    def traffic(self, model: str) -> Document:
        return self._json("GET", f"/models/{_part(model)}/traffic")

    def ledger(self, model: str, cursor: str | None = None) -> Document:
        return self._json("GET", f"/models/{_part(model)}/ledger", limit=50, cursor=cursor)

    def promote(self, model: str, version: str, reason: str, force: bool) -> Document:
        return self._json("POST", f"/models/{_part(model)}/promote", json={"version": version, "reason": reason, "force": force})

    def roll_back(self, model: str, reason: str, *, policy_only: bool = False) -> Document:
        return self._json("POST", f"/models/{_part(model)}/rollback", json={"reason": reason, "policy_only": policy_only})

    def verify_ledger(self, model: str) -> Document:
        return self._json("GET", f"/models/{_part(model)}/ledger/verify")

    def at(self, model: str, moment: str) -> Document:
        return self._json("GET", f"/models/{_part(model)}/at", moment=moment)

    def shadow(self, model: str) -> Document:
        return self._json("GET", f"/models/{_part(model)}/shadow")

    def challenge(self, model: str, version: str, mode: str, reason: str, percent: int | None) -> Document:
        share = {} if percent is None else {"percent": percent}
        return self._json("POST", f"/models/{_part(model)}/challenger", json={"version": version, "mode": mode, "reason": reason} | share)

    def withdraw(self, model: str, reason: str) -> Document:
        return self._json("POST", f"/models/{_part(model)}/withdraw", json={"reason": reason})

    def set_policy(self, model: str, reason: str, **changes: Any) -> Document:
        return self._json("PUT", f"/models/{_part(model)}/policy", json=changes | {"reason": reason})

    def drift(self, model: str, limit: int) -> Document:
        return self._json("GET", f"/models/{_part(model)}/drift", limit=limit)

    def check_drift(self, model: str) -> Document:
        return self._json("POST", f"/models/{_part(model)}/drift", json={"reason": "asked for on the dashboard"})

    def evidently(self, model: str) -> Document:
        return self._json("POST", f"/models/{_part(model)}/drift/evidently", json={"reason": "asked for on the dashboard"})

    def evidently_page(self, model: str, run: str) -> bytes:
        return self._send("GET", f"/models/{_part(model)}/drift/evidently/{_part(run)}").content

    def performance(self, model: str) -> Document:
        return self._json("GET", f"/models/{_part(model)}/performance", limit=1)

    # Workflows

    def workflows(self, **filters: Any) -> Document:
        return self._json("GET", "/workflows", **filters)

    def workflow(self, run: str) -> Document:
        return self._json("GET", f"/workflows/{_part(run)}")

    def workflow_logs(self, run: str) -> str:
        return self._send("GET", f"/workflows/{_part(run)}/logs").text

    def stop_workflow(self, run: str) -> Document:
        return self._json("POST", f"/workflows/{_part(run)}/stop")

    def scored_part(self, model: str, mlflow_run: str, part: int, what: str) -> bytes:
        """`what`: answers, as Parquet, or refused, as CSV."""
        return self._send("GET", f"/models/{_part(model)}/scored/{_part(mlflow_run)}/parts/{part}/{what}").content

    def retrainings(self, model: str, limit: int) -> Document:
        """Decisions, newest first."""
        return self._json("GET", f"/models/{_part(model)}/retrainings", limit=limit)

    def start(self, verb: str, model: str, **parameters: Any) -> Document:
        """`verb`: train, score or predict."""
        return self._json("POST", f"/prediction/{verb}", json={"model": model} | parameters)

    # Crypto

    def assets(self) -> list[Document]:
        return list(self._json("GET", "/crypto/assets")["assets"])

    def add_asset(self, symbol: str) -> Document:
        return self._json("POST", "/crypto/assets", json={"symbol": symbol})

    def remove_asset(self, asset: int) -> None:
        self._send("DELETE", f"/crypto/assets/{_part(asset)}")

    def offered_assets(self, search: str) -> Document:
        return self._json("GET", "/crypto/kraken_assets", search=search, limit=50)

    def candles(self, asset: str, interval: int, begin: int | None, limit: int) -> Document:
        query: Document = {"interval": interval, "from": begin, "limit": limit}
        return self._json("GET", f"/crypto/asset_history/{_part(asset)}", **query)

    def forecast(self, asset: str, interval: int) -> Document:
        return self._json("POST", f"/crypto/forecasts/{_part(asset)}", interval=interval)

    def forecasts(self, asset: str, interval: int, limit: int) -> Document:
        return self._json("GET", f"/crypto/forecasts/{_part(asset)}", interval=interval, limit=limit)

    # How they are asked

    def _json(self, method: str, path: str, *, json: Any = None, content: bytes | None = None, headers: Headers | None = None, **query: Any) -> Document:
        """`query` without what is None."""
        return self._authorized(
            lambda bearer: self._wire.json(method, path, json=json, params=_given(query), content=content, headers=bearer | (headers or {}))
        )

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._authorized(lambda bearer: self._wire.send(method, path, headers=bearer, **options))

    def _authorized(self, ask: Callable[[Headers], T]) -> T:
        """Once more with a new token when the gateway does not take this one: it may have ended on the way, or the gateway has another secret now."""
        token = self.session.token(self._wire)
        try:
            return ask({"Authorization": f"Bearer {token}"})
        except SessionOver:
            return ask({"Authorization": f"Bearer {self.session.token(self._wire, spent=token)}"})

    def _streamed(self, method: str, path: str, *, headers: Headers | None = None, **options: Any) -> Iterator[httpx.Headers | bytes]:
        """First the headers, then pieces of the body. What is uploaded cannot be sent twice, so the token is renewed before and not after."""
        self.me()
        bearer = {"Authorization": f"Bearer {self.session.token(self._wire)}"}
        with self._wire.stream(method, path, headers=bearer | (headers or {}), **options) as answer:
            yield answer.headers
            yield from answer.iter_bytes(65536)

    def _pieces(self, path: str, **query: Any) -> Iterator[bytes]:
        return (piece for piece in self._streamed("GET", path, params=_given(query)) if isinstance(piece, bytes))
