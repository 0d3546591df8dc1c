"""What the small gateway answers with, in the shapes of the gateway."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

PART = {"ok": True, "words": "Answers."}
HEALTH = {
    "status": "ok",
    "database": PART | {"answers": True},
    "control": PART,
    "runners": {"loans": {"ok": True, "words": "Serves version 1.", "version": "1"}, "prices": PART},
}
SCHEMAS = {"loans": "Loan", "prices": "Window"}
EXAMPLES: dict[str, dict[str, Any]] = {
    "loans": {"purpose": "car", "income": 42000.0, "age": 41, "score": 0.4, "grade": 2, "insured": True, "employer": "ACME"},
    "prices": {"asset": "XBTUSD", "interval": 60, "timestamp": [3600 * i for i in range(24)], "close": [90000.0 + i for i in range(24)]},
}
LOAN = {
    "type": "object",
    "title": "Loan",
    "description": "What is known about a loan.",
    "additionalProperties": False,
    "properties": {
        "purpose": {"type": "string", "enum": ["car", "house", "other"], "title": "Purpose", "description": "What it pays for."},
        "income": {"type": "number", "minimum": 1, "maximum": 1_000_000, "title": "Income", "unit": "EUR a year", "description": "Of the client."},
        "age": {"type": "integer", "minimum": 18, "maximum": 100, "title": "Age", "description": "In years."},
        "score": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}], "title": "Outside score", "description": "0 (bad) to 1 (good)."},
        "grade": {"$ref": "#/components/schemas/Grade", "title": "Grade"},
        "insured": {"type": "boolean", "default": False, "title": "Insured", "description": "Whether somebody else would pay."},
        "employer": {"type": "string", "maxLength": 40, "title": "Employer", "description": "As in the contract."},
    },
    "required": ["purpose", "income", "age", "score", "grade", "employer"],
}
WINDOW = {
    "type": "object",
    "title": "Window",
    "description": "The newest candles.",
    "properties": {
        "asset": {"type": "string", "title": "Asset"},
        "interval": {"type": "integer", "enum": [60, 1440], "default": 60, "title": "Interval"},
        "timestamp": {"type": "array", "items": {"type": "integer"}, "title": "Open times"},
        "close": {"type": "array", "items": {"type": "number"}, "title": "Close"},
    },
    "required": ["asset", "timestamp", "close"],
}
PLATFORM = {
    "prediction_id": {"type": "string"},
    "model": {"type": "string"},
    "model_version": {"type": "string"},
    "policy_version": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
}
LOAN_ANSWER = {
    "prediction": {"type": "integer", "enum": [0, 1], "title": "Prediction"},
    "probability": {"type": "number", "title": "Probability", "description": "Of default, 0 to 1."},
    "decision": {"type": "string", "enum": ["granted", "refused"], "title": "Decision"},
    "risk_level": {"type": "string", "enum": ["low", "medium", "high"], "title": "Risk level"},
}
WINDOW_ANSWER = {
    name: {"type": "number", "title": title} for name, title in (("prediction", "Forecast"), ("naive", "Naive forecast"), ("forecast_for", "Forecast for"))
}


def _operation(model: str) -> dict[str, Any]:
    name = SCHEMAS[model]
    body = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}, "examples": {"example": {"value": EXAMPLES[model]}}}}
    answer = {"200": {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}Answer"}}}}}
    return {"post": {"summary": model.capitalize(), "description": "A model.", "requestBody": {"content": body}, "responses": answer}}


OPENAPI: dict[str, Any] = {
    "paths": {
        "/predict/loans": _operation("loans"),
        "/predict/loans/batch": {"post": {}},
        "/predict/prices": _operation("prices"),
        "/predict/history": {"get": {}},
        "/v2": {"get": {}},
    },
    "components": {
        "schemas": {
            "Loan": LOAN,
            "Window": WINDOW,
            "Grade": {"type": "integer", "enum": [1, 2, 3], "description": "1 (best) to 3."},
            "LoanAnswer": {"properties": LOAN_ANSWER | PLATFORM},
            "WindowAnswer": {"properties": WINDOW_ANSWER | PLATFORM},
        }
    },
}


def probability(row: dict[str, Any]) -> float:
    return 1 / (1 + math.exp(float(row["income"]) / 30_000 + float(row.get("score") or 0) - 1.5))


def output(model: str, row: dict[str, Any], threshold: float) -> dict[str, Any]:
    if model == "prices":
        return {"prediction": row["close"][-1] + 5.5, "naive": row["close"][-1], "forecast_for": 1_790_000_000}
    chance = probability(row)
    level = "high" if chance > 1.5 * threshold else "medium" if chance > 0.5 * threshold else "low"
    return {"prediction": int(chance >= threshold), "probability": chance, "decision": "refused" if chance >= threshold else "granted", "risk_level": level}


def explanation(model: str, row: dict[str, Any]) -> dict[str, Any]:
    answer = output(model, row, 0.2)
    common = {"model": model, "model_version": "1", "policy_version": 1, "method": "linear", "cached": False, "prediction": answer}
    if model == "prices":
        part = {"field": "close", "title": "Close", "unit": None, "value": row["close"], "contribution": 5.5}
        return common | {"scale": "value", "output_title": "move", "base_value": 0.0, "output": 5.5, "contributions": [part]}
    chance = answer["probability"]
    parts = [("income", -float(row["income"]) / 30_000), ("score", -float(row.get("score") or 0)), ("purpose", 0.2), ("age", -0.05)]
    schema: dict[str, Any] = LOAN["properties"]  # type: ignore[assignment]
    shown = [
        {"field": name, "title": schema[name]["title"], "unit": schema[name].get("unit"), "value": row.get(name), "contribution": value}
        for name, value in parts
    ]
    odds = math.log(chance / (1 - chance))
    return common | {
        "scale": "log-odds",
        "output_title": "log-odds of default",
        "base_value": odds - sum(value for _, value in parts),
        "output": odds,
        "contributions": shown,
    }


def _interval(value: float, wide: float) -> dict[str, float]:
    return {"value": value, "low": value - wide, "high": value + wide}


def metrics(model: str, version: str) -> dict[str, Any]:
    shift = 0.02 if version == "2" else 0.0
    if model == "prices":
        measured = {"rmse_ratio": _interval(0.98 - shift, 0.01), "mae": _interval(50.5, 3), "r2": _interval(0.99, 0.001), "mse": _interval(9195.4, 500)}
        return {
            "task": "regression",
            "cv": {},
            "groups": {},
            "remarks": [],
            "holdout": {"rows": 2000, "metrics": measured, "baseline": {"rmse_ratio": 1.0, "mae": 52.0}},
        }
    measured = {
        "roc_auc": _interval(0.77 + shift, 0.03),
        "brier": _interval(0.066, 0.008),
        "cost_per_row": _interval(0.52 - shift, 0.07),
        "recall": _interval(0.62, 0.06),
    }
    bins = [{"rows": 200, "predicted": 0.02 * k * k + 0.01, "observed": 0.019 * k * k + 0.012} for k in range(7)]
    groups = {name: {"roc_auc": _interval(0.75, 0.06), "brier": _interval(0.07, 0.01)} for name in ("under 30", "30 and over")}
    holdout = {"rows": 1400, "metrics": measured, "baseline": {"roc_auc": 0.5, "brier": 0.075, "cost_per_row": 0.81}}
    return {"task": "classification", "cv": {}, "groups": groups, "remarks": [], "calibration": bins, "threshold": 0.2, "holdout": holdout}


def model(name: str, champion: str, policy: dict[str, Any] | None) -> dict[str, Any]:
    replica = {"replica": f"{name}-0", "version": champion, "policy_version": 1, "engine": "native", "reported_at": _now(), "refused": []}
    title = {"loans": "Loans", "prices": "Prices"}[name]
    return {
        "name": name,
        "title": title,
        "summary": "Will it be paid back?" if name == "loans" else "Where does it go?",
        "owner": "team",
        "task": "classification" if policy else "regression",
        "champion": {"version": champion, "since": _now(), "by": "admin"},
        "policy": policy,
        "latest_version": "2",
        "metrics": metrics(name, champion),
        "replicas": [replica],
    }


def version(name: str, number: str, *, champion: bool) -> dict[str, Any]:
    passed = number == "1" or name == "prices"
    rules = [{"rule": "floor", "passed": True, "value": 0.77, "limit": 0.65, "words": "roc_auc 0.77, at least 0.65 is asked"}]
    rules.append({"rule": "improvement", "passed": passed, "value": 0.0, "limit": 0.01, "words": "0.00 better than the champion, 0.01 is asked"})
    common = {
        "version": number,
        "created_at": _now(),
        "run_id": "r",
        "artifact": "a",
        "sha256": "0" * 64,
        "source": "synthetic",
        "engine": "native",
        "data_hash": "0" * 64,
        "policy": None,
    }
    return common | {
        "metrics": metrics(name, number),
        "verdict": {"passed": passed, "rules": rules},
        "champion": champion,
        "mlflow_url": f"http://127.0.0.1:5000/#/models/{name}/versions/{number}",
    }


CURVES = {
    "curves": {"roc": [{"false_alarms": 0.0, "found": 0.0}, {"false_alarms": 0.2, "found": 0.7}, {"false_alarms": 1.0, "found": 1.0}]},
    "importance": [{"feature": "income", "loss": 0.12}, {"feature": "score", "loss": 0.05}],
}


def entry(action: str, before: str | None, after: str, reason: str) -> dict[str, Any]:
    return {
        "id": 1,
        "action": action,
        "from_version": before,
        "to_version": after,
        "from_policy": None,
        "to_policy": 1,
        "actor": "admin",
        "reason": reason,
        "verdict": {"passed": True, "rules": []},
        "created_at": _now(),
        "hash": "ab" * 32,
        "verification": {"complete": True, "seconds": 0.42, "replicas": [], "verified_at": _now()},
    }


CHECKED = {"model": "loans", "rows": 2, "ok": True, "head": "ab" * 32, "broken": [], "known": None}


def then(model: str, version: str, moment: str) -> dict[str, Any]:
    put = entry("promote", None, version, "first training")
    about = {"policy_version": 1, "threshold": 0.2, "data_hash": "d" * 64, "source": "synthetic", "since": _now(), "actor": "admin", "reason": "first training"}
    return about | {"model": model, "moment": moment, "version": version, "deployment": put, "policy_deployment": put, "challenger": None, "canary_percent": 0}


def lineage(row: dict[str, Any]) -> dict[str, Any]:
    put, policy = entry("promote", None, row["model_version"], "first training"), None
    if row["policy_version"] is not None:
        policy = {"version": 1, "threshold": 0.2, "costs": {}, "risk_levels": {}, "actor": "admin", "reason": "first training", "created_at": _now()}
    about = {"version": version(row["model"], row["model_version"], champion=True), "code_revision": "c0ffee" * 6, "policy": policy, "head": "ab" * 32}
    return about | {"prediction": row, "deployment": put, "policy_deployment": put if policy else None}


def reproduction(row: dict[str, Any], *, exact: bool) -> dict[str, Any]:
    differences = [] if exact else [{"field": "score", "stored": row["score"], "reproduced": 0.5}]
    run = {"engine": "gtil", "way": "rows", "exact": exact, "differences": differences}
    words = "Bit for bit the same, by gtil (rows)." if exact else "The answer is not reproduced: score differ."
    return {"exact": exact, "words": words, "artifact_sha256": "e" * 64, "runs": [run]}


def shadow(trial: dict[str, Any]) -> dict[str, Any]:
    """Version 2 beside version 1 on 400 rows."""
    share = {"rows": 400, "flips": 20, "share": 0.05, "low": 0.03, "high": 0.08}
    cost = {"rows": 200, "champion": 0.5, "challenger": 0.45, "difference": -0.05, "low": -0.1, "high": -0.01}
    bounds = [None, 0.1, 0.5, None]
    score = {
        **{"rows": 400, "champion_mean": 0.2, "challenger_mean": 0.22, "champion_sd": 0.1, "challenger_sd": 0.1, "shift": 0.02, "low": 0.01, "high": 0.03},
        **{"psi": 0.02, "ks": 0.05},
        "bins": [{"from": bounds[i], "to": bounds[i + 1], "champion": 130, "challenger": 120 + 10 * i} for i in range(3)],
    }
    report = {
        "rows": 400,
        "errors": {"rows": 0, "share": 0.0, "low": 0.0, "high": 0.01, "examples": []},
        "flips": share | {"to_positive": 15, "to_negative": 5},
        "segments": [{"feature": "purpose", "segment": "car"} | share | {"share": 0.07}, {"feature": "age", "segment": "below 30"} | share],
        "score": score,
        "cost": {"known": cost, "expected": None},
        "latency": {"rows": 40, "champion_us": {"p50": 30, "p99": 50}, "challenger_us": {"p50": 36, "p99": 60}, "ratio": 1.2},
        "champion": "1",
    }
    live = [{"version": one, "rows": 100, "failed": 0, "mean_score": 0.2, "latency_ms": {"p50": 1.0, "p99": 4.0}} for one in ("1", trial["version"])]
    rule = {"rule": "flips", "state": "passed", "value": 0.05, "limit": 0.3, "words": "5.0% of the rows decided otherwise"}
    return {
        "model": "loans",
        "version": trial["version"],
        "trial": {"version": trial["version"], "champion": "1", "since": _now(), "shadow_percent": 100, "canary_percent": trial["percent"]},
        "scored": 400,
        "failed": 0,
        "made_at": _now(),
        "report": report,
        "live": live,
        "judgement": {"verdict": "promote", "rules": [rule]},
    }


def run(kind: str, name: str, status: str, began: datetime) -> dict[str, Any]:
    ended = status == "succeeded"
    steps = []
    for position, step in enumerate(("ingest", "validate", "train", "evaluate", "register", "promote")):
        done = ended or position < 2
        begin = began + timedelta(seconds=4 * position)
        state = "succeeded" if done else "running" if position == 2 else "queued"
        steps.append(
            {
                "name": step,
                "status": state,
                "started_at": begin.isoformat() if state != "queued" else None,
                "finished_at": (begin + timedelta(seconds=4)).isoformat() if done else None,
                "exit_code": 0 if done else None,
                "result": {},
            }
        )
    result = {"run_id": "r", "version": "1", "promoted": True, "verdict": {"passed": True, "rules": []}} if ended else None
    times = {"created_at": began.isoformat(), "started_at": began.isoformat(), "finished_at": (began + timedelta(seconds=24)).isoformat() if ended else None}
    return {
        "id": str(uuid4()),
        "kind": kind,
        "model": name,
        "parameters": {},
        "reason": "first training",
        "actor": "admin",
        "status": status,
        "steps": steps,
        "result": result,
        "error": None,
    } | times


def _now() -> str:
    return datetime.now(UTC).isoformat()


def retraining(decision: str, rule: str | None, times: int) -> dict[str, Any]:
    why = "the last retraining began 5 minutes ago, and there is one in 60 minutes at most" if rule else "number 1 of 4 within 24 hours"
    moment = datetime.now(UTC).isoformat()
    about = {"model": "loans", "reason": "drift", "decision": decision, "rule": rule, "why": why, "detail": {}, "actor": "retraining"}
    return about | {"id": times, "run_id": None if rule else str(uuid4()), "created_at": moment, "last_at": moment, "times": times}
