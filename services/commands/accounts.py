import secrets
from typing import Annotated
from urllib.parse import quote

import typer

from services.commands import access
from services.commands.output import moment, say, table
from services.local.failure import Failure
from services.local.state import ADMINISTRATOR

users = typer.Typer(help="Accounts of people and programs.", no_args_is_help=True)

ROLES = ("viewer", "analyst", "engineer", "admin")
Name = Annotated[str, typer.Argument(help="User name.")]


def token(
    user: Annotated[
        str, typer.Option("--user", help="Whose; another than the local administrator is asked for the password (or MODELYARD_PASSWORD).")
    ] = ADMINISTRATOR,
) -> None:
    """Print a bearer token."""
    say(access.token(user))


def _role(given: str) -> str:
    if given not in ROLES:
        raise Failure(f"there is no role {given!r}", f"the roles are {', '.join(ROLES)}", code=2)
    return given


@users.command("list")
def list_users() -> None:
    """Everybody, with role and state."""
    gateway, cursor, rows = access.gateway(), "", []
    while True:
        page = gateway.get(f"/auth/users?limit=500&cursor={quote(cursor)}")
        rows += [(one["username"], one["role"], "active" if one["active"] else "shut out", moment(one["created_at"])) for one in page["users"]]
        cursor = page["next"] or ""
        if not cursor:
            break
    table(["user", "role", "state", "since"], rows)


@users.command("add")
def add_user(
    name: Name,
    role: Annotated[str, typer.Option(help=", ".join(ROLES))] = "viewer",
    password: Annotated[
        str | None, typer.Option(envvar="MODELYARD_PASSWORD", help="At least 12 characters; one is made up and shown when none is given.")
    ] = None,
) -> None:
    """Make an account."""
    given = password or secrets.token_urlsafe(15)
    made = access.gateway().post("/auth/signup", {"username": name, "password": given, "role": _role(role)})
    say(f"{made['username']} is {made['role']}" + ("" if password else f"; the password is {given}"))


@users.command("role")
def set_role(name: Name, role: Annotated[str, typer.Argument(help=", ".join(ROLES))]) -> None:
    """Give an account another role, effective at once."""
    made = access.gateway().send("PUT", f"/auth/users/{quote(name, safe='')}/role", {"role": _role(role)})
    say(f"{made['username']} is {made['role']}")


@users.command("remove")
def remove_user(name: Name) -> None:
    """Delete an account; sessions and keys end at once, its predictions stay."""
    access.gateway().send("DELETE", f"/auth/users/{quote(name, safe='')}")
    say(f"{name} was removed")
