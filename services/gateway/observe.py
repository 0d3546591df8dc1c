"""Around everything: counts and times each answer, and gives limited ones their RateLimit-* headers."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import metrics

METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})


class Observe:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        state = scope.setdefault("state", {})
        status = 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # A refusal by the limit brings its own headers.
                if (rate := state.get("rate")) is not None:
                    message["headers"] = [*message["headers"], *rate.raw_headers()]
            await send(message)

        try:
            await self.app(scope, receive, observed)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            metrics.answered(state.get("path", "other"), method, status, time.perf_counter() - started)
