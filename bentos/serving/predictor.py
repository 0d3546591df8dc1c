"""Rows in, answers out. Knows nothing of HTTP or of Bento."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError, create_model

from bentos import contract
from bentos.contract import Columns, Floats
from bentos.serving import answers, columns
from bentos.serving.admission import Admission
from bentos.serving.artifact import Artifact
from bentos.serving.explaining import Explaining
from bentos.serving.metrics import Metrics
from bentos.serving.slots import Runner, Slot, Slots
from services.kit import errors
from services.kit.http import invalid

log = logging.getLogger(__name__)

Rows = Sequence[Mapping[str, Any]]

MOST_ROWS_INLINE = 256
"""A call with more rows would hold up the others on the event loop: it goes to a thread."""
MOST_BYTES_INLINE = 64 * 1024
"""The same for a block of columns."""


class Predictor:
    def __init__(self, runner: Runner, metrics: Metrics, max_concurrency: int, watching: asyncio.Task[None], explaining: Explaining | None = None) -> None:
        """`watching`: the task without which the runner would serve an old version for ever. By default only what is in the slots is explained."""
        self.runner, self.metrics, self._watching = runner, metrics, watching
        self.admission = Admission(max_concurrency, metrics)
        self.explaining = explaining or Explaining(runner, metrics)
        inputs = contract.schema(runner.model).Input
        self.fields = contract.kinds(inputs)
        self._call: type[BaseModel] = create_model("Call", rows=(list[inputs], Field(min_length=1)))  # type: ignore[valid-type]

    @property
    def alive(self) -> bool:
        return not self._watching.done()

    async def predict(self, rows: Rows, *, by_challenger: bool = False) -> dict[str, Any]:
        """Rows as `Input.model_dump()` makes them; at least one. Raises Unavailable, or Invalid for rows that are no `Input`.

        `by_challenger`: where there is none, or it fails, the champion answers.
        """
        slots = self.runner.slots
        answer = self._answer_as_tried if by_challenger else self._answer
        if len(rows) <= MOST_ROWS_INLINE:
            return answer(rows, slots)
        return await asyncio.to_thread(answer, rows, slots)

    async def predict_columns(self, block: bytes) -> bytes:
        """A block of columns (see `columns`) for one of answers. Raises as `predict` does, BadRequest for what is no block, and Conflict
        when the state that the block asks for is not kept any more."""
        if len(block) <= MOST_BYTES_INLINE:
            return self._answer_block(block)
        return await asyncio.to_thread(self._answer_block, block)

    def _answer_as_tried(self, rows: Rows, slots: Slots) -> dict[str, Any]:
        tried = slots.tried
        if tried is not None:
            try:
                return self._answer(rows, tried)
            except errors.Invalid:
                raise
            except Exception:
                log.exception("the challenger failed, the champion answers", extra={"model": self.runner.model})
        return self._answer(rows, slots)

    def _answer(self, rows: Rows, slots: Slots) -> dict[str, Any]:
        started = time.perf_counter()
        champion = self._champion(slots)
        try:
            scores, inputs = self._score(champion.artifact, rows)
            scored = answers.in_rows(self.runner.model, scores, inputs, slots.policy, champion.artifact.shifts)
        except errors.Problem:
            raise
        except Exception:
            self.metrics.failed(champion.version, len(rows))
            raise
        self.metrics.answered(champion.version, len(rows), time.perf_counter() - started)
        return self._about(slots, champion) | scored._asdict()

    def _answer_block(self, block: bytes) -> bytes:
        started = time.perf_counter()
        header, sent = columns.decode(block, self.fields)
        slots = self.runner.slots if header.serving is None else self._kept(header.serving)
        champion = self._champion(slots)
        scores, inputs = self._score_columns(champion.artifact, sent, header.rows)
        table = answers.in_columns(self.runner.model, scores, inputs, slots.policy, champion.artifact.shifts)
        answer = columns.encode(self._about(slots, champion) | {"rows": header.rows}, table)
        self.metrics.answered(champion.version, header.rows, time.perf_counter() - started)
        return answer

    def _champion(self, slots: Slots) -> Slot:
        if slots.champion is None or (slots.policy is None and self.runner.decides):
            raise errors.Unavailable(self.runner.unready() or "The version was loaded this moment: try again.")
        return slots.champion

    def _kept(self, pin: columns.Pin) -> Slots:
        slots = self.runner.kept(pin.version, pin.policy_version)
        if slots is None:
            raise errors.Conflict(f"Version {pin.version} with policy {pin.policy_version} does not serve and is not kept any more; start again.")
        return slots

    def _about(self, slots: Slots, champion: Slot) -> dict[str, Any]:
        policy = slots.policy
        return {
            "model": self.runner.model,
            "version": champion.version,
            "policy_version": policy and policy["version"],
            "engine": champion.artifact.engine.kind,
        }

    def _score(self, artifact: Artifact, rows: Rows) -> tuple[Floats, Columns]:
        """The rows are validated only when they cannot be scored as they are: the gateway has done it already."""
        try:
            scores, inputs = artifact.score(rows)
            if np.isfinite(scores).all():
                return scores, inputs
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            pass
        return artifact.score(self._validated(rows))

    def _score_columns(self, artifact: Artifact, inputs: Columns, rows: int) -> tuple[Floats, Columns]:
        try:
            scores = artifact.score_columns(inputs, rows)
            if np.isfinite(scores).all():
                return scores, inputs
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            pass
        return artifact.score(self._validated(contract.rows_of_columns(inputs, self.fields)))

    def _validated(self, rows: Rows) -> Rows:
        try:
            call = self._call.model_validate({"rows": list(rows)})
        except ValidationError as error:
            raise invalid(error) from None
        dumped: Rows = call.model_dump()["rows"]
        return dumped
