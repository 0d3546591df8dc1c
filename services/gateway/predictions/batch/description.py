"""The batch route as OpenAPI describes it, beyond what FastAPI makes of its JSON."""

import csv
import io
import json
from typing import Any

from services.gateway.predictions.batch.media import ANSWERS, REQUESTS, Form
from services.gateway.predictions.contracts import Contract

BODIES = {
    Form.ndjson: "One JSON object per line.",
    Form.csv: "RFC 4180 in UTF-8, with a header that names the fields. An empty cell is null, a list stands as JSON in its cell.",
    Form.parquet: "One column per field.",
}
TEXT, BINARY = {"type": "string"}, {"type": "string", "format": "binary"}


def summary(contract: Contract) -> str:
    return (
        f"{contract.title} for many rows: all are answered by one version of the model and recorded together, or none. The answer's n-th row is about"
        " the request's n-th row. Bodies and answers may be compressed with gzip or zstd; docs/batch.md tells forms, limits and errors."
    )


def operation(contract: Contract, row: str) -> dict[str, Any]:
    """What is to be merged into the operation. `row`: name of the schema of a row."""
    example = contract.schema.EXAMPLE
    wrapped = {"type": "object", "properties": {"rows": _rows(row)}, "required": ["rows"], "additionalProperties": False}
    requests: dict[str, Any] = {"application/json": {"schema": {"oneOf": [wrapped, _rows(row)]}, "examples": {"example": {"value": {"rows": [example]}}}}}
    for media, form in REQUESTS.items():
        if form is not Form.json:
            schema = BINARY if form is Form.parquet else TEXT
            shown = {"example": json.dumps(example) + "\n"} if form is Form.ndjson else {"example": _csv(example)} if form is Form.csv else {}
            requests[media] = {"schema": schema | {"description": BODIES[form]}} | shown
    columns = ["prediction_id", *contract.schema.Output.model_fields, "model_version", "policy_version"]
    answers = {
        media: {"schema": TEXT | {"description": f"{', '.join(columns)}; for failed rows {'`row` and `errors`' if form is Form.ndjson else '`error`'}."}}
        for media, form in ANSWERS.items()
        if form is not Form.json
    }
    return {
        "parameters": [
            {
                "name": "on_error",
                "in": "query",
                "schema": {"enum": ["fail", "skip"], "default": "fail"},
                "description": "A row that breaks the schema has the whole batch refused, or is told in its place while the others are answered.",
            },
            *(
                {
                    "name": name,
                    "in": "query",
                    "schema": schema,
                    "description": f"No other {what} may answer: 404, and nothing is recorded, when it does not serve.",
                }
                for name, schema, what in _PINS
            ),
        ],
        "requestBody": {"required": True, "content": requests},
        "responses": {"200": {"content": answers, "headers": {name: {"schema": schema, "description": text} for name, schema, text in _HEADERS}}},
    }


_PINS = (("version", {"type": "string", "maxLength": 40}, "version"), ("policy_version", {"type": "integer", "minimum": 0}, "policy"))
_HEADERS = (
    ("X-Batch-ID", {"type": "string", "format": "uuid"}, "Finds the batch in the audit."),
    ("X-Rows-Failed", {"type": "integer"}, "Rows that were not answered; more than 0 only with on_error=skip."),
)


def _rows(row: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{row}"}, "minItems": 1}


def _csv(example: dict[str, Any]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([[*example], [json.dumps(value) if isinstance(value, list) else value for value in example.values()]])
    return text.getvalue()
