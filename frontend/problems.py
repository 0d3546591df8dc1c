"""What can go wrong between the dashboard and the gateway, in words for the person in front of it."""

from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass(frozen=True)
class FieldProblem:
    """One broken rule of what was sent."""

    field: str
    rule: str
    value: Any = None
    line: int | None = None


@dataclass
class GatewayError(Exception):
    """The gateway said no, or nothing. `words` is what to show; `status` is 0 when there was no answer."""

    words: str
    status: int = 0
    title: str = ""
    errors: list[FieldProblem] = field(default_factory=list)
    request_id: str = ""

    def __str__(self) -> str:
        return self.words


class Away(GatewayError):
    """Nobody answered, or somebody behind the gateway is away: trying again may help."""


class SessionOver(GatewayError):
    """Only logging in again helps."""


class NotOffered(GatewayError):
    """The gateway has no such endpoint: it is older than this dashboard, or the part is switched off."""


def of_answer(answer: httpx.Response) -> GatewayError:
    """The error that an answer of 400 or more tells, which need not come from the gateway itself: a proxy may have written it."""
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    listed = [
        FieldProblem(str(one.get("field", "")), str(one.get("rule", "")), one.get("value"), one.get("line"))
        for one in body.get("errors") or []
        if isinstance(one, dict)
    ]
    words = str(body.get("detail") or f"The gateway answered {answer.status_code} {answer.reason_phrase}.")
    return _kind(answer.status_code, words)(words, answer.status_code, str(body.get("title", "")), listed, str(body.get("request_id", "")))


def _kind(status: int, words: str) -> type[GatewayError]:
    if status == httpx.codes.UNAUTHORIZED:
        return SessionOver
    if status == httpx.codes.METHOD_NOT_ALLOWED or (status == httpx.codes.NOT_FOUND and words.startswith(("There is nothing at", "Not Found"))):
        return NotOffered
    return Away if status in {502, 503, 504} else GatewayError


def of_failure(error: httpx.HTTPError) -> Away:
    if isinstance(error, httpx.TimeoutException):
        return Away("The gateway did not answer in time.")
    return Away("The gateway cannot be reached.")
