"""A small gateway with two models that nobody has heard of; serving.py puts it on a port."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from tests.frontend import documents, drift, market

ROLES = ("viewer", "analyst", "engineer", "admin")
PASSWORD = "correct horse battery"
Answer = tuple[int, Any]


class Problem(Exception):
    def __init__(self, status: int, detail: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors


class FakeGateway:
    """`missing`: beginnings of paths that are not offered. `away`: the status with which everything below such a beginning is refused."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        self.users = {role: {"username": role, "role": role, "active": True, "created_at": now.isoformat()} for role in ROLES}
        self.users["admin"]["username"] = "admin"
        self.tokens: dict[str, str] = {}
        self.refresh_tokens: dict[str, str] = {}
        self.keys: list[dict[str, Any]] = []
        self.predictions: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = [documents.run("train", "loans", "succeeded", now - timedelta(hours=3))]
        self.champions = {"loans": "1", "prices": "1"}
        self.trial: dict[str, Any] | None = None
        self.policy = {"threshold": 0.2, "costs": {"missed_positive": 5.0, "false_alarm": 1.0}, "risk_levels": {"medium": 0.5, "high": 1.5}, "version": 1}
        self.ledger = [documents.entry("promote", None, "1", "first training")]
        self.retrainings = [documents.retraining("submitted", None, 1), documents.retraining("refused", "cooldown", 37)]
        self.assets = [market.asset("XBTUSD", "XBT/USD")]
        self.traffic = {"since": now.isoformat(), "rows": {"1": 196}, "calls": {"answered": 98, "late": 2}}
        self.checked: dict[str, Any] = documents.CHECKED
        self.exact = True
        self.checks = [drift.report(2, alarm=True), drift.report(1, alarm=False)]
        self.missing: set[str] = set()
        self.away: dict[str, int] = {}
        self.lives = 3600
        self.refreshes = 0
        self.asked: list[tuple[str, str]] = []
        self.url = ""

    # What the tests look at and set

    def issue(self, username: str) -> dict[str, Any]:
        access, refresh = uuid4().hex, uuid4().hex
        self.tokens[access] = self.refresh_tokens[refresh] = username
        return {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "bearer",
            "expires_in": self.lives,
            "username": username,
            "role": self.users[username]["role"],
        }

    def seed(self, count: int, model: str = "loans") -> None:
        for number in range(count):
            row = documents.EXAMPLES[model] | ({"income": 20_000 + 900 * number} if model == "loans" else {})
            self._record(model, row, ("viewer", "analyst")[number % 2])

    # The endpoints

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes, token: str) -> Answer:
        self.asked.append((method, path))
        for beginning, status in self.away.items():
            if path.startswith(beginning):
                raise Problem(status, "The runner of this model cannot be reached.")
        if any(path.startswith(beginning) for beginning in self.missing):
            raise Problem(404, f"There is nothing at {path}.")
        if path == "/health":
            return 200, documents.HEALTH
        if path == "/openapi.json":
            return 200, documents.OPENAPI
        if path in ("/auth/login", "/auth/refresh"):
            return 200, self._enter(path, json.loads(body))
        if token not in self.tokens or not self.users.get(self.tokens[token], {}).get("active"):
            raise Problem(401, "The access token is not valid.")
        who = self.users[self.tokens[token]]
        for verb, pattern, least, act in self._table():
            match = re.fullmatch(pattern, path)
            if verb == method and match:
                if ROLES.index(who["role"]) < ROLES.index(least):
                    raise Problem(403, f"{method} {path} needs the role {least} or a higher one; you are {who['role']}.")
                return act(*match.groups(), query=query, body=body, who=who, token=token)
        raise Problem(404, f"There is nothing at {path}.")

    def _enter(self, path: str, given: dict[str, str]) -> dict[str, Any]:
        if path == "/auth/refresh":
            self.refreshes += 1
            username = self.refresh_tokens.pop(given["refresh_token"], None)
            if username is None:
                raise Problem(401, "The refresh token is not valid: log in again.")
            return self.issue(username)
        if given["username"] not in self.users or given["password"] != PASSWORD:
            raise Problem(401, "User name or password is wrong, or the account is closed.")
        return self.issue(given["username"])

    def _table(self) -> Iterator[tuple[str, str, str, Callable[..., Answer]]]:
        name = r"([^/]+)"
        yield "POST", "/auth/logout", "viewer", lambda *, token, **_: (204, self.tokens.pop(token) and None)
        yield "GET", "/auth/users/me", "viewer", lambda *, who, **_: (200, who)
        yield "PUT", "/auth/users/me", "viewer", self._password
        yield "GET", "/auth/api-keys", "viewer", lambda **_: (200, {"api_keys": self.keys})
        yield "POST", "/auth/api-keys", "viewer", self._add_key
        yield "DELETE", f"/auth/api-keys/{name}", "viewer", self._revoke
        yield "GET", "/auth/users", "admin", lambda **_: (200, {"users": list(self.users.values()), "next": None})
        yield "POST", "/auth/signup", "admin", self._sign_up
        yield "PUT", f"/auth/users/{name}/role", "admin", self._change_user
        yield "PUT", f"/auth/users/{name}/active", "admin", self._change_user
        yield "DELETE", f"/auth/users/{name}", "admin", lambda username, **_: (204, self.users.pop(username) and None)
        yield "POST", f"/predict/{name}", "viewer", self._predict
        yield "POST", f"/predict/{name}/explain", "analyst", lambda model, *, body, **_: (200, documents.explanation(model, json.loads(body)))
        yield "POST", f"/predict/{name}/batch", "analyst", self._batch
        yield "GET", "/predict/history", "viewer", self._history
        yield (
            "GET",
            "/predict/history/export",
            "analyst",
            lambda **_: (200, b"prediction_id,score\r\n" + b"".join(f"{one['prediction_id']},{one['score']}\r\n".encode() for one in self.predictions)),
        )
        yield (
            "GET",
            f"/predictions/{name}/explanation",
            "viewer",
            lambda key, **_: (200, documents.explanation(self._one(key)["model"], self._one(key)["input"])),
        )
        yield "GET", f"/predictions/{name}", "viewer", lambda key, **_: (200, self._one(key))
        yield "POST", f"/predictions/{name}/outcome", "analyst", self._outcome
        yield "POST", "/predictions/outcomes", "analyst", lambda *, body, **_: (200, {"recorded": body.count(b"\n") - 1, "rejected": []})
        yield "GET", f"/predictions/{name}/report.pdf", "viewer", lambda *_, **__: (200, b"%PDF-1.7 a prediction")
        yield "GET", f"/predict/batches/{name}/report.pdf", "analyst", lambda *_, **__: (200, b"%PDF-1.7 a batch")
        yield "GET", f"/models/{name}/versions/{name}/report.pdf", "analyst", lambda *_, **__: (200, b"%PDF-1.7 a version")
        yield "GET", "/models", "viewer", lambda **_: (200, {"models": [self._model(one) for one in self.champions], "next": None})
        yield "GET", f"/models/{name}", "viewer", lambda model, **_: (200, self._model(model))
        yield (
            "GET",
            f"/models/{name}/versions",
            "viewer",
            lambda model, **_: (200, {"versions": [self._version(model, one) for one in ("2", "1")], "next": None}),
        )
        yield "GET", f"/models/{name}/versions/{name}", "viewer", lambda model, version, **_: (200, self._version(model, version) | documents.CURVES)
        yield "GET", f"/models/{name}/traffic", "viewer", lambda model, **_: (200, self.traffic | {"model": model})
        yield "GET", f"/models/{name}/ledger", "viewer", lambda *_, **__: (200, {"entries": self.ledger[::-1], "next": None})
        yield "GET", f"/models/{name}/ledger/verify", "viewer", lambda *_, **__: (200, self.checked)
        yield "GET", f"/models/{name}/at", "viewer", lambda model, *, query, **_: (200, documents.then(model, self.champions[model], query["moment"]))
        yield "GET", f"/predictions/{name}/lineage", "viewer", lambda key, **_: (200, documents.lineage(self._one(key)))
        yield "GET", f"/predictions/{name}/reproduction", "viewer", lambda key, **_: (200, documents.reproduction(self._one(key), exact=self.exact))
        yield "GET", f"/predictions/{name}/proof", "viewer", lambda *_, **__: (200, b"PK a proof")
        yield "GET", f"/models/{name}/drift", "viewer", lambda model, **_: (200, {"reports": self.checks if model == "loans" else [], "next": None})
        yield "POST", f"/models/{name}/drift", "analyst", self._check
        yield "GET", f"/models/{name}/performance", "viewer", lambda model, **_: (200, {"reports": [drift.performance(model)], "next": None})
        yield "POST", f"/models/{name}/(promote|rollback)", "engineer", self._decide
        yield "GET", f"/models/{name}/shadow", "viewer", self._shadow
        yield "POST", f"/models/{name}/challenger", "engineer", self._challenge
        yield "POST", f"/models/{name}/withdraw", "engineer", self._withdraw
        yield "PUT", f"/models/{name}/policy", "engineer", self._set_policy
        yield (
            "GET",
            "/workflows",
            "viewer",
            lambda *, query, **_: (200, {"workflows": [run for run in self.runs if query.get("model") in (None, run["model"])], "next": None}),
        )
        yield (
            "GET",
            f"/models/{name}/retrainings",
            "viewer",
            lambda key, **_: (
                200,
                {"retrainings": self.retrainings if key == "loans" else [], "next": None},
            ),
        )
        yield "POST", f"/models/{name}/drift/evidently", "analyst", self._evidently
        yield "GET", f"/models/{name}/drift/evidently/{name}", "viewer", lambda *_, **__: (200, b"<html>drift</html>")
        yield "GET", f"/models/{name}/scored/{name}/parts/{name}/(answers|refused)", "analyst", self._part
        yield "GET", f"/workflows/{name}", "viewer", lambda key, **_: (200, next(run for run in self.runs if run["id"] == key))
        yield "GET", f"/workflows/{name}/logs", "analyst", lambda *_, **__: (200, b"ingest: 12000 rows\ntrain: done\n")
        yield "POST", f"/workflows/{name}/stop", "engineer", self._stop
        yield "POST", "/prediction/train", "engineer", self._start
        yield "POST", "/prediction/(?:score|predict)", "analyst", self._start
        yield "GET", "/crypto/assets", "viewer", lambda **_: (200, {"assets": self.assets})
        yield "POST", "/crypto/assets", "admin", self._add_asset
        yield "DELETE", f"/crypto/assets/{name}", "admin", self._remove_asset
        yield "GET", "/crypto/kraken_assets", "viewer", lambda *, query, **_: (200, market.pairs(query.get("search", "")))
        yield "GET", f"/crypto/asset_history/{name}", "viewer", lambda asset, *, query, **_: (200, market.candles(asset, int(query["interval"])))
        yield "POST", f"/crypto/forecasts/{name}", "viewer", lambda *_, query, **__: (201, market.forecast(int(query["interval"])))
        yield "GET", f"/crypto/forecasts/{name}", "viewer", lambda *_, query, **__: (200, market.forecasts(int(query["interval"])))

    def _password(self, *, body: bytes, **_: Any) -> Answer:
        if json.loads(body)["current_password"] != PASSWORD:
            raise Problem(409, "The current password is wrong.")
        return 204, None

    def _add_key(self, *, body: bytes, **_: Any) -> Answer:
        made = {"id": str(uuid4()), "name": json.loads(body)["name"], "prefix": "0a1b2c3d", "created_at": _now(), "expires_at": None, "last_used_at": None}
        self.keys.append(made)
        return 201, made | {"key": "my_0a1b2c3d_once"}

    def _revoke(self, key: str, **_: Any) -> Answer:
        self.keys = [one for one in self.keys if one["id"] != key]
        return 204, None

    def _sign_up(self, *, body: bytes, **_: Any) -> Answer:
        given = json.loads(body)
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,62}", given["username"]):
            raise Problem(422, "1 field error: see `errors`.", [{"field": "username", "rule": "String should match the pattern", "value": given["username"]}])
        self.users[given["username"]] = {"username": given["username"], "role": given["role"], "active": True, "created_at": _now()}
        return 201, self.users[given["username"]]

    def _change_user(self, username: str, *, body: bytes, **_: Any) -> Answer:
        self.users[username] |= json.loads(body)
        return 200, self.users[username]

    def _predict(self, model: str, *, body: bytes, who: dict[str, Any], **_: Any) -> Answer:
        row = json.loads(body)
        schema = documents.OPENAPI["components"]["schemas"][documents.SCHEMAS[model]]
        missing = [name for name in schema["required"] if name not in row]
        if missing:
            raise Problem(422, f"{len(missing)} field errors: see `errors`.", [{"field": name, "rule": "Field required", "value": None} for name in missing])
        stored = self._record(model, row, who["username"])
        return 200, stored["output"] | {name: stored[name] for name in ("prediction_id", "model", "model_version", "policy_version")}

    def _record(self, model: str, row: dict[str, Any], username: str, batch: str | None = None, number: int | None = None) -> dict[str, Any]:
        output = documents.output(model, row, self.policy["threshold"])
        made = datetime.now(UTC)
        stored = {
            "prediction_id": str(UUID(int=(int(made.timestamp() * 1000) << 80) | uuid4().int % (1 << 80))),
            "created_at": made.isoformat(),
            "username": username,
            "request_id": uuid4().hex,
            "batch_id": batch,
            "row_number": number,
            "model": model,
            "model_version": self.champions[model],
            "policy_version": self.policy["version"] if model == "loans" else None,
            "input": row,
            "output": output,
            "score": output.get("probability", output["prediction"]),
            "decision": output.get("decision"),
            "latency_ms": 3.2 + len(self.predictions) % 7,
            "outcome": None,
        }
        self.predictions.append(stored)
        return stored

    def _one(self, key: str) -> dict[str, Any]:
        found = [one for one in self.predictions if one["prediction_id"] == key]
        if not found:
            raise Problem(404, f"There is no prediction {key}, or it is not yours.")
        return found[0]

    def _batch(self, model: str, *, body: bytes, who: dict[str, Any], **_: Any) -> Answer:
        header, *lines = body.decode().split()
        batch = str(uuid4())
        told = ["prediction_id,prediction,probability,decision,risk_level,model_version,policy_version,error"]
        for number, line in enumerate(lines):
            row = dict(zip(header.split(","), line.split(","), strict=False))
            if not row["income"].replace(".", "").isdigit():
                told.append(f',,,,,,,"income: Input should be a valid number (given: {row["income"]})"')
                continue
            made = self._record(model, row | {"income": float(row["income"])}, who["username"], batch, number)
            out = made["output"]
            told.append(f"{made['prediction_id']},{out['prediction']},{out['probability']},{out['decision']},{out['risk_level']},1,1,")
        return 200, (("\r\n".join(told) + "\r\n").encode(), {"X-Batch-ID": batch})

    def _history(self, *, query: dict[str, str], who: dict[str, Any], **_: Any) -> Answer:
        found = [one for one in reversed(self.predictions) if who["role"] != "viewer" or one["username"] == who["username"]]
        for name in ("model", "username", "decision", "batch_id", "request_id"):
            found = [one for one in found if query.get(name) in (None, one[name])]
        if "outcome" in query:
            found = [one for one in found if (one["outcome"] is not None) == (query["outcome"] == "known")]
        begin = next((number + 1 for number, one in enumerate(found) if one["prediction_id"] == query.get("cursor")), 0)
        page = found[begin : begin + int(query["limit"])]
        return 200, {"predictions": page, "next": page[-1]["prediction_id"] if begin + len(page) < len(found) else None}

    def _outcome(self, key: str, *, body: bytes, who: dict[str, Any], **_: Any) -> Answer:
        row = self._one(key)
        corrects = row["outcome"] is not None
        row["outcome"] = {"value": json.loads(body)["value"], "recorded_at": _now(), "actor": who["username"]}
        return 201, row["outcome"] | {"prediction_id": key, "note": None, "corrects": corrects}

    def _model(self, model: str) -> dict[str, Any]:
        return documents.model(model, self.champions[model], self.policy if model == "loans" else None)

    def _version(self, model: str, version: str) -> dict[str, Any]:
        return documents.version(model, version, champion=self.champions[model] == version)

    def _decide(self, model: str, action: str, *, body: bytes, **_: Any) -> Answer:
        given = json.loads(body)
        if len(given["reason"]) < 3:
            raise Problem(
                422, "1 field error: see `errors`.", [{"field": "reason", "rule": "String should have at least 3 characters", "value": given["reason"]}]
            )
        before, self.champions[model] = self.champions[model], given.get("version") or "1"
        self.ledger.append(documents.entry(action, before, self.champions[model], given["reason"]))
        self.trial = None
        return 200, self.ledger[-1]

    def _shadow(self, model: str, **_: Any) -> Answer:
        if self.trial is None or model != "loans":
            raise Problem(404, f"No version of {model} is being tried, and none was before.")
        return 200, documents.shadow(self.trial)

    def _challenge(self, _model: str, *, body: bytes, **_: Any) -> Answer:
        given = json.loads(body)
        if len(given["reason"]) < 3:
            raise Problem(422, "1 field error.", [{"field": "reason", "rule": "String should have at least 3 characters", "value": given["reason"]}])
        self.trial = {"version": given["version"], "percent": given.get("percent", 0) if given["mode"] == "canary" else 0}
        shares = {"challenger": given["version"], "shadow_percent": 100, "canary_percent": self.trial["percent"]}
        self.ledger.append(documents.entry(given["mode"], "1", "1", given["reason"]) | shares | {"verdict": None})
        return 200, self.ledger[-1]

    def _withdraw(self, _model: str, *, body: bytes, **_: Any) -> Answer:
        self.trial = None
        self.ledger.append(documents.entry("withdraw", "1", "1", json.loads(body)["reason"]))
        return 200, self.ledger[-1]

    def _set_policy(self, _model: str, *, body: bytes, **_: Any) -> Answer:
        given = json.loads(body)
        self.ledger.append(documents.entry("policy", "1", "1", given.pop("reason")))
        self.policy = self.policy | given | {"version": self.policy["version"] + 1}
        return 200, self.ledger[-1]

    def _start(self, *, body: bytes, **_: Any) -> Answer:
        given = json.loads(body)
        self.runs.insert(0, documents.run("train", given["model"], "running", datetime.now(UTC)) | {"parameters": given})
        return 202, self.runs[0]

    def _evidently(self, model: str, **_: Any) -> Answer:
        self.runs.insert(0, documents.run("evidently", model, "succeeded", datetime.now(UTC)) | {"result": {"artifact": "a", "words": "1 of 17"}})
        return 202, self.runs[0]

    def _part(self, _model: str, _run: str, part: str, what: str, **_: Any) -> Answer:
        if what == "refused" and part != "1":
            raise Problem(404, f"No row of part {part} was refused.")
        return 200, f"{what} of part {part}".encode()

    def _check(self, model: str, **_: Any) -> Answer:
        self.runs.insert(0, documents.run("drift", model, "succeeded", datetime.now(UTC)))
        self.checks.insert(0, drift.report(3, alarm=False))
        return 202, self.runs[0]

    def _stop(self, key: str, **_: Any) -> Answer:
        run = next(run for run in self.runs if run["id"] == key)
        run["status"] = "stopped"
        return 200, run

    def _add_asset(self, *, body: bytes, **_: Any) -> Answer:
        symbol = json.loads(body)["symbol"]
        self.assets.append(market.asset(symbol, f"{symbol[:3]}/USD", len(self.assets) + 1))
        return 201, self.assets[-1]

    def _remove_asset(self, key: str, **_: Any) -> Answer:
        self.assets = [one for one in self.assets if str(one["id"]) != key]
        return 204, None


def _now() -> str:
    return datetime.now(UTC).isoformat()
