"""The newest reports on drift and on live performance, as metrics."""

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import Gauge

from services.control import metrics
from services.control.drift.schemas import Kind
from services.control.figures.repository import FiguresRepository, Row

STATISTICS = ("psi", "ks", "wasserstein", "chi2", "missing", "unseen", "out_of_range")
FIGURES = ("value", "low", "high")

Series = dict[tuple[str, ...], float | None]


class Reports:
    def __init__(self, repository: FiguresRepository) -> None:
        self._repository = repository
        self._newest: dict[Kind, dict[str, Row]] = {"drift": {}, "performance": {}}

    async def look(self) -> Mapping[Gauge, Series]:
        """Raises psycopg.Error."""
        for kind, known in self._newest.items():
            known.update({row["model"]: row for row in await self._repository.new_reports(kind, {model: row["id"] for model, row in known.items()})})
        drift, live = self._newest["drift"], self._newest["performance"]
        return {
            metrics.DRIFT: {(model, *labels): value for model, row in drift.items() for *labels, value in measured(row["document"])},
            metrics.DRIFT_ALARM: {(model,): row["alarm"] for model, row in drift.items()},
            metrics.DRIFT_ROWS: {(model,): row["rows"] for model, row in drift.items()},
            metrics.DRIFT_CHECKED: {(model,): row["at"] for model, row in drift.items()},
            metrics.LIVE_METRIC: {(model, *labels): value for model, row in live.items() for *labels, value in live_figures(row["document"])},
            metrics.LIVE_OUTCOMES: {(model,): row["rows"] for model, row in live.items()},
            metrics.LIVE_ALARM: {(model,): row["alarm"] for model, row in live.items()},
        }


def measured(document: Any) -> Iterable[tuple[str, str, float]]:
    """Feature, statistic and number. What is not as the step writes it is left out, and so is what could not be measured."""
    listed = [*(document.get("features") or []), document.get("score")] if isinstance(document, dict) else []
    for one in listed:
        for statistic in STATISTICS if isinstance(one, dict) else ():
            value = one.get(statistic)
            if isinstance(value, int | float):
                yield str(one.get("feature")), statistic, float(value)


def live_figures(document: Any) -> Iterable[tuple[str, str, str, float]]:
    """Version, metric, figure and number."""
    for version in document.get("versions") or [] if isinstance(document, dict) else []:
        found = version.get("metrics") if isinstance(version, dict) else None
        for metric, one in found.items() if isinstance(found, dict) else ():
            for figure in FIGURES:
                value = one.get(figure) if isinstance(one, dict) else None
                if isinstance(value, int | float):
                    yield str(version.get("version")), metric, figure, float(value)
