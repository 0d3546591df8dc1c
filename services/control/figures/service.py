"""What only the database knows, as metrics: how good the served versions are, how runs ended, what the newest predictions say, the database itself."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import Gauge
from psycopg import Error

from services.control import metrics
from services.control.figures.reports import Reports
from services.control.figures.repository import FiguresRepository, Row
from services.kit.postgres import Pool
from services.kit.tasks import beside

log = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
MOST_PREDICTIONS = 5_000
"""Of each model: bounds what a look costs the database, and is enough for a mean."""
UNDER_WAY = ("queued", "running")

Series = Mapping[tuple[str, ...], float | None]
"""Labels and value."""


@asynccontextmanager
async def showing(pool: Pool, models: Collection[str]) -> AsyncIterator[None]:
    """Looks again and again while the block lasts."""
    figures = Figures(FiguresRepository(pool, models), models)
    try:
        async with beside(figures.run(), "show figures"):
            yield
    finally:
        figures.forget()


class Figures:
    def __init__(self, repository: FiguresRepository, models: Collection[str]) -> None:
        self._repository, self._models = repository, models
        self._reports = Reports(repository)
        self._shown: dict[Gauge, set[tuple[str, ...]]] = {}

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as error:
                log.warning("cannot read the figures", extra={"error": str(error)}, exc_info=not isinstance(error, Error))
                self.forget()
                metrics.DATABASE_UP.set(not isinstance(error, Error))
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        """Raises psycopg.Error."""
        database = await self._repository.database()
        metrics.DATABASE_UP.set(1)
        self._show(metrics.DATABASE_BYTES, {(): database["bytes"]})
        self._show(metrics.DATABASE_CONNECTIONS, {(): database["connections"]})
        self._show(metrics.DATABASE_CONNECTIONS_MAX, {(): database["most"]})
        self._champions(await self._repository.champions())
        self._runs(await self._repository.runs())
        self._recent(await self._repository.recent(MOST_PREDICTIONS))
        for gauge, series in (await self._reports.look()).items():
            self._show(gauge, series)

    def _champions(self, rows: list[Row]) -> None:
        of = {(row["model"], row["version"]): row for row in rows}
        figures: Series = {(*labels, metric, figure): value for labels, row in of.items() for metric, figure, value in holdout(row["metrics"])}
        self._show(metrics.CHAMPION_METRIC, figures)
        self._show(metrics.CHAMPION_TRAINED, {labels: row["trained"] for labels, row in of.items()})
        self._show(metrics.POLICY_THRESHOLD, {(row["model"], str(row["policy"])): row["threshold"] for row in rows})

    def _runs(self, rows: list[Row]) -> None:
        of = {(row["model"], row["kind"], row["status"]): row for row in rows}
        under_way: dict[tuple[str, ...], float] = {(model, status): 0 for model in self._models for status in UNDER_WAY}
        for (model, _, status), row in of.items():
            if status in UNDER_WAY:
                under_way[model, status] += row["runs"]
        self._show(metrics.RUNS_UNDER_WAY, under_way)
        self._show(metrics.RUN_ENDED, {labels: row["ended"] for labels, row in of.items()})
        self._show(metrics.RUN_SECONDS, {labels: row["seconds"] for labels, row in of.items()})

    def _recent(self, rows: list[Row]) -> None:
        for gauge, name in (
            (metrics.RECENT_PREDICTIONS, "predictions"),
            (metrics.RECENT_USERS, "users"),
            (metrics.RECENT_PROBABILITY, "probability"),
            (metrics.RECENT_COST, "cost"),
        ):
            self._show(gauge, {(row["model"],): row[name] for row in rows})

    def _show(self, gauge: Gauge, series: Series) -> None:
        """These and no others; None is left out."""
        known = {labels: value for labels, value in series.items() if value is not None}
        for labels, value in known.items():
            (gauge.labels(*labels) if labels else gauge).set(value)
        for gone in self._shown.get(gauge, set()) - known.keys():
            if gone:
                gauge.remove(*gone)
            else:
                gauge.set(float("nan"))
        self._shown[gauge] = set(known)

    def forget(self) -> None:
        """A figure that nobody can vouch for is better absent."""
        for gauge in self._shown:
            self._show(gauge, {})


def holdout(document: Any) -> Iterable[tuple[str, str, float]]:
    """Metric, figure and number of what the evaluate step measured. What is not as it writes it is left out."""
    measured = document.get("holdout") if isinstance(document, dict) else None
    for part, figures in (("metrics", ("value", "low", "high")), ("baseline", ("baseline",))):
        found = measured.get(part) if isinstance(measured, dict) else None
        for metric, one in found.items() if isinstance(found, dict) else ():
            for figure in figures:
                value = one.get(figure) if isinstance(one, dict) else one
                if isinstance(value, int | float):
                    yield metric, figure, float(value)
