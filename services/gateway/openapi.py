"""OpenAPI: FastAPI's own, plus exact operations for every model's predict routes, plus who may call what."""

from collections.abc import Collection
from typing import Annotated, Any
from uuid import UUID

from fastapi import Body, FastAPI, Query
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, create_model

from services.gateway.documentation import operations
from services.gateway.explanations.endpoints import EXPLAIN
from services.gateway.explanations.schemas import Explanation
from services.gateway.inference import description
from services.gateway.models.schemas import Version
from services.gateway.outcomes.schemas import NewOutcomes
from services.gateway.predictions import endpoints
from services.gateway.predictions.batch import description as batch
from services.gateway.predictions.contracts import Contract, Contracts
from services.gateway.predictions.schemas import Answered, Versions
from services.gateway.problems import problems

DESCRIPTION = """Predictions that are recorded before they are given, the models that give them, and all that keeps both in order.

Send `Authorization: Bearer TOKEN` with a token from `/auth/login`, or an API key as `X-API-Key`. Every error is `application/problem+json` with a
`request_id` that finds it in the logs; 422 lists every broken rule in `errors`. Lists are read page by page: pass `next` of one page as `cursor` of the
following one."""

IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
    "description": "The same request with the same key is answered and recorded once; the others get the first answer, with `Idempotency-Replayed: true`.",
}


VersionWanted = Annotated[Version | None, Query(description="Explain by this registered version instead of the champion.")]


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
            operations.name([*documented, *app.routes])
            document = get_openapi(title=app.title, version="1", description=DESCRIPTION, routes=[*documented, *app.routes])
            for contract in contracts.values():
                document["components"]["schemas"] |= _exact(contract.schema.Input)
                row = contract.schema.EXAMPLE
                for path, example in ((endpoints.ONE, row), (endpoints.BATCH, {"rows": [row]}), (EXPLAIN, row)):
                    content = document["paths"][path.format(model=contract.name)]["post"]["requestBody"]["content"]
                    content["application/json"]["examples"]["example"]["value"] = example  # FastAPI leaves out what is null
            app.openapi_schema = _finish(document, list(contracts))
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

    async def explain(body: Any, version: VersionWanted = None) -> None: ...

    predict.__doc__ = f"{contract.summary} The answer is given when its audit row is durable."
    predict_batch.__doc__ = batch.summary(contract)
    explain.__doc__ = "Why the row gets its score: what each field contributes. Nothing is recorded; an answer to act upon is a prediction."
    predict.__annotations__ = {"body": row}
    explain.__annotations__ |= {"body": row}
    predict.__defaults__ = (Body(openapi_examples={"example": {"value": example}}),)
    explain.__defaults__ = (*predict.__defaults__, None)
    common: dict[str, Any] = {"methods": ["POST"], "tags": ["predict"], "responses": problems(502, 504)}
    keyed: dict[str, Any] = {"parameters": [IDEMPOTENCY_KEY]}
    many = batch.operation(contract, row.__name__)
    many["parameters"] += keyed["parameters"]
    return [
        APIRoute(path.format(model=contract.name), function, response_model=model, name=f"{contract.name}{suffix}", openapi_extra=extra, **common)
        for path, function, model, suffix, extra in (
            (endpoints.ONE, predict, answer, "", keyed),
            (EXPLAIN, explain, Explanation, "_explain", None),
            (endpoints.BATCH, predict_batch, answers, "_batch", many),
        )
    ]


def _finish(document: dict[str, Any], models: list[str]) -> dict[str, Any]:
    """FastAPI's own form of errors goes."""
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = ProblemShown.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs") | {"Problem": problem}
    given = NewOutcomes.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= given.pop("$defs") | {"NewOutcomes": given}
    parts["securitySchemes"] = operations.SECURITY
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operations.finish(document, operation, (method.upper(), _template(path, models)), models)
    operations.ordered(document)
    return document


def _template(path: str, models: Collection[str]) -> str:
    begin, _, rest = path.removeprefix("/predict/").partition("/")
    if path.startswith("/predict/") and begin in models:
        return {"": endpoints.ONE, "batch": endpoints.BATCH, "explain": EXPLAIN}[rest]
    return path
