"""Lists that are polled: whoever has the newest answer already is told so in a few bytes (RFC 9110, 8.8 and 13.1.2)."""

import re
from hashlib import blake2b
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "What the caller has is the newest, as its ETag in If-None-Match says."}}
PARAMETER = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The ETag of the answer that the caller has; 304 without a body when nothing has changed.",
}
POLLED = {"parameters": [PARAMETER]}
"""For `openapi_extra`."""
_PASSING = re.compile(rb'"(?:reported_at|stale_seconds|age_seconds)":(?:"[^"]*"|[0-9.]+|null)')
"""Differs in every answer, though nothing has happened. That is why the tags are weak ones; another reason is that answers may be compressed."""


def tagged(request: Request, document: Any) -> Response:
    """The document as JSON with its ETag, or 304. Takes what orjson takes; of a pydantic model, its `model_dump(mode="json")`."""
    body = orjson.dumps(document)
    tag = f'W/"{blake2b(_PASSING.sub(b"", body), digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if _has(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _has(given: str, tag: str) -> bool:
    """Compared weakly, as If-None-Match has to be."""
    known = {part.strip().removeprefix("W/") for part in given.split(",")}
    return "*" in known or tag.removeprefix("W/") in known
