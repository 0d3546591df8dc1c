"""Large answers are made smaller for those who can read that. Predictions are not: one is small, and batches have their own way."""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.predictions.batch.compression import LEAST_BYTES, Compressor, compressor
from services.gateway.predictions.batch.media import coding_of_answer

TEXTS = ("application/json", "application/problem+json", "text/")


class Compressed:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        coding = coding_of_answer(Headers(scope=scope).get("accept-encoding")) if scope["type"] == "http" else None
        await self._app(scope, receive, send if coding is None else _Answer(coding, send))


class _Answer:
    """One answer on its way out. One whose size nobody has told is large when it has more than one piece."""

    def __init__(self, coding: str, send: Send) -> None:
        self._coding, self._send = coding, send
        self._begun: Message | None = None
        self._compress: Compressor | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = message
            return
        if self._begun is not None:
            await self._begin(self._begun, message)
        if self._compress is not None:
            message = await self._smaller(message, self._compress)
        await self._send(message)

    async def _begin(self, begun: Message, first: Message) -> None:
        self._begun = None
        headers = MutableHeaders(raw=begun["headers"])
        size = headers.get("content-length")
        large = first.get("more_body", False) if size is None else int(size) >= LEAST_BYTES
        fits = headers.get("content-type", "").startswith(TEXTS) and "content-encoding" not in headers
        if fits:
            headers.add_vary_header("Accept-Encoding")
        if fits and large:
            self._compress = compressor(self._coding)
            headers["Content-Encoding"] = self._coding
            del headers["content-length"]
        await self._send(begun)

    async def _smaller(self, message: Message, compress: Compressor) -> Message:
        """In a thread, since meanwhile predictions are waiting for this one."""
        body, more = message.get("body", b""), message.get("more_body", False)
        smaller = await asyncio.to_thread(compress.compress, body) if body else b""
        return {**message, "body": smaller if more else smaller + compress.flush()}
