"""What stands in front of every page: nobody loads one without a session, and every answer has its security headers."""

from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from frontend.problems import GatewayError
from frontend.sessions import COOKIE, COOKIE_SECONDS, SESSIONS, Session
from frontend.wire import wire

OPEN = ("/_stcore", "/static", "/component", "/media", "/auth/", "/favicon")
"""Paths that are no pages."""
# Streamlit styles its elements inline, and plotly compiles functions for some of its charts.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def is_secure(scope: Scope) -> bool:
    """Whether the browser speaks HTTPS, to us or to a proxy before us."""
    return scope["scheme"] == "https" or Headers(scope=scope).get("x-forwarded-proto", "").split(",")[0].strip() == "https"


def cookie(value: str, scope: Scope, base: str) -> str:
    """The Set-Cookie line; an empty value removes the cookie."""
    made = SimpleCookie({COOKIE: value})
    attributes: dict[str, Any] = {"path": base or "/", "httponly": True, "samesite": "Lax", "max-age": COOKIE_SECONDS if value else 0}
    made[COOKIE].update(attributes)
    if is_secure(scope):
        made[COOKIE]["secure"] = True
    return made[COOKIE].OutputString()


def cookie_of(scope: Scope) -> str:
    try:
        found = SimpleCookie(Headers(scope=scope).get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


class Door:
    def __init__(self, app: ASGIApp, base: str) -> None:
        self._app = app
        self._base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fresh = ""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if fresh:
                    headers.append("Set-Cookie", fresh)
                    headers["Cache-Control"] = "no-store"
            await send(message)

        if not self._is_page(scope):
            await self._app(scope, receive, guarded)
            return
        brought = cookie_of(scope)
        try:
            session = await to_thread.run_sync(SESSIONS.of_cookie, wire(), brought) if brought else None
        except GatewayError:
            await self._app(scope, receive, guarded)  # the page says that the gateway is away
            return
        if session is None:
            await self._to_log_in(scope, brought)(scope, receive, guarded)
            return
        fresh = self._renewed(session, brought, scope)
        await self._app(scope, receive, guarded)

    def _is_page(self, scope: Scope) -> bool:
        """A browser that goes somewhere, and not a page that fetches its parts."""
        path = scope["path"].removeprefix(self._base)
        return scope["method"] == "GET" and not path.startswith(OPEN) and "text/html" in Headers(scope=scope).get("accept", "")

    def _renewed(self, session: Session, brought: str, scope: Scope) -> str:
        return cookie(session.cookie, scope, self._base) if session.cookie != brought else ""

    def _to_log_in(self, scope: Scope, brought: str) -> RedirectResponse:
        wanted = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        ended = "&ended=1" if brought else ""
        return RedirectResponse(f"{self._base}/auth/login?next={quote(wanted, safe='/')}{ended}", 303)
