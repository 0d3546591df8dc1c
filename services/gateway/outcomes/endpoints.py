"""Attaching what really happened to what was answered."""

import asyncio
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError

from services.gateway.guard import GuardedRoute, require_plain_json
from services.gateway.outcomes.schemas import NewOutcome, NewOutcomes, OutcomeOf, RecordedOutcome, RecordedOutcomes
from services.gateway.outcomes.service import of_csv
from services.gateway.problems import problems
from services.gateway.state import Caller, Current
from services.kit.errors import UnsupportedMedia
from services.kit.http import invalid, read_body

router = APIRouter(prefix="/predictions", tags=["outcomes"], route_class=GuardedRoute)

FORMS = ("application/json", "text/csv")
_DOCUMENT = TypeAdapter(NewOutcomes)
CSV = {"schema": {"type": "string", "description": "The first line names the columns: prediction_id, value and perhaps note."}}
BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewOutcomes"}}, "text/csv": CSV}}
}


@router.post("/{prediction_id}/outcome", name="record", status_code=201)
async def record(prediction_id: UUID, body: NewOutcome, caller: Caller, state: Current) -> RecordedOutcome:
    """A second one corrects the first, which is kept."""
    return await state.outcomes.record(caller.username, OutcomeOf(prediction_id=prediction_id, **body.model_dump()))


@router.post("/outcomes", name="record_many", openapi_extra=BODY, responses=problems(400, 413, 415, 422))
async def record_many(request: Request, caller: Caller, state: Current) -> RecordedOutcomes:
    """Up to 100 000 at a time, as JSON or CSV. What cannot be recorded is told one by one; all else is, together."""
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if form not in FORMS:
        raise UnsupportedMedia(f"Content-Type must be one of {', '.join(FORMS)}, not {form or 'absent'}.")
    body = await read_body(request, state.settings.max_body_bytes)
    told = await asyncio.to_thread(of_csv if form == "text/csv" else _of_json, body)
    return await state.outcomes.record_many(caller.username, told)


def _of_json(body: bytes) -> list[OutcomeOf]:
    require_plain_json(body)
    try:
        return _DOCUMENT.validate_json(body).outcomes
    except ValidationError as error:
        raise invalid(error) from None
