"""What every answer tells browsers, and which other origins they may let in."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.settings import Settings
from services.kit.http import header

Headers = list[tuple[bytes, bytes]]

ALWAYS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]
HTTPS: Headers = [(b"strict-transport-security", b"max-age=31536000; includeSubDomains")]
"""Outside of a laptop, where something in front speaks TLS; browsers ignore it over plain HTTP."""
ALLOWED = b", ".join(
    (
        b"Authorization",
        b"X-API-Key",
        b"Content-Type",
        b"Content-Encoding",
        b"Accept",
        b"Idempotency-Key",
        b"If-None-Match",
        b"X-Request-ID",
        b"X-Request-Timeout",
    )
)
SHOWN = b", ".join(
    (
        *(b"X-Request-ID", b"ETag", b"Retry-After", b"RateLimit-Limit", b"RateLimit-Remaining", b"RateLimit-Reset"),
        *(b"X-Batch-ID", b"X-Rows-Failed", b"Idempotency-Replayed", b"Content-Disposition"),
    )
)
PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE"),
    (b"access-control-allow-headers", ALLOWED),
    (b"access-control-max-age", b"600"),
    (b"content-length", b"0"),
]


class Edge:
    """Nobody is let in by cookie: credentials are headers that a page has to know, so any listed origin may read answers."""

    def __init__(self, settings: Settings) -> None:
        self._always = ALWAYS if settings.environment == "local" else ALWAYS + HTTPS
        self._origins = frozenset(origin.encode() for origin in settings.origins)

    def headers(self, scope: Scope) -> Headers:
        if not self._origins:
            return self._always
        return [*self._always, *self.admitted(scope), (b"vary", b"Origin")]

    def admitted(self, scope: Scope) -> Headers:
        """Empty for an origin that is not listed: the browser then keeps the answer from the page."""
        origin = header(scope, b"origin")
        if not origin or (origin not in self._origins and b"*" not in self._origins):
            return []
        return [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", SHOWN)]


class Bordered:
    """Around everything: adds these headers, and answers browsers that ask before they call."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        edge: Edge = scope["app"].state.gateway.edge
        headers = edge.headers(scope)
        if scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method") and edge.admitted(scope):
            await send({"type": "http.response.start", "status": 204, "headers": [*headers, *PREFLIGHT]})
            await send({"type": "http.response.body", "body": b""})
            return

        async def bordered(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        await self._app(scope, receive, bordered)
