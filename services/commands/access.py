"""How the commands reach the services of the platform that runs here."""

import contextlib
import hashlib
import os
import time
from typing import Any

from services.local import files, launch
from services.local.api import Api, Refused
from services.local.failure import Failure
from services.local.paths import home
from services.local.state import ADMINISTRATOR

SPARE_SECONDS = 300.0
"""A remembered token is given out only while it has this long to live."""


def running() -> dict[str, Any]:
    """The supervisor's view. Raises Failure when nothing runs."""
    view = launch.view(home())
    if view is None:
        raise Failure("the platform is not running", "start it with `make up`, or `modelyard up`")
    return view


def control() -> Api:
    view = running()
    return Api("control", view["services"]["control"]["url"], view["control_token"])


def gateway(username: str = ADMINISTRATOR) -> Api:
    url = running()["services"]["gateway"]["url"]
    return Api("the gateway", url, token(username))


def token(username: str = ADMINISTRATOR, password: str | None = None) -> str:
    """The local administrator's token is kept in a private file until shortly before it expires: log-ins are limited."""
    view = running()
    url = view["services"]["gateway"]["url"]
    if username != ADMINISTRATOR:
        return str(_log_in(url, username, password or _given_password(username))["access_token"])
    kept = home().folder / "token.json"
    fingerprint = hashlib.sha256(f"{url} {view['password']} {view['started_at']}".encode()).hexdigest()
    with contextlib.suppress(ValueError, TypeError):
        remembered = files.read(kept) or {}
        if remembered.get("for") == fingerprint and remembered["expires_at"] - SPARE_SECONDS > time.time() and _works(url, remembered["token"]):
            return str(remembered["token"])
    given = _log_in(url, username, view["password"])
    files.write_private(kept, {"for": fingerprint, "token": given["access_token"], "expires_at": time.time() + given["expires_in"]})
    return str(given["access_token"])


def _works(url: str, remembered: str) -> bool:
    try:
        Api("the gateway", url, remembered).get("/auth/users/me")
    except Refused:
        return False
    return True


def _log_in(url: str, username: str, password: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = Api("the gateway", url).post("/auth/login", {"username": username, "password": password})
    except Refused as error:
        hint = ""
        if username == ADMINISTRATOR:
            hint = f"was {ADMINISTRATOR}'s password changed? Put the new one into {home().state} (secrets.administrator), then `modelyard down` and `up`"
        raise Failure(f"{username} cannot log in: {error.message}", hint) from None
    return answer


def _given_password(username: str) -> str:
    import typer

    given = os.environ.get("MODELYARD_PASSWORD")
    return given or str(typer.prompt(f"Password of {username}", hide_input=True, err=True))


def known_model(name: str) -> str:
    """Raises Failure with the names there are."""
    from bentos import catalogue

    if name not in catalogue.names():
        raise Failure(f"there is no model {name!r}", f"the models are {', '.join(catalogue.names())}", code=2)
    return name
