"""OpenAPI: FastAPI's own, plus exact operations for every model's predict routes, plus who may call what."""

from typing import Any
from uuid import UUID

from fastapi import Body, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, create_model

from services.gateway.access import PUBLIC, TABLE
from services.gateway.inference import description
from services.gateway.predictions import endpoints
from services.gateway.predictions.batch import description as batch
from services.gateway.predictions.contracts import Contract, Contracts
from services.gateway.predictions.schemas import Answered, Versions

SECURITY = {
    "accessToken": {"type": "http", "scheme": "bearer", "description": "An access token from /auth/login, or an API key."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}

IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
    "description": "The same request with the same key is answered and recorded once; the others get the first answer, with `Idempotency-Replayed: true`.",
}


class FieldErrorShown(BaseModel):
    field: str
    rule: str
    value: Any
    line: int | None = Field(None, description="Where the row begins in a CSV file, from 1.")


class RowErrorsShown(BaseModel):
    """What is wrong with one row of a batch."""

    model_config = ConfigDict(title="RowErrors")

    row: int = Field(description="Position within the batch, from 0.")
    errors: list[FieldErrorShown]
    line: int | None = Field(None, description="Where the row begins in a CSV file, from 1.")


class ProblemShown(BaseModel):
    """RFC 9457 problem details: every error has this form."""

    model_config = ConfigDict(title="Problem")

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldErrorShown] | None = Field(None, description="Every broken rule, when the payload breaks the schema.")
    error: str | None = Field(None, description="Below /v2, where clients of the Open Inference Protocol look for it: the detail once more.")


def install(app: FastAPI, contracts: Contracts) -> None:
    def document() -> dict[str, Any]:
        if not app.openapi_schema:
            documented = [route for contract in contracts.values() for route in _documented(contract)] + description.routes(contracts)
            document = get_openapi(title=app.title, version="1", routes=[*documented, *app.routes])
            for contract in contracts.values():
                document["components"]["schemas"] |= _exact(contract.schema.Input)
            app.openapi_schema = _finish(document, set(contracts))
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _exact(row: type[BaseModel]) -> dict[str, Any]:
    """FastAPI's copy loses a default of null and turns integer bounds into floats."""
    own = row.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**own.pop("$defs", {}), row.__name__: own}


def _documented(contract: Contract) -> list[APIRoute]:
    """Routes that are never served: FastAPI describes them as if they were."""
    row, output = contract.schema.Input, contract.schema.Output
    name = row.__name__.removesuffix("Input")
    answer = create_model(f"{name}Answer", __base__=(Versions, Answered, output))
    answered = create_model(f"{name}AnsweredRow", __base__=(Answered, output))
    told = Field(None, description="With on_error=skip.")
    listed: dict[str, Any] = {
        "batch_id": (UUID, ...),
        "predictions": (list[answered | None], Field(description="In the order of the rows; null for a failed one.")),
        "rows_failed": (int | None, told),
        "errors": (list[RowErrorsShown] | None, told),
    }
    answers = create_model(f"{name}Answers", __base__=Versions, **listed)
    example = contract.schema.EXAMPLE

    async def predict(body: Any) -> None: ...

    async def predict_batch() -> None: ...

    predict.__doc__ = f"{contract.summary} The answer is given when its audit row is durable."
    predict_batch.__doc__ = batch.summary(contract)
    predict.__annotations__ = {"body": row}
    predict.__defaults__ = (Body(openapi_examples={"example": {"value": example}}),)
    common: dict[str, Any] = {"methods": ["POST"], "tags": ["predict"]}
    keyed: dict[str, Any] = {"parameters": [IDEMPOTENCY_KEY]}
    many = batch.operation(contract, row.__name__)
    many["parameters"] += keyed["parameters"]
    return [
        APIRoute(path.format(model=contract.name), function, response_model=model, name=f"{contract.name}{suffix}", openapi_extra=extra, **common)
        for path, function, model, suffix, extra in (
            (endpoints.ONE, predict, answer, "", keyed),
            (endpoints.BATCH, predict_batch, answers, "_batch", many),
        )
    ]


def _finish(document: dict[str, Any], models: set[str]) -> dict[str, Any]:
    """Adds security, the role and the form of errors to every operation; FastAPI's own form of errors goes."""
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = ProblemShown.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs") | {"Problem": problem}
    parts["securitySchemes"] = SECURITY
    error = {"description": "A problem", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            needed = TABLE[(method.upper(), _template(path, models))]
            operation["responses"] = {code: response for code, response in operation["responses"].items() if code != "422"} | {"default": error}
            if needed != PUBLIC:
                operation["security"] = [{scheme: []} for scheme in SECURITY]
                operation["description"] = f"{operation.get('description', '')}\n\nRole: {needed.name}.".strip()
    return document


def _template(path: str, models: set[str]) -> str:
    begin, _, rest = path.removeprefix("/predict/").partition("/")
    if path.startswith("/predict/") and begin in models:
        return endpoints.BATCH if rest else endpoints.ONE
    return path
