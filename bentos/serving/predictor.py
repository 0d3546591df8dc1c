"""Rows in, answers out. Knows nothing of HTTP or of Bento."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError, create_model

from bentos import contract
from bentos.contract import Columns, Floats
from bentos.serving import answers
from bentos.serving.artifact import Artifact
from bentos.serving.metrics import Metrics
from bentos.serving.slots import Runner, Slots
from services.kit import errors
from services.kit.http import invalid

Rows = Sequence[Mapping[str, Any]]

MOST_ROWS_INLINE = 256
"""A call with more rows would hold up the others on the event loop: it goes to a thread."""


class Predictor:
    def __init__(self, runner: Runner, metrics: Metrics, max_concurrency: int, watching: asyncio.Task[None]) -> None:
        """`watching`: the task without which the runner would serve an old version for ever."""
        self.runner, self.metrics, self._most, self._watching = runner, metrics, max_concurrency, watching
        self._under_way = 0
        inputs = contract.schema(runner.model).Input
        self._call: type[BaseModel] = create_model("Call", rows=(list[inputs], Field(min_length=1)))  # type: ignore[valid-type]

    @property
    def alive(self) -> bool:
        return not self._watching.done()

    def __enter__(self) -> None:
        """Around each call. Raises TooManyRequests at once instead of letting calls queue."""
        if self._under_way >= self._most:
            self.metrics.rejected.inc()
            raise errors.TooManyRequests(f"{self._most} calls are under way already.", headers={"Retry-After": "1"})
        self._under_way += 1
        self.metrics.in_flight.inc()

    def __exit__(self, *_: object) -> None:
        self._under_way -= 1
        self.metrics.in_flight.dec()

    async def predict(self, rows: Rows) -> dict[str, Any]:
        """Rows as `Input.model_dump()` makes them; at least one. Raises Unavailable, or Invalid for rows that are no `Input`."""
        slots = self.runner.slots
        if len(rows) <= MOST_ROWS_INLINE:
            return self._answer(rows, slots)
        return await asyncio.to_thread(self._answer, rows, slots)

    def _answer(self, rows: Rows, slots: Slots) -> dict[str, Any]:
        started = time.perf_counter()
        champion, policy = slots.champion, slots.policy
        if champion is None or (policy is None and self.runner.decides):
            raise errors.Unavailable(self.runner.unready() or "The version was loaded this moment: try again.")
        scores, columns = self._score(champion.artifact, rows)
        document = {
            "model": self.runner.model,
            "version": champion.version,
            "policy_version": policy and policy["version"],
            "engine": champion.artifact.engine.kind,
            "scores": scores.tolist(),
            "answers": answers.answer(self.runner.model, scores, columns, policy),
        }
        self.metrics.answered(champion.version, len(rows), time.perf_counter() - started)
        return document

    def _score(self, artifact: Artifact, rows: Rows) -> tuple[Floats, Columns]:
        """The rows are validated only when they cannot be scored as they are: the gateway has done it already."""
        try:
            scores, columns = artifact.score(rows)
            if np.isfinite(scores).all():
                return scores, columns
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            pass
        return artifact.score(self._validated(rows))

    def _validated(self, rows: Rows) -> Rows:
        try:
            call = self._call.model_validate({"rows": list(rows)})
        except ValidationError as error:
            raise invalid(error) from None
        dumped: Rows = call.model_dump()["rows"]
        return dumped
