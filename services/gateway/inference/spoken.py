"""Errors in the words of the protocol."""

from typing import Any

import orjson
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX = "/v2"


class Spoken:
    """Problems below /v2, whoever made them, get the member `error`: clients of the protocol look for nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        begun: Message | None = None

        async def spoken(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and message["status"] >= 400:
                begun = message
                return
            if begun is not None:
                message = {**message, "body": _with_error(message.get("body", b""))}
                MutableHeaders(raw=begun["headers"])["Content-Length"] = str(len(message["body"]))
                await send(begun)
                begun = None
            await send(message)

        await self._app(scope, receive, spoken)


def _with_error(body: bytes) -> bytes:
    """A refusal is one piece; what is no problem, such as an answer about readiness, stays as it is."""
    document: Any = orjson.loads(body) if body.startswith(b"{") else None
    if not isinstance(document, dict) or "detail" not in document:
        return body
    return orjson.dumps(document | {"error": document["detail"]})
