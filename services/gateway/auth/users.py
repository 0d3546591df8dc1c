"""What administrators do to accounts."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.gateway.access import Role
from services.gateway.auth import schemas
from services.gateway.guard import GuardedRoute
from services.gateway.problems import problems
from services.gateway.state import Caller, Current

router = APIRouter(prefix="/auth", tags=["users"], route_class=GuardedRoute)


@router.post("/signup", status_code=201, responses=problems(409))
async def sign_up(body: schemas.Signup, caller: Caller, state: Current) -> schemas.User:
    """Makes an account; tell its owner to change the password."""
    made = await state.administration.add(caller.username, body.username, body.password.get_secret_value(), Role[body.role])
    return schemas.User.model_validate(made, from_attributes=True)


@router.get("/users", name="list")
async def users(state: Current, limit: Annotated[int, Query(ge=1, le=500)] = 100, cursor: Annotated[str, Query(max_length=63)] = "") -> schemas.Users:
    """Everybody, by name."""
    found, following = await state.administration.page(cursor, limit)
    return schemas.Users(users=[schemas.User.model_validate(account, from_attributes=True) for account in found], next=following)


@router.delete("/users/{username}", status_code=204, responses=problems(409))
async def remove(username: str, caller: Caller, state: Current) -> None:
    """Sessions and keys end at once; predictions keep the name."""
    await state.administration.remove(caller.username, username)


@router.put("/users/{username}/role", responses=problems(409))
async def set_role(username: str, body: schemas.RoleChange, caller: Caller, state: Current) -> schemas.User:
    """Takes effect at once, also in tokens that are already out."""
    return schemas.User.model_validate(await state.administration.set_role(caller.username, username, Role[body.role]), from_attributes=True)


@router.put("/users/{username}/active", responses=problems(409))
async def set_active(username: str, body: schemas.ActiveChange, caller: Caller, state: Current) -> schemas.User:
    """Shuts a user out at once, or lets the user in again; keys work again then, sessions do not."""
    return schemas.User.model_validate(await state.administration.set_active(caller.username, username, body.active), from_attributes=True)
