"""What stands in a report, gathered: the audit's row, the explanation, control's documents. Plain JSON, which the drawing process reads."""

import hashlib
import json
import re
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from services.gateway.explanations import service as explanations
from services.gateway.predictions.contracts import Contract, Contracts, named
from services.gateway.reports import repository
from services.gateway.reports.schemas import BatchSummary
from services.gateway.state import State
from services.kit.errors import Problem

FINGERPRINTED = ("prediction_id", "model", "model_version", "policy_version", "input", "output")
LEDGER_ENTRIES = 200

Document = dict[str, Any]


def fingerprint(row: Document) -> str:
    """SHA-256 of the FINGERPRINTED parts as JSON with sorted keys and no spaces; docs/reports.md shows it to auditors."""
    parts = {name: row[name] for name in FINGERPRINTED}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


async def of_prediction(state: State, row: Document, deadline: float) -> Document:
    """`row` as in the audit. Without reasons, and with words that say why, when they cannot be had."""
    identifier = str(row["id"])
    contract = state.contracts.get(row["model"])
    explanation, unexplained = None, ""
    try:
        explanation = (await explanations.explain_stored(state, row["id"], row, deadline)).model_dump(mode="json")
        fields = contract.schema.Input.model_fields if contract else {}
        for part in explanation["contributions"]:
            part["value"] = _value(fields.get(part["field"]), part["value"])
    except Problem as problem:
        unexplained = f"There are none in this report. {problem.detail}"
    threshold = None
    if row["policy_version"] is not None:
        async with state.pool.connection() as connection:
            threshold = await repository.threshold(connection, row["model"], row["policy_version"])
    inputs = _in_words(row["input"], contract.schema.Input if contract else None)
    outputs = _in_words(row["output"], contract.schema.Output if contract else None)
    shown = {name: row[name] for name in ("model", "model_version", "policy_version", "created_at", "username", "request_id", "output", "decision")}
    return {
        **_titles(state.contracts, row["model"]),
        **shown,
        "prediction_id": identifier,
        "batch_id": row["batch_id"] and f"{row['batch_id']}, row {row['row_number']}",
        "inputs": inputs,
        "outputs": outputs,
        "probability_words": _probability(contract),
        "threshold": threshold,
        "explanation": explanation,
        "unexplained": unexplained,
        "fingerprint": fingerprint(row | {"prediction_id": identifier}),
    }


async def of_batch(state: State, summary: BatchSummary) -> Document:
    contract = state.contracts.get(summary.model)
    threshold = None
    if summary.policy_versions:
        async with state.pool.connection() as connection:
            threshold = await repository.threshold(connection, summary.model, summary.policy_versions[-1])
    words = _probability(contract) if summary.decisions else "prediction"
    return {**summary.model_dump(mode="json", by_alias=True), **_titles(state.contracts, summary.model), "threshold": threshold, "score_words": words}


async def of_version(state: State, model: str, version: str) -> Document:
    """Raises what control says: NotFound for a version that there is not, Unavailable when it is away."""
    contract = named(state.contracts, model)
    path = f"/models/{contract.name}"
    found = await state.control.get(f"{path}/versions/{version}")
    about = await state.control.get(path)
    ledger = await state.control.get(f"{path}/ledger", limit=LEDGER_ENTRIES)
    entries = [one for one in ledger["entries"] if version in (one["to_version"], one["from_version"])]
    return {"title": contract.title, "summary": contract.summary, "owner": about["owner"], "version": found, "ledger": entries, "limits": limits(contract.name)}


def _titles(contracts: Contracts, model: str) -> Document:
    contract = contracts.get(model)
    return {"title": contract.title if contract else model, "summary": contract.summary if contract else ""}


def _value(field: FieldInfo | None, value: Any) -> Any:
    """Times as people read them."""
    if field is None or "UNIX seconds" not in (field.description or "") or isinstance(value, bool):
        return value
    if isinstance(value, list):
        return [_value(field, item) for item in value]
    return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M}" if isinstance(value, int) else value


def _in_words(values: Document, schema: type[BaseModel] | None) -> list[Document]:
    """In the order of the schema; what it does not know of comes last, by its name."""
    fields = schema.model_fields if schema is not None else {}
    names = [*(name for name in fields if name in values), *(name for name in values if name not in fields)]
    found = []
    for name in names:
        extra = fields[name].json_schema_extra if name in fields else None
        title = (fields[name].title if name in fields else None) or name.replace("_", " ").capitalize()
        found.append({"title": title, "value": _value(fields.get(name), values[name]), "unit": extra.get("unit") if isinstance(extra, dict) else None})
    return found


def _probability(contract: Contract | None) -> str:
    """The schema's words: "Probability: of leaving, 0 to 1."."""
    field = contract.schema.Output.model_fields.get("probability") if contract else None
    said = (field.description or "").rstrip(".") if field else ""
    return f"probability {said[:1].lower()}{said[1:]}".strip() if said else "probability"


@cache
def limits(model: str) -> list[str]:
    """The list below "Limits" in the model's own card; nothing where this image has no cards."""
    try:
        card = files("bentos").joinpath(model, "README.md").read_text(encoding="utf-8")
    except OSError:
        return []
    section = re.search(r"^## Limits\n(.*?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    items = re.findall(r"^\* (.*(?:\n  .*)*)", section[1], re.MULTILINE) if section else []
    return [" ".join(re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", item).split()) for item in items]
