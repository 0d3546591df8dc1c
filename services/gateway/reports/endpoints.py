"""Reports for people, as PDF, and a batch as numbers and rows. docs/reports.md tells callers about them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from starlette.responses import StreamingResponse

from services.gateway import deadlines
from services.gateway.guard import GuardedRoute
from services.gateway.models.schemas import Version
from services.gateway.predictions.contracts import named
from services.gateway.predictions.history import stored
from services.gateway.reports import csv_rows, documents, summaries
from services.gateway.reports.schemas import BatchSummary
from services.gateway.state import Caller, Current, State

router = APIRouter(tags=["reports"], route_class=GuardedRoute)

PDF = "application/pdf"
CSV = "text/csv; charset=utf-8; header=present"
EXPLAIN_SECONDS = 5.0
"""A report waits so long for the reasons, unless the caller says otherwise."""


class Pdf(Response):
    media_type = PDF


class Csv(StreamingResponse):
    media_type = CSV


@router.get("/predictions/{prediction_id}/report.pdf", response_class=Pdf)
async def of_prediction(prediction_id: UUID, caller: Caller, state: Current, request: Request) -> Response:
    """Inputs, decision, reasons and how to verify them. Viewers: of their own predictions."""
    row = await stored(state, caller, prediction_id)
    deadline = deadlines.of_request(request.scope["headers"], EXPLAIN_SECONDS)
    return await _pdf(state, "prediction", await documents.of_prediction(state, row, deadline), f"prediction-{prediction_id}")


@router.get("/predict/batches/{batch_id}")
async def batch(batch_id: UUID, state: Current) -> BatchSummary:
    """What was decided about how many rows, and how their scores lie."""
    return await summaries.summary(state, batch_id)


@router.get("/predict/batches/{batch_id}/report.pdf", response_class=Pdf)
async def of_batch(batch_id: UUID, state: Current) -> Response:
    """The same on paper."""
    document = await documents.of_batch(state, await summaries.summary(state, batch_id))
    return await _pdf(state, "batch", document, f"batch-{batch_id}")


@router.get("/predict/batches/{batch_id}/rows.csv", response_class=Csv)
async def rows(batch_id: UUID, state: Current) -> Response:
    """Every row in its order with inputs, answer and prediction id. Texts that a spreadsheet would compute begin with an apostrophe."""
    contract = named(state.contracts, await summaries.model_of(state, batch_id))
    return Csv(csv_rows.stream(state.pool, contract, batch_id), headers=_attachment(f"batch-{batch_id}.csv"))


@router.get("/models/{model}/versions/{version}/report.pdf", response_class=Pdf)
async def of_version(model: str, version: Annotated[Version, Path()], state: Current) -> Response:
    """The model's card: data, metrics with intervals, curves, threshold, importance, limits, the gate's verdict, ledger."""
    return await _pdf(state, "version", await documents.of_version(state, model, version), f"{model}-{version}")


async def _pdf(state: State, kind: str, document: documents.Document, name: str) -> Response:
    return Pdf(await state.reports.draw(kind, document), headers=_attachment(f"{name}.pdf"))


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'inline; filename="{name}"'}
