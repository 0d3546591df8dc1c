"""One HTTP/1.1 connection to a runner, for one call at a time: a fifth of aiohttp's work, and it knows whether a call can have reached the model.

A call is *unreached* as long as not a byte of it was handed to the kernel: no connection, or an idle one on which the other side has already closed. It is
looked at in the instant before writing, because the event loop may not have come to hear of it. From the first byte on the call may have reached the model,
whatever happens to the connection, and is never made again.

What keeps those cases rare: idle connections are closed here long before the runner would (KEEP_SECONDS against uvicorn's 75), and a runner that is about to
stop says so on every answer for some time before it closes anything.

An answer must be delimited by Content-Length or chunks: one that ends with the connection cannot be told from one that was cut off.
"""

import asyncio
import select
from dataclasses import dataclass
from typing import cast

import httptools

KEEP_SECONDS = 30.0
MOST_HEAD_BYTES = 64 * 1024


class Unreached(Exception):
    """Nothing of the call was sent."""


class Broken(Exception):
    """The call may have been received, but there is no whole answer. `garbage`: what came was not HTTP, or too much of it."""

    def __init__(self, reason: str, *, garbage: bool = False) -> None:
        super().__init__(reason)
        self.garbage = garbage


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes
    retry_after: bytes = b""
    draining: bool = False


class Connection(asyncio.Protocol):
    def __init__(self, most_bytes: int) -> None:
        """`most_bytes`: of an answer's body; a longer one breaks the connection."""
        self._most_bytes = most_bytes
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._answer: asyncio.Future[Answer] | None = None
        self._begin()
        self.last_used = 0.0

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._bytes = 0
        self._status = 0
        self._retry_after = b""
        self._draining = self._headed = self._complete = self._keeps = False

    @property
    def open(self) -> bool:
        """As far as the event loop has heard."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def usable(self) -> bool:
        """As far as the kernel has heard, too: neither an end nor anything that nobody asked for waits to be read."""
        return self.open and not self._poll.poll(0)

    def ask(self, head: bytes, body: bytes) -> asyncio.Future[Answer]:
        """Raises Unreached when the connection is not open any more; the future, Broken. Abandoning the future asks for `close`."""
        if self._transport is None or not self.open:
            raise Unreached("the connection was closed before anything was sent")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.writelines((head, body)) if len(body) > MOST_HEAD_BYTES else self._transport.write(head + body)
        return self._answer

    def close(self) -> None:
        """At once, also in the middle of a call."""
        if self._transport is not None:
            self._transport.abort()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)

    def data_received(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._answer is None:
            self.close()
        else:
            try:
                self._parser.feed_data(data)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
                self._fail(Broken(f"not HTTP: {error}", garbage=True))
            if self._bytes > (self._most_bytes if self._headed else 0) + MOST_HEAD_BYTES:
                self._fail(Broken(f"too much: {self._bytes} bytes", garbage=True))
            elif self._complete and self._answer is not None:
                self._finish(self._answer)

    def eof_received(self) -> None:
        """The other side sends nothing more; returning None closes the transport."""

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._fail(Broken(f"the connection broke {'in the middle of' if self._bytes else 'before'} the answer{f': {error}' if error else ''}"))

    # Called by the parser.

    def on_message_begin(self) -> None:
        """A second one was not asked for: what follows on this connection could be taken for the answer to another call."""
        if self._complete:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"retry-after":
                self._retry_after = value
            case b"x-draining":
                self._draining = True

    def on_headers_complete(self) -> None:
        self._headed = True

    def on_body(self, data: bytes) -> None:
        if not self._complete:
            self._chunks.append(data)

    def on_message_complete(self) -> None:
        if not self._complete:
            self._complete = True
            self._status, self._keeps = self._parser.get_status_code(), self._parser.should_keep_alive()

    def _finish(self, future: asyncio.Future[Answer]) -> None:
        answer = Answer(self._status, b"".join(self._chunks), self._retry_after, self._draining)
        if not self._keeps:
            self.close()
        self._answer = None
        self._begin()
        if not future.done():
            future.set_result(answer)

    def _fail(self, broken: Broken) -> None:
        future, self._answer = self._answer, None
        self.close()
        if future is not None and not future.done():
            future.set_exception(broken)
