"""One base for every error that a client may see; its body is RFC 9457 problem details."""

from typing import Any, ClassVar, NotRequired, TypedDict


class FieldError(TypedDict):
    """One broken rule of a payload. `field` is a dotted path, `value` what was sent (shortened, never a secret)."""

    field: str
    rule: str
    value: Any
    line: NotRequired[int]
    """Where in a CSV file."""


class Problem(Exception):
    """Raise a subclass; `detail` is written for the person who meets it: what happened, what to do."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(
        self, detail: str, *, errors: list[FieldError] | None = None, headers: dict[str, str] | None = None, extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}
        self.extra = extra or {}

    def body(self, request_id: str) -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": f"urn:modelyard:problem:{self.title.lower().replace(' ', '-')}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.errors is not None:
            body["errors"] = self.errors
        return body | self.extra


class BadRequest(Problem):
    status = 400
    title = "Bad request"


class Unauthorized(Problem):
    status = 401
    title = "Not authenticated"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(Problem):
    status = 403
    title = "Not allowed"


class NotFound(Problem):
    status = 404
    title = "Not found"


class MethodNotAllowed(Problem):
    status = 405
    title = "Method not allowed"


class RequestTimeout(Problem):
    """The client did not send its request in the time it has for that."""

    status = 408
    title = "Request too slow"


class NotAcceptable(Problem):
    status = 406
    title = "Not acceptable"


class Conflict(Problem):
    status = 409
    title = "Conflict"


class TooLarge(Problem):
    status = 413
    title = "Body too large"


class UnsupportedMedia(Problem):
    status = 415
    title = "Unsupported content type"


class Invalid(Problem):
    """The payload breaks the schema: `errors` names every field, rule and value at once."""

    status = 422
    title = "Invalid payload"


def of_fields(listed: list[FieldError], found: int | None = None, where: str = "") -> Invalid:
    """`found`: how many broken rules there are if not all are listed; `where`: in what part of the payload, with a space before it."""
    count = len(listed) if found is None else found
    shown = "" if len(listed) == count else f", of which {len(listed)} are listed"
    return Invalid(f"{count} field error{'s' if count > 1 else ''}{where}{shown}: see `errors`.", errors=listed)


class TooManyRequests(Problem):
    status = 429
    title = "Too many requests"


class BadGateway(Problem):
    status = 502
    title = "Bad answer from upstream"


class Unavailable(Problem):
    """Something this answer needs is away for the moment; the client may try again after `retry_after` seconds."""

    status = 503
    title = "Temporarily unavailable"

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class GatewayTimeout(Problem):
    status = 504
    title = "Upstream timed out"
