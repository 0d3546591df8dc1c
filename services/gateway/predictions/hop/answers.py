"""What a runner says, checked as far as the gateway depends on it. The answers themselves stay the bytes that the runner made."""

import logging
from typing import NamedTuple

import msgspec

from services.gateway.predictions.hop.connection import Answer
from services.kit.errors import BadGateway, BadRequest, Conflict, FieldError, Invalid, NotFound, Problem, TooLarge, TooManyRequests, Unavailable

log = logging.getLogger(__name__)

OPENING_BRACE = ord("{")
LONGEST_RETRY_AFTER = 3600


class Moved(Exception):
    """The version that a call was pinned to is no longer kept by the runner."""


class Scored(msgspec.Struct, frozen=True, gc=False):
    """A runner's answer for some rows, in their order, all from the same version and policy."""

    model: str
    version: str
    policy_version: int | None
    scores: list[float]
    """For the audit: the probability, or the prediction in units of the answer."""
    decisions: list[str | None]
    answers: list[msgspec.Raw]
    """The JSON object of each row."""

    def one(self, position: int) -> "One":
        return One(self.version, self.policy_version, self.scores[position], self.decisions[position], bytes(self.answers[position]))


class One(NamedTuple):
    """A runner's answer for one row."""

    version: str
    policy_version: int | None
    score: float
    decision: str | None
    answer: bytes


class Said(msgspec.Struct):
    """The part of a problem document that is meant for the caller."""

    detail: str = ""
    errors: list[FieldError] | None = None


_scored = msgspec.json.Decoder(Scored)
_said = msgspec.json.Decoder(Said)


def scored(model: str, rows: int, body: bytes) -> Scored:
    """Raises BadGateway for everything that is not an answer of this model for as many rows."""
    try:
        found = _scored.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.error("a runner's answer is not understood", extra={"model": model, "error": str(error)})  # noqa: TRY400 - the message says it all
        raise BadGateway(f"The runner of {model} gave an answer that is not understood.") from None
    if found.model != model:
        raise BadGateway(f"The runner of {found.model} answered in place of that of {model}.")
    if not len(found.scores) == len(found.decisions) == len(found.answers) == rows:
        raise BadGateway(f"The runner of {model} answered {len(found.answers)} of {rows} rows.")
    if not found.version or not all(memoryview(answer)[0] == OPENING_BRACE for answer in found.answers):
        raise BadGateway(f"The runner of {model} gave an answer that is not understood.")
    return found


def unexplained(model: str, answer: Answer) -> Problem:
    """A refusal to explain; what a refusal to predict does not know of is the runner's own words."""
    known = {404: NotFound, 409: Conflict, 413: TooLarge}
    if answer.status not in known and answer.status != 502:
        return problem(model, answer)
    try:
        detail = _said.decode(answer.body).detail
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = ""
    detail = detail or f"The runner of {model} cannot explain this row ({answer.status})."
    return Unavailable(detail, retry_after=5) if answer.status == 502 else known[answer.status](detail)


def problem(model: str, answer: Answer) -> Problem:
    """A refusal as the gateway's caller shall hear it: in the runner's own words where they are for the caller."""
    try:
        said = _said.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = Said()
    wait = min(int(answer.retry_after), LONGEST_RETRY_AFTER) if answer.retry_after.isdigit() else 1
    match answer.status:
        case 429:
            return TooManyRequests(said.detail or f"The runner of {model} is busy; try again.", headers={"Retry-After": str(wait)})
        case 503:
            return Unavailable(said.detail or f"The runner of {model} is not ready; try again.", retry_after=wait)
        case 422:
            return Invalid(said.detail or "The runner refused the row.", errors=said.errors)
        case 400:
            return BadRequest(said.detail or "The runner refused the row.", errors=said.errors)
    log.error("a runner answered with an error", extra={"model": model, "status": answer.status, "detail": said.detail})
    return BadGateway(f"The runner of {model} answered with an error ({answer.status}).")
