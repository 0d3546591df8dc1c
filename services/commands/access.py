"""How the commands reach the platform: the one that runs here, or the one whose gateway MODELYARD_URL names."""

import contextlib
import hashlib
import os
import time
from typing import Any
from urllib.parse import quote

from services.local import files, launch, state
from services.local.api import Api, Refused
from services.local.failure import Failure
from services.local.paths import home
from services.local.state import ADMINISTRATOR

SECRET = "administrator"  # noqa: S105 - where it is kept
SPARE_SECONDS = 300.0
"""A remembered token is given out only while it has this long to live."""
URL, PASSWORD = "MODELYARD_URL", "MODELYARD_PASSWORD"


def running() -> dict[str, Any]:
    """The supervisor's view. Raises Failure when nothing runs."""
    view = launch.view(home())
    if view is None:
        raise Failure("the platform is not running", "start it with `make up`, or `modelyard up`")
    return view


def control() -> Api:
    view = running()
    return Api("control", view["services"]["control"]["url"], view["control_token"])


def gateway(username: str = ADMINISTRATOR, password: str | None = None) -> Api:
    return _of(elsewhere() or running()["services"]["gateway"]["url"], token(username, password))


def _of(url: str, given: str | None = None) -> Api:
    if elsewhere() is None:
        return Api("the gateway", url, given)
    return Api("the gateway", url, given, f"{URL} names it: is the address right, and is it reachable from here?")


def elsewhere() -> str | None:
    """The address of the gateway of a platform that does not run here, on a cluster for instance. Raises Failure for what is none."""
    given = os.environ.get(URL)
    if not given:
        return None
    if not given.startswith(("http://", "https://")):
        raise Failure(f"{URL} has to begin with http:// or https://, and is {given!r}", code=2)
    return given.rstrip("/")


def all_of(path: str, name: str, username: str = ADMINISTRATOR) -> list[dict[str, Any]]:
    """Every page of a list that the gateway gives."""
    found: list[dict[str, Any]] = []
    asked = gateway(username)
    cursor: str | None = ""
    while cursor is not None:
        page = asked.get(f"{path}?limit=500" + (f"&cursor={quote(cursor, safe='')}" if cursor else ""))
        found += page[name]
        cursor = page["next"]
    return found


def password(username: str) -> str:
    """The local administrator's is known; others are asked."""
    return _administrators(running()) if username == ADMINISTRATOR and elsewhere() is None else _given_password(username)


def keep_password(username: str, new: str) -> None:
    """The local administrator's next log-in needs the new one, now and at the next start."""
    if username == ADMINISTRATOR and elsewhere() is None:
        kept = state.load(home())
        kept.secrets[SECRET] = new
        state.save(home(), kept)


def _administrators(view: dict[str, Any]) -> str:
    """The supervisor knows the one that it started with."""
    return state.load(home()).secrets.get(SECRET) or str(view["password"])


def token(username: str = ADMINISTRATOR, password: str | None = None) -> str:
    """The administrator's token is kept in a private file until shortly before it expires: log-ins are limited."""
    url = elsewhere()
    if username != ADMINISTRATOR:
        url = url or running()["services"]["gateway"]["url"]
        return str(_log_in(url, username, password or _given_password(username))["access_token"])
    if url is None:
        view = running()
        url, known, since = view["services"]["gateway"]["url"], _administrators(view), view["started_at"]
    else:
        known, since = _given_password(username), ""
    home().create()
    kept = home().folder / "token.json"
    fingerprint = hashlib.sha256(f"{url} {known} {since}".encode()).hexdigest()
    with contextlib.suppress(ValueError, TypeError):
        remembered = files.read(kept) or {}
        if remembered.get("for") == fingerprint and remembered["expires_at"] - SPARE_SECONDS > time.time() and _works(url, remembered["token"]):
            return str(remembered["token"])
    given = _log_in(url, username, known)
    files.write_private(kept, {"for": fingerprint, "token": given["access_token"], "expires_at": time.time() + given["expires_in"]})
    return str(given["access_token"])


def _works(url: str, remembered: str) -> bool:
    try:
        _of(url, remembered).get("/auth/users/me")
    except Refused:
        return False
    return True


def _log_in(url: str, username: str, password: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = _of(url).post("/auth/login", {"username": username, "password": password})
    except Refused as error:
        hint = ""
        if username == ADMINISTRATOR and elsewhere() is None:
            hint = f"was {ADMINISTRATOR}'s password changed? Put the new one into {home().state} (secrets.administrator), then `modelyard down` and `up`"
        raise Failure(f"{username} cannot log in: {error.message}", hint) from None
    return answer


def _given_password(username: str) -> str:
    import typer

    given = os.environ.get(PASSWORD)
    return given or str(typer.prompt(f"Password of {username}", hide_input=True, err=True))


def known_model(name: str) -> str:
    """Raises Failure with the names there are."""
    from bentos import catalogue

    if name not in catalogue.names():
        raise Failure(f"there is no model {name!r}", f"the models are {', '.join(catalogue.names())}", code=2)
    return name
