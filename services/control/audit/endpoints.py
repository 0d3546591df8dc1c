from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from services.control.audit.repository import AuditRepository, Wanted
from services.control.deployments.schemas import Version
from services.control.requests import Authorized, KnownModel
from services.kit.ids import floor_of

router = APIRouter()

MEDIA = "application/x-ndjson"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
NO_END = UUID(int=2**128 - 1)


@router.get("/audit/{model}", dependencies=[Authorized])
async def rows(
    model: KnownModel,
    request: Request,
    after: UUID | None = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    version: Version | None = None,
    known: bool = False,
    newest: bool = False,
    limit: Annotated[int, Query(ge=1, le=10_000_000)] = 10_000_000,
) -> StreamingResponse:
    """Answered rows, a JSON object a line: oldest first, or with `newest` newest first. `known`: those with an outcome only, each with its last one.

    `after` is the id of the last row that the caller has; `since` and `until` are moments of prediction.
    """
    repository: AuditRepository = request.state.audit
    first = max(after or floor_of(BEGINNING), floor_of(since or BEGINNING))
    last = NO_END if until is None else floor_of(until)
    wanted = Wanted(model, first, last, version, known, limit)
    pieces = repository.rows(wanted, newest)
    return StreamingResponse(streamed(await anext(pieces), pieces), media_type=MEDIA)


async def streamed(first: bytes, others: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The first piece is there already, so that a database that is away is told as a problem."""
    async with aclosing(others):
        yield first
        async for piece in others:
            yield piece
