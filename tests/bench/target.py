"""What is measured, and one measurement of it."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.bench import machine, wrk
from tests.bench.processes import Server, ask
from tests.bench.wrk import Call

SETTLE_SECONDS = 0.3
"""For requests that wrk left under way when its time was up."""


@dataclass
class Target:
    name: str
    """As in the tables and in `--targets`."""
    title: str
    call: Callable[[], Call]
    """Made anew for each window, as tokens end."""
    servers: Mapping[str, Server]
    """All that works for it, by kind."""
    good: Callable[[bytes], bool]
    """Whether a body is the right answer: a fast wrong one is no result."""
    stored: Callable[[], int] | None = None
    """Rows that it has stored, for targets that store."""
    batch: Callable[[int], Call] | None = None
    """The same for many rows in one request."""
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    target: str
    mode: str
    round: int
    connections: int
    rps: float
    p50: float
    p90: float
    p99: float
    p999: float
    max: float
    answered: int
    failed: int
    stored: int | None
    cpu_ms: dict[str, float]
    """CPU milliseconds per answer, by kind of process."""
    pss_mb: dict[str, float]
    rss_mb: dict[str, float]
    foreign: float
    """Cores that were busy with neither the target nor wrk; much of it makes the window worthless."""

    @property
    def cpu(self) -> float:
        return sum(self.cpu_ms.values())

    @property
    def pss(self) -> float:
        return sum(self.pss_mb.values())

    @property
    def wrong(self) -> str | None:
        """Why the window is no result. wrk leaves up to `connections` requests under way: those may be stored without having been answered."""
        if self.failed or not self.answered:
            return f"{self.failed} of {self.answered + self.failed} requests failed"
        if self.stored is not None and not self.answered <= self.stored <= self.answered + self.connections:
            return f"{self.answered} answered, {self.stored} stored"
        return None

    def document(self) -> dict[str, Any]:
        return asdict(self) | {"cpu_ms_total": self.cpu, "pss_mb_total": self.pss, "wrong": self.wrong}


@dataclass(frozen=True)
class Mode:
    name: str
    servers: Collection[int]
    load: Collection[int]


def modes(wanted: Collection[str]) -> list[Mode]:
    """Pinned: all of a target on the first core, wrk on the second. Raises ValueError where that cannot be."""
    cores = machine.cores()
    if "pinned" in wanted and len(cores) < 2:
        raise ValueError("pinned windows need two cores: leave them out with --modes unpinned")
    known = {"pinned": Mode("pinned", cores[:1], cores[1:2]), "unpinned": Mode("unpinned", cores, cores)}
    return [known[name] for name in wanted]


def check(target: Target) -> None:
    """One request whose answer is read. Raises RuntimeError when it is not the right one."""
    call = target.call()
    status, body = ask(call.url, call.bodies[0], call.headers)
    if status != 200 or not target.good(body):
        raise RuntimeError(f"{target.name} answered {status}: {body[:500].decode(errors='replace')}")


def measure(target: Target, mode: Mode, *, connections: int, seconds: float, warm_up: float, number: int = 0) -> Window:
    for server in target.servers.values():
        server.check()
        server.pin(mode.servers)
    call = target.call()
    if warm_up:
        wrk.run(call, connections=connections, seconds=warm_up, cores=mode.load)
    time.sleep(SETTLE_SECONDS)
    check(target)
    stored = target.stored() if target.stored else None
    before, busy = {kind: server.cpu() for kind, server in target.servers.items()}, machine.busy_seconds()
    load = wrk.run(call, connections=connections, seconds=seconds, cores=mode.load)
    busy = machine.busy_seconds() - busy
    costs = {kind: server.cost() for kind, server in target.servers.items()}
    used = {kind: cost.cpu - before[kind] for kind, cost in costs.items()}
    time.sleep(SETTLE_SECONDS)
    return Window(
        target=target.name,
        mode=mode.name,
        round=number,
        connections=connections,
        rps=load.good / load.seconds,
        **{name: getattr(load, name) for name in ("p50", "p90", "p99", "p999", "max")},
        answered=load.good,
        failed=load.refused + load.broken,
        stored=target.stored() - stored if target.stored and stored is not None else None,
        cpu_ms={kind: seconds * 1e3 / max(load.good, 1) for kind, seconds in used.items()},
        pss_mb={kind: cost.pss for kind, cost in costs.items()},
        rss_mb={kind: cost.rss for kind, cost in costs.items()},
        foreign=max(0.0, (busy - sum(used.values()) - load.client_cpu) / load.seconds),
    )
