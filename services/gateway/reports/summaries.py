"""A batch in numbers, from the audit alone."""

from collections import Counter
from typing import Any
from uuid import UUID

from services.gateway.reports import repository
from services.gateway.reports.schemas import BatchSummary, Bin, Failed, Scores
from services.gateway.state import State
from services.kit.errors import NotFound


async def summary(state: State, batch_id: UUID) -> BatchSummary:
    """Raises NotFound."""
    async with state.pool.connection() as connection:
        parts = await repository.parts(connection, batch_id)
        if not parts:
            raise NotFound(f"There is no batch {batch_id}.")
        rows, decisions, scored = sum(part["rows"] for part in parts), Counter[str](), [part for part in parts if part["sum"] is not None]
        for part in parts:
            if part["decision"] is not None:
                decisions[part["decision"]] += part["rows"]
        failed = max(part["last"] for part in parts) + 1 - rows
        positions = await repository.missing(connection, batch_id, failed + rows - 1) if failed else []
        scores = _scores(scored) if scored else None
        if scores is None:
            histogram = []
        elif decisions:  # they come from probabilities
            counts = Counter[int]()
            for part in scored:
                counts[part["bin"]] += part["rows"]
            histogram = _bins(0.0, 1.0, [counts[place] for place in range(repository.BINS)])
        else:
            low, high = _wider(scores.min, scores.max)
            histogram = _bins(low, high, await repository.histogram(connection, batch_id, low, high))
    return BatchSummary(
        batch_id=batch_id,
        model=parts[0]["model"],
        model_versions=sorted({part["model_version"] for part in parts}),
        policy_versions=sorted({part["policy_version"] for part in parts} - {None}),
        created_at=min(part["created_at"] for part in parts),
        username=parts[0]["username"],
        request_id=parts[0]["request_id"],
        rows=rows,
        failed=Failed(count=failed, positions=positions),
        decisions=dict(sorted(decisions.items())),
        scores=scores,
        histogram=histogram,
    )


async def model_of(state: State, batch_id: UUID) -> str:
    """Raises NotFound."""
    async with state.pool.connection() as connection:
        model = await repository.model_of(connection, batch_id)
    if model is None:
        raise NotFound(f"There is no batch {batch_id}.")
    return model


def _scores(scored: list[dict[str, Any]]) -> Scores:
    mean = sum(part["sum"] for part in scored) / sum(part["rows"] for part in scored)
    return Scores(min=min(part["min"] for part in scored), mean=mean, max=max(part["max"] for part in scored))


def _bins(low: float, high: float, counts: list[int]) -> list[Bin]:
    step = (high - low) / len(counts)
    return [Bin(begin=low + step * place, end=low + step * (place + 1), rows=rows) for place, rows in enumerate(counts)]


def _wider(low: float, high: float) -> tuple[float, float]:
    """Equal ends would be no bins."""
    return (low, high) if high > low else (low - max(abs(low), 1.0) / 100, high + max(abs(high), 1.0) / 100)
