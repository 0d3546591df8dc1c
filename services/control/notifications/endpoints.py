from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from services.control.notifications.schemas import Notifications, Tests, Wanted
from services.control.notifications.service import Notifier
from services.control.requests import Authorized, Limit, body, of_catalogue

router = APIRouter(prefix="/notifications")

NEWEST = 2**63 - 1


def _notifier(request: Request) -> Notifier:
    found: Notifier = request.state.notifier
    return found


Service = Annotated[Notifier, Depends(_notifier)]


@router.get("")
async def notifications(
    request: Request, service: Service, model: str | None = None, limit: Limit = 50, cursor: Annotated[int, Query(ge=1, le=NEWEST)] = NEWEST
) -> Notifications:
    """Newest first, each with how every channel that wants it stands."""
    if model is not None:
        of_catalogue(request.state.catalogue, model)
    found = await service.repository.page(limit + 1, cursor, model)
    return Notifications(notifications=found[:limit], next=found[limit - 1].id if len(found) > limit else None)


@router.post("/test", dependencies=[Authorized])
async def test(service: Service, asked: Annotated[Wanted, body(Wanted)]) -> Tests:
    """Sends one to the channel named, or to each, and tells what became of it."""
    return await service.test(asked.channel, asked.actor)
