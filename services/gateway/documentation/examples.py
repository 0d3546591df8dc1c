"""Examples for every operation, made from its schemas: a field's name says what belongs there, its schema what is allowed."""

from collections.abc import Mapping
from typing import Any

ID = "01939a2b-7c4d-7e8f-9a0b-1c2d3e4f5a6b"
MOMENT = "2026-11-21T14:03:07.120000Z"

SAID: Mapping[str, Any] = {
    **{"username": "ada", "actor": "ada", "by": "ada", "owner": "the ground team", "password": "correct horse battery"},
    **{"name": "nightly job", "current_password": "correct horse battery", "new_password": "even more correct horses"},
    **{"role": "analyst", "key": "my_3fK9_exampleexampleexampleexample", "prefix": "my_3fK9"},
    **{"access_token": "eyJhbGciOiJIUzI1NiJ9.e30.signature", "refresh_token": "6h2k-example", "expires_in": 900, "expires_in_days": 90},
    **{"version": "7", "model_version": "7", "latest_version": "7", "from_version": "6", "to_version": "7", "policy_version": 2},
    **{"from_policy": 2, "to_policy": 2, "reason": "better on the hold-out", "note": "left in May", "detail": "There is no model none."},
    **{"request_id": "6f1c0e5a9d8b47c2a3e4f5061728394a", "title": "Flight delay", "summary": "Will this flight be late?"},
    **{"task": "classification", "engine": "gtil", "source": "synthetic", "metric": "roc_auc", "value": 1},
    **{"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "data_hash": "2c26b46b68ffc68f", "run_id": ID},
    **{"replica": "runner-0", "artifact": "1/6f1c0e5a/artifacts/model"},
    **{"mlflow_url": "http://mlflow:5000/#/experiments/1/runs/6f1c0e5a", "probability": 0.18, "score": 0.18, "latency_ms": 4.2},
    **{"metrics": {"holdout": {"rows": 1200, "metrics": {"roc_auc": {"value": 0.81, "low": 0.78, "high": 0.84}}, "baseline": {"roc_auc": 0.5}}}},
    **{"costs": {"missed_positive": 5.0, "false_alarm": 1.0}, "risk_levels": {"medium": 0.5, "high": 1.5}, "threshold": 0.17},
    **{"verdict": {"passed": True, "rules": []}, "parameters": {"rows": 6000, "seed": 7}, "result": {"version": "7", "promoted": True}},
    **{"kind": "train", "rows": 6000, "seed": 7, "drift": 0.5, "exit_code": 0, "input": {"age": 41}},
    **{"output": {"prediction": 0, "probability": 0.18, "decision": "stays", "risk_level": "low"}, "decision": "stays"},
    **{"data_dir": None, "recorded": 2, "corrected": 0, "rejected": [], "corrects": False, "errors": None, "error": None, "next": None},
    **{"cursor": None, "outcome": None, "refused": [], "row_number": None, "batch_id": None, "symbol": "XBTUSD", "asset": "XBTUSD"},
    **{"interval": 60, "price": "98765.4", "from": "2026-11-01T00:00:00Z", "to": None, "partitions": None, "finished_at": None},
    **{"status": "ok", "challenger": None, "challenger_policy": None, "shadow_percent": 0, "canary_percent": 0},
    **dict.fromkeys(("hash", "head", "known", "artifact_sha256"), "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456"),
    **{"code_revision": "1f0c9b2e7d4a5c6b8e9f00112233445566778899", "words": "Bit for bit the same, by gtil (rows).", "broken": [], "ok": True},
    **{"address": "10.0.3.17:3000", "seconds": 0.42, "way": "rows", "differences": [], "exact": True},
}
"""By name of field or parameter; taken where the schema allows it."""
FORMATS: Mapping[str, Any] = {"uuid": ID, "date-time": MOMENT, "password": "correct horse battery", "binary": "", "uri": "https://example.com"}


class Sampler:
    def __init__(self, schemas: Mapping[str, Any], model: str) -> None:
        """`model`: one that there is."""
        self._schemas = schemas
        self._said = {**SAID, "model": model}

    def of(self, schema: Mapping[str, Any], name: str = "", depth: int = 0) -> Any:
        schema = self._resolved(schema)
        if "example" in schema or schema.get("examples"):
            return schema.get("example", next(iter(schema.get("examples", [None]))))
        if name in self._said and _allows(schema, self._said[name], self._resolved):
            return self._said[name]
        if "const" in schema or "enum" in schema:
            return schema.get("const", next(iter(schema.get("enum", [None]))))
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return self.of(next((one for one in options if one.get("type") != "null"), options[0]), name, depth)
        if "properties" in schema or schema.get("type") == "object":
            return self._object(schema, depth)
        if schema.get("type") == "array":
            return [] if depth > 8 else [self.of(schema.get("items", {}), name.removesuffix("s"), depth + 1)]
        return _plain(schema)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """What may be left out is, where it would only be null."""
        needed = set(schema.get("required", ()))
        found = {}
        for name, part in schema.get("properties", {}).items():
            value = self.of(part, name, depth + 1)
            if value is not None or name in needed:
                found[name] = value
        return found

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return schema


def _allows(schema: Mapping[str, Any], value: Any, resolved: Any) -> bool:
    """As far as types, lists of values and bounds go."""
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return any(_allows(resolved(one), value, resolved) for one in options)
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list, "null": type(None)}
    kind = schema.get("type")
    if kind is None:
        return True
    if not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean"):  # type: ignore[arg-type]
        return False
    if kind == "string" and schema.get("format") in FORMATS:
        return False
    if kind == "object" and schema.get("properties"):
        return False
    low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
    return kind not in ("integer", "number") or low <= value <= high


def _plain(schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if schema.get("default") is not None:
        return schema["default"]
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + (1 if "exclusiveMinimum" in schema else 0))
        return int(low) if kind == "integer" else float(low)
    if kind == "boolean":
        return True
    if kind == "string":
        return FORMATS.get(schema.get("format", ""), "text"[: schema.get("maxLength", 4)].ljust(schema.get("minLength", 0), "x"))
    return None if kind == "null" else {}
