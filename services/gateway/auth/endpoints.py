"""Log-in and what users do to their own account."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from services.gateway.auth import schemas
from services.gateway.guard import GuardedRoute
from services.gateway.problems import problems
from services.gateway.state import Caller, Current

router = APIRouter(prefix="/auth", tags=["auth"], route_class=GuardedRoute)


@router.post("/login")
async def log_in(body: schemas.Login, request: Request, state: Current) -> schemas.Tokens:
    """An access token for some minutes and a refresh token for the next one."""
    address = request.client.host if request.client else "-"
    request.state.rate = state.logins.hit(f"{body.username} {address}")
    return await state.sessions.log_in(body.username, body.password.get_secret_value())


@router.post("/refresh")
async def refresh(body: schemas.Refresh, state: Current) -> schemas.Tokens:
    """A new pair. A refresh token works once; a second use ends the session."""
    return await state.sessions.refresh(body.refresh_token.get_secret_value())


@router.post("/logout", status_code=204, responses=problems(409))
async def log_out(caller: Caller, state: Current) -> None:
    """Ends this session at once: its access tokens stop working everywhere."""
    await state.sessions.log_out(caller)


@router.get("/users/me")
async def me(caller: Caller, state: Current) -> schemas.User:
    """The own account."""
    return schemas.User.model_validate(await state.administration.one(caller.username), from_attributes=True)


@router.put("/users/me", status_code=204, responses=problems(409))
async def change_password(body: schemas.PasswordChange, caller: Caller, state: Current) -> None:
    """Changes the password and ends all other sessions; API keys stay."""
    await state.sessions.change_password(caller, body.current_password.get_secret_value(), body.new_password.get_secret_value())


@router.get("/api-keys")
async def keys(caller: Caller, state: Current, limit: Annotated[int, Query(ge=1, le=500)] = 100, cursor: UUID | None = None) -> schemas.ApiKeys:
    """The caller's own keys that still work, newest first."""
    found, following = await state.sessions.keys(caller, cursor, limit)
    return schemas.ApiKeys(api_keys=[schemas.ApiKey.model_validate(key, from_attributes=True) for key in found], next=following)


@router.post("/api-keys", status_code=201)
async def add_key(body: schemas.NewApiKey, caller: Caller, state: Current) -> schemas.CreatedApiKey:
    """The key is shown this once."""
    made, key = await state.sessions.add_key(caller, body)
    return schemas.CreatedApiKey(**asdict(made), key=key)


@router.delete("/api-keys/{key_id}", status_code=204)
async def revoke_key(key_id: UUID, caller: Caller, state: Current) -> None:
    """The key stops working at once."""
    await state.sessions.revoke_key(caller, key_id)
