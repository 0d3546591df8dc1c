from fastapi import APIRouter, Request

router = APIRouter()


@router.get("/livez")
async def livez() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> dict[str, str]:
    """Ready when the database answers. MLflow does not matter: nothing here waits for it."""
    async with request.state.pool.connection(timeout=2):  # the pool tries a connection before it gives it
        return {"status": "ok"}
