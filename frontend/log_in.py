"""Logging in and out: a plain HTML form, which works before any script has loaded, and fills password managers' wishes."""

import html
from contextlib import suppress
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, urlsplit

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from frontend.door import cookie, cookie_of
from frontend.gateway_client import Gateway
from frontend.problems import GatewayError
from frontend.sessions import SESSIONS
from frontend.wire import wire

PAGE = Template(Path(__file__).with_name("log_in.html").read_text(encoding="utf-8"))
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
MOST_BYTES = 8192


def routes(base: str) -> list[Route]:
    async def form(request: Request) -> Response:
        told = "Your session has ended. Log in again to go on." if request.query_params.get("ended") else ""
        said = "You are logged out." if request.query_params.get("out") else told
        return _page(base, wanted(request.query_params.get("next"), base), note=said)

    async def enter(request: Request) -> Response:
        if _is_foreign(request):
            return _page(base, base or "/", error="This log-in did not come from this page. Try again.", status=403)
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BYTES:
                return _page(base, base or "/", error="That is too long.", status=413)
        given = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True).items()}
        there, username = wanted(given.get("next"), base), given.get("username", "").strip()
        if not username or not given.get("password"):
            return _page(base, there, username, error="Both user name and password are needed.", status=422)
        try:
            session = await to_thread.run_sync(SESSIONS.log_in, wire(), username, given["password"])
        except GatewayError as error:
            again = " Try again in a moment." if error.status == 0 else ""
            return _page(base, there, username, error=f"{error.words}{again}", status=error.status or 503)
        return RedirectResponse(there, 303, {"Set-Cookie": cookie(session.cookie, request.scope, base), "Cache-Control": "no-store"})

    async def leave(request: Request) -> Response:
        if _is_foreign(request):
            return RedirectResponse(base or "/", 303)
        session = SESSIONS.get(cookie_of(request.scope).partition(".")[0])
        if session:
            SESSIONS.forget(session.id)
            with suppress(GatewayError):  # without its cookie nobody has the session any more; it ends by itself
                await to_thread.run_sync(Gateway(session).log_out)
        return RedirectResponse(f"{base}/auth/login?out=1", 303, {"Set-Cookie": cookie("", request.scope, base), "Cache-Control": "no-store"})

    return [
        Route(f"{base}/auth/login", form, methods=["GET"]),
        Route(f"{base}/auth/login", enter, methods=["POST"]),
        Route(f"{base}/auth/logout", leave, methods=["GET", "POST"]),
    ]


def wanted(where: str | None, base: str) -> str:
    """The page to go to after the log-in: one of ours, wherever the link came from."""
    home = base or "/"
    if not where or not where.startswith("/") or where.startswith("//") or "\\" in where or any(ord(letter) < 32 for letter in where):
        return home
    return where if where.startswith(base) else home


def _is_foreign(request: Request) -> bool:
    """Whether another site sent the browser here with a form or a link of its own."""
    origin = request.headers.get("origin")
    if origin and origin != "null" and urlsplit(origin).netloc != request.headers.get("host"):
        return True
    return request.headers.get("sec-fetch-site") == "cross-site"


def _page(base: str, there: str, username: str = "", *, note: str = "", error: str = "", status: int = 200) -> HTMLResponse:
    said = f'<p class="error" role="alert">{html.escape(error)}</p>' if error else f'<p class="note" role="status">{html.escape(note)}</p>' if note else ""
    body = PAGE.substitute(base=html.escape(base), next=html.escape(there), username=html.escape(username), said=said)
    return HTMLResponse(body, status, {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})
