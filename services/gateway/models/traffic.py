"""What this gateway has had to do with a model's runner, from its own counters: a look at errors for who has no Prometheus."""

import os
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry
from pydantic import BaseModel, Field

from services.kit.metrics import of_workers
from services.kit.processes import started

ROWS, CALLS = "modelyard_predictions", "modelyard_hop_calls"
"""As metrics.py names them."""
SECONDS = 1.0
"""An answer is shown again for as long: whoever has many workers reads a file of each."""


class Traffic(BaseModel):
    """Since the gateway that answers began, all of its workers together; a second replica of it has counts of its own."""

    model: str
    since: datetime
    rows: dict[str, int] = Field(description="By version, rows predicted, audited and answered.")
    calls: dict[str, int] = Field(
        description="To the runner, by outcome: answered; refused (it was full, or said that the rows are wrong); late, after the deadline; "
        "unreached, broken (the connection), garbage (not understood). One call carries the rows of all who asked meanwhile."
    )


class Counts:
    def __init__(self, shared: Path | None) -> None:
        """`shared`: the folder of a gateway with several workers."""
        self._registry: CollectorRegistry = of_workers(shared / "metrics") if shared else REGISTRY
        self._since = started(os.getppid() if shared else os.getpid())
        self._last: tuple[float, Counter[tuple[str, str, str]]] | None = None

    def of(self, model: str) -> Traffic:
        """Reads files: to be called in a thread."""
        now = time.monotonic()
        if self._last is None or now - self._last[0] > SECONDS:
            self._last = now, self._counted()
        counted = self._last[1]

        def part(kind: str) -> dict[str, int]:
            return {name: count for (found, owner, name), count in sorted(counted.items()) if (found, owner) == (kind, model)}

        return Traffic(model=model, since=self._since, rows=part("rows"), calls=part("calls"))

    def _counted(self) -> Counter[tuple[str, str, str]]:
        wanted: dict[str, tuple[str, Callable[[dict[str, str]], str]]] = {
            f"{ROWS}_total": ("rows", lambda labels: labels["version"]),
            f"{CALLS}_total": ("calls", lambda labels: labels["outcome"]),
        }
        counted: Counter[tuple[str, str, str]] = Counter()
        for family in self._registry.collect():
            if family.name in (ROWS, CALLS):
                for sample in family.samples:
                    if sample.name in wanted:
                        kind, named = wanted[sample.name]
                        counted[kind, sample.labels["model"], named(sample.labels)] += int(sample.value)
        return counted
