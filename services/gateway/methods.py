"""405 with all that a path does take: the framework looks at one route at a time, and takes a fixed path for the value of another one's parameter."""

from collections.abc import Iterable
from re import Pattern

from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit.errors import MethodNotAllowed
from services.kit.http import problem_response


class Methods:
    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._fixed: dict[str, set[str]] = {}
        self._patterns: list[tuple[Pattern[str], set[str]]] = []
        for route in routes:
            if isinstance(route, Route):
                methods = set(route.methods or ())
                if "{" in route.path:
                    self._patterns.append((route.path_regex, methods))
                else:
                    self._fixed.setdefault(route.path, set()).update(methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fixed = self._fixed.get(scope["path"])
        if fixed is not None and scope["method"] not in fixed:
            problem = MethodNotAllowed(f"{scope['method']} is not possible at {scope['path']}.", headers={"Allow": ", ".join(sorted(fixed))})
            await problem_response(problem, scope["state"]["request_id"])(scope, receive, send)
            return

        async def allowing(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == MethodNotAllowed.status:
                MutableHeaders(raw=message["headers"])["Allow"] = ", ".join(sorted(self._methods(scope["path"])))
            await send(message)

        await self._app(scope, receive, allowing)

    def _methods(self, path: str) -> set[str]:
        return set().union(*(methods for pattern, methods in self._patterns if pattern.match(path)))
