"""What orchestrators and people ask about the gateway itself."""

from typing import Any

from fastapi import APIRouter, Response

from services.gateway.guard import GuardedRoute
from services.gateway.state import Current

router = APIRouter(tags=["operations"], route_class=GuardedRoute)


@router.get("/livez")
async def livez() -> dict[str, str]:
    """The process answers. Nothing else is asked: a restart would help nobody else."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "The database was never there, or has no partition for this month."}})
async def readyz(state: Current, response: Response) -> dict[str, Any]:
    """Predictions can be recorded. A database that goes away changes nothing: models with a spool still answer, and for the others a 503 that says why
    is better than no gateway at all."""
    ready, words = await state.health.ready()
    response.status_code = 200 if ready else 503
    return {"status": "ok" if ready else "not ready", "database": words}


@router.get("/health", responses={503: {"description": "The database is away."}})
async def health(state: Current, response: Response) -> dict[str, Any]:
    """The state of the database, of control and of every runner, in words."""
    report = await state.health.report()
    response.status_code = 503 if report["status"] == "down" else 200
    return report
