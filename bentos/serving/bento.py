"""What the three lines of a model's `service.py` stand on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeVar

from bentoml.exceptions import BentoMLException
from pydantic import BaseModel
from starlette.applications import Starlette

from bentos import catalogue
from bentos.serving.hot import HotApp
from bentos.serving.lifecycle import running
from bentos.serving.settings import RunnerSettings
from services.kit import errors

Answer = TypeVar("Answer", bound=BaseModel)


def configuration(model: str) -> dict[str, Any]:
    """Of `@bentoml.service`. Bento's metrics, tracing and access log cost as much as all the rest, and the gateway has them."""
    return {
        "name": model,
        "workers": 1,
        "traffic": {"timeout": catalogue.load().models[model].timeout_seconds},
        "metrics": {"enabled": False},
        "logging": {"access": {"enabled": False}},
    }


def hot(model: str) -> HotApp:
    """The routes beside Bento's own, mounted with `@bentoml.asgi_app`. Settings are read when the process starts to serve."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        settings = RunnerSettings(model=model)
        async with running(settings) as predictor:
            app.state.predictor = predictor
            yield

    return HotApp(model, lifespan)


class RunnerService:
    """Base of the Bento services: readiness, liveness and the documented route's answer."""

    hot: HotApp

    async def __is_ready__(self) -> bool:
        """Also while nothing has been promoted: the runner is as it should be, and its 503 says more than no runner would. `/v2/health/ready` is stricter."""
        runner = self.hot.predictor.runner
        return runner.idle or runner.unready() is None

    async def __is_alive__(self) -> bool:
        return self.hot.predictor.alive

    async def answer(self, rows: Sequence[BaseModel], kind: type[Answer]) -> list[Answer]:
        """Raises Bento's exceptions, which it makes answers of."""
        try:
            with self.hot.predictor.admission.call():
                document = await self.hot.predictor.predict([row.model_dump() for row in rows])
        except errors.Problem as problem:
            raise BentoMLException(problem.detail, error_code=HTTPStatus(problem.status)) from None
        return [kind.model_validate(answer) for answer in document["answers"]]
