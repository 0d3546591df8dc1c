"""A version that scores rows which another one has answered."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bentos import catalogue
from bentos.contract import Columns, Floats
from bentos.serving import answers, artifact
from bentos.serving.answers import Coded
from bentos.serving.artifact import Artifact

TIMED_EVERY = 10
"""One row in so many is scored alone by both versions, to compare how long that takes."""

Row = Mapping[str, Any]


class Told(NamedTuple):
    """What a version says of a row, or `error`. Times in microseconds, of a call with this row alone."""

    score: float | None
    decision: str | None
    error: str | None = None
    us: float | None = None
    champion_us: float | None = None


class Scorer:
    def __init__(self, model: str, challenger: Artifact, champion: Artifact | None, policy: Mapping[str, Any] | None) -> None:
        """`policy` is the challenger's. Without `champion`, nothing is timed."""
        self._model, self._challenger, self._champion, self._policy = model, challenger, champion, policy

    def tell(self, rows: Sequence[Row]) -> list[Told]:
        """In their order. What fails together is tried row by row."""
        try:
            found = self._scored(rows)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if len(rows) == 1:
                return [Told(None, None, f"{type(error).__name__}: {error}"[:500])]
            return [told for row in rows for told in self.tell([row])]
        for place, us, champion_us in self.timed(rows):
            found[place] = found[place]._replace(us=us, champion_us=champion_us)
        return found

    def columns(self, columns: Columns, rows: int) -> tuple[Floats, Any]:
        """Scores, NaN where there is none, and which decisions are the positive one (None for a regression). Raises what models raise."""
        table = answers.in_columns(self._model, self._challenger.score_columns(columns, rows), columns, self._policy, self._challenger.shifts)
        scores = table.columns[table.score]
        assert not isinstance(scores, Coded)  # noqa: S101 - the score is a number
        decisions = table.columns["decision"] if table.decision else None
        return np.asarray(scores, dtype=np.float64), None if decisions is None else decisions.codes == 1  # type: ignore[union-attr]

    def _scored(self, rows: Sequence[Row]) -> list[Told]:
        scores, columns = self._challenger.score(rows)
        told = answers.in_rows(self._model, scores, columns, self._policy, self._challenger.shifts)
        return [
            Told(score, decision) if np.isfinite(score) else Told(None, None, "the score is not a finite number")
            for score, decision in zip(told.scores, told.decisions, strict=True)
        ]

    def positive(self, decisions: Iterable[str | None]) -> Any:
        """Which of them are the positive one; None for a regression."""
        labels = catalogue.load().models[self._model].decisions
        return None if labels is None else np.array([decision == labels.positive for decision in decisions])

    def timed(self, rows: Sequence[Row]) -> Iterator[tuple[int, float, float]]:
        """Of some of the rows: its place, and how long the challenger and the champion take for it alone, in microseconds."""
        if self._champion is None:
            return
        for place in range(0, len(rows), TIMED_EVERY):
            row = [rows[place]]
            try:
                # Whoever comes second finds the row in the processor's cache: they take turns.
                first, second = (self._challenger, self._champion)[:: 1 if place // TIMED_EVERY % 2 else -1]
                times = {id(one): _time(one, row) for one in (first, second)}
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                continue
            yield place, times[id(self._challenger)], times[id(self._champion)]


def load(folder: Any, model: str, sha256: str) -> Artifact:
    """Raises Refused."""
    return artifact.read(folder, model, sha256)


def _time(version: Artifact, row: Sequence[Row]) -> float:
    began = time.perf_counter()
    version.score(row)
    return (time.perf_counter() - began) * 1e6
