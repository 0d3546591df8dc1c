import os
import secrets
from typing import Annotated, Any
from urllib.parse import quote

import typer

from services.commands import access
from services.commands.output import AsJson, as_json, moment, say, table
from services.local.failure import Failure
from services.local.state import ADMINISTRATOR

users = typer.Typer(help="Accounts of people and programs.", no_args_is_help=True)
keys = typer.Typer(help="API keys, of the local administrator or of another account.", no_args_is_help=True)

ROLES = ("viewer", "analyst", "engineer", "admin")
Name = Annotated[str, typer.Argument(help="User name.")]
User = Annotated[str, typer.Option("--user", help="Whose; another than the local administrator is asked for the password (or MODELYARD_PASSWORD).")]


def token(user: User = ADMINISTRATOR) -> None:
    """Print a bearer token."""
    say(access.token(user))


def _role(given: str) -> str:
    if given not in ROLES:
        raise Failure(f"there is no role {given!r}", f"the roles are {', '.join(ROLES)}", code=2)
    return given


def _told(made: Any, words: str, as_document: bool) -> None:
    if as_document:
        as_json(made)
    else:
        say(words)


@users.command("list")
def list_users(as_document: AsJson = False) -> None:
    """Everybody, with role and state."""
    found = access.all_of("/auth/users", "users")
    if as_document:
        as_json({"users": found})
        return
    rows = [(one["username"], one["role"], "active" if one["active"] else "shut out", moment(one["created_at"])) for one in found]
    table(["user", "role", "state", "since"], rows)


@users.command("add")
def add_user(
    name: Name,
    role: Annotated[str, typer.Option(help=", ".join(ROLES))] = "viewer",
    password: Annotated[
        str | None, typer.Option(envvar="MODELYARD_PASSWORD", help="At least 12 characters; one is made up and shown when none is given.")
    ] = None,
    as_document: AsJson = False,
) -> None:
    """Make an account."""
    given = password or secrets.token_urlsafe(15)
    made = access.gateway().post("/auth/signup", {"username": name, "password": given, "role": _role(role)})
    shown = made if password else made | {"password": given}
    _told(shown, f"{made['username']} is {made['role']}" + ("" if password else f"; the password is {given}"), as_document)


@users.command("role")
def set_role(name: Name, role: Annotated[str, typer.Argument(help=", ".join(ROLES))], as_document: AsJson = False) -> None:
    """Give an account another role, effective at once."""
    made = access.gateway().send("PUT", f"/auth/users/{quote(name, safe='')}/role", {"role": _role(role)})
    _told(made, f"{made['username']} is {made['role']}", as_document)


@users.command("disable")
def disable(name: Name, as_document: AsJson = False) -> None:
    """Shut somebody out at once; account, keys and predictions stay."""
    _told(_activate(name, False), f"{name} is shut out", as_document)


@users.command("enable")
def enable(name: Name, as_document: AsJson = False) -> None:
    """Let somebody in again; API keys work again then, sessions do not."""
    _told(_activate(name, True), f"{name} may log in", as_document)


def _activate(name: str, active: bool) -> Any:
    return access.gateway().send("PUT", f"/auth/users/{quote(name, safe='')}/active", {"active": active})


@users.command("remove")
def remove_user(name: Name) -> None:
    """Delete an account; sessions and keys end at once, its predictions stay."""
    access.gateway().send("DELETE", f"/auth/users/{quote(name, safe='')}")
    say(f"{name} was removed")


@users.command("password")
def change_password(
    name: Annotated[str, typer.Argument(help="Whose; the current password is asked for, of the local administrator it is known.")] = ADMINISTRATOR,
) -> None:
    """Change a password, by its owner: other sessions end, API keys stay. The new one is asked for (or MODELYARD_NEW_PASSWORD)."""
    current = access.password(name)
    new = os.environ.get("MODELYARD_NEW_PASSWORD") or str(typer.prompt(f"New password of {name}", hide_input=True, confirmation_prompt=True, err=True))
    access.gateway(name, current).send("PUT", "/auth/users/me", {"current_password": current, "new_password": new})
    access.keep_password(name, new)
    say(f"{name} has a new password")


@keys.command("list")
def list_keys(user: User = ADMINISTRATOR, as_document: AsJson = False) -> None:
    """Those that work, with when they were used last."""
    found = access.all_of("/auth/api-keys", "api_keys", user)
    if as_document:
        as_json({"api_keys": found})
        return
    rows = [
        (one["id"], one["name"], one["prefix"], moment(one["created_at"]), moment(one["expires_at"]) or "never", moment(one["last_used_at"]) or "never")
        for one in found
    ]
    table(["id", "name", "begins with", "made", "expires", "last used"], rows)


@keys.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="It expires after so many; never without it.")] = None,
    user: User = ADMINISTRATOR,
    as_document: AsJson = False,
) -> None:
    """Make a key. It is shown this once."""
    given = {"name": name} | ({"expires_in_days": days} if days else {})
    made = access.gateway(user).post("/auth/api-keys", given)
    _told(made, made["key"], as_document)


@keys.command("revoke")
def revoke_key(key: Annotated[str, typer.Argument(help="Its id, as `modelyard keys list` shows it.")], user: User = ADMINISTRATOR) -> None:
    """It stops working at once."""
    access.gateway(user).send("DELETE", f"/auth/api-keys/{quote(key, safe='')}")
    say(f"{key} was revoked")
