"""The numbers that the prediction path has to reach, each beside what this run measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.bench.schedule import Results
from tests.bench.target import Window

PEERS = ("bentoml", "fastapi", "tutorial", "mlserver")


@dataclass(frozen=True)
class Claim:
    what: str
    reach: float | None
    """None: there is only a stretch."""
    stretch: float | None
    measured: float | None
    """None: not measured in this run."""
    unit: str
    at_least: bool
    """Whether more is better."""

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        if self.stretch is not None and self._holds(self.measured, self.stretch):
            return "stretch"
        if self.reach is None:
            return "no stretch"
        return "pass" if self._holds(self.measured, self.reach) else "FAIL"

    def _holds(self, measured: float, limit: float) -> bool:
        return measured >= limit if self.at_least else measured <= limit

    def document(self) -> dict[str, Any]:
        return {**vars(self), "verdict": self.verdict}


def at_least(what: str, reach: float, measured: float | None, stretch: float | None = None, unit: str = "×") -> Claim:
    return Claim(what, reach, stretch, measured, unit, at_least=True)


def at_most(what: str, reach: float | None, measured: float | None, stretch: float | None = None, unit: str = "×") -> Claim:
    return Claim(what, reach, stretch, measured, unit, at_least=False)


def ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def own_cpu(window: Window) -> float:
    return sum(window.cpu_ms.get(kind, 0.0) for kind in ("gateway", "runner", "postgres"))


def of(results: Results, mode: str, extras: Mapping[str, Any]) -> list[Claim]:
    """`extras`: the documents of what is measured beside the rounds, by name; what is absent was not measured."""

    def rps(target: str, connections: int) -> float | None:
        return results.median(lambda window: window.rps, target, mode, connections)

    def figure(get: Callable[[Window], float], connections: int) -> float | None:
        return results.median(get, "ours", mode, connections)

    def extra(name: str, *path: str) -> Any:
        found: Any = extras.get(name)
        for step in path:
            found = found.get(step) if isinstance(found, Mapping) else None
        return found

    fastest = min((found for peer in PEERS if (found := results.median(lambda window: window.p50, peer, mode, 1)) is not None), default=None)
    alone = figure(lambda window: window.p50, 1)
    return [
        *(at_least(f"full path, c={c}: rps of MLServer with batching", 3, ratio(rps("ours", c), rps("mlserver", c)), 5) for c in (16, 64)),
        *(at_least(f"full path, c={c}: rps of the tutorial stack", 20, ratio(rps("ours", c), rps("tutorial", c))) for c in (16, 64)),
        at_most("full path, c=16: CPU of gateway + runner + PostgreSQL", 0.30, figure(own_cpu, 16), 0.20, "ms"),
        at_most("full path, c=64: CPU of gateway + runner + PostgreSQL", 0.20, figure(own_cpu, 64), 0.12, "ms"),
        at_most("one caller: p50 of the fastest peer's", 1 / 3, ratio(alone, fastest)),
        at_most("one caller: p50", None, alone, 1.0, "ms"),
        at_most("one caller: p99 of p50", 3, figure(lambda window: window.p99 / window.p50, 1)),
        at_most("tail, c=16: p99 of p50", 3, extra("tail", mode, "p99_of_p50"), 2),
        at_most("tail, c=16: max", 60, extra("tail", mode, "max"), None, "ms"),
        at_most("memory: gateway", 130, extra("memory", "gateway", "rss_mb"), 90, "MB"),
        at_most("memory: runner", 170, extra("memory", "runner", "rss_mb"), 110, "MB"),
        at_most("memory: growth of the gateway", 5, extra("memory", "gateway", "growth_mb"), None, "MB"),
        at_most("memory: growth of the runner", 5, extra("memory", "runner", "growth_mb"), None, "MB"),
        at_least("bare runner, c=16: rps of MLServer with batching", 3, ratio(rps("runner", 16), rps("mlserver", 16)), 5),
        at_least("bare runner, c=16: rps of plain BentoML", 10, ratio(rps("runner", 16), rps("bentoml", 16)), 25),
        at_most("cold start of a runner: of plain BentoML's", 0.45, ratio(extra("cold_start", "ours", "median"), extra("cold_start", "bentoml", "median"))),
        at_most("cold start of a runner to its first answer", 1.5, extra("cold_start", "ours", "median"), 1.0, "s"),
        at_most("CSV batch of 100 000 rows, upload to last byte, all audited", 3, extra("csv", "seconds"), 1.2, "s"),
        at_most("CSV batch of 100 000 rows: gateway memory", 100, extra("csv", "memory_mb"), None, "MB more"),
        at_least("second gateway worker: rps of one worker's", 1.5, extra("workers", "ratio")),
        at_least("overload at 3 × saturation: goodput of its maximum", 0.85, extra("overload", "kept")),
        at_most("overload: p99 of accepted calls of the unloaded p99", 4, extra("overload", "stretched")),
    ]
