"""The protocol's one endpoint that is no FastAPI route, as OpenAPI describes it."""

from typing import Any

from fastapi import Body, Path
from fastapi.routing import APIRoute

from services.gateway.inference import service
from services.gateway.inference.endpoints import INFER, INFER_VERSION
from services.gateway.inference.schemas import InferenceResponse
from services.gateway.predictions.contracts import Contract, Contracts
from services.gateway.problems import problems
from services.kit.open_inference.documents import BINARY, InferenceRequest

BINARY_ANSWER: dict[int | str, Any] = {
    200: {"content": {BINARY: {"schema": {"type": "string", "format": "binary", "description": "Where the request asked for tensors in binary form."}}}}
}


def routes(contracts: Contracts) -> list[APIRoute]:
    """Never served."""
    examples: Any = {name: {"summary": contract.title, "value": _example(contract)} for name, contract in contracts.items()}
    sent = Body(openapi_examples=examples)

    async def infer(model: str, body: InferenceRequest = sent) -> None:
        """One row per position of the tensors; each is answered when its audit row is durable. More than one row needs the role analyst.

        With the header Inference-Header-Content-Length, tensors in binary form stand behind the JSON (content type application/octet-stream).
        """

    async def infer_version(model: str, version: str = Path(description="404 when another one serves."), body: InferenceRequest = sent) -> None:
        """The same, from this version or not at all."""

    shared: dict[str, Any] = {
        "methods": ["POST"],
        "response_model": InferenceResponse,
        "tags": ["open inference protocol"],
        "responses": problems(403, 502, 504) | BINARY_ANSWER,
    }
    return [APIRoute(INFER, infer, **shared), APIRoute(INFER_VERSION, infer_version, **shared)]


def _example(contract: Contract) -> dict[str, Any]:
    row = contract.schema.EXAMPLE
    tensors = []
    for name, field in service.inputs_of(contract.schema.Input).items():
        if name in row:
            shape = [1, len(row[name])] if field.many else [1]
            tensors.append({"name": name, "datatype": field.datatype, "shape": shape, "data": row[name] if field.many else [row[name]]})
    return {"inputs": tensors}
