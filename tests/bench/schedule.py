"""Rounds of interleaved windows: what the machine does to one target in a minute, it does to the others in the same minute."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.target import Mode, Target, Window, measure

CONNECTIONS = (1, 16, 64)


@dataclass(frozen=True)
class Plan:
    modes: Sequence[Mode]
    rounds: int
    seconds: float
    warm_up: float
    connections: Sequence[int] = CONNECTIONS


def run(targets: Sequence[Target], plan: Plan, say: Callable[[str], None]) -> list[Window]:
    """The order of the targets turns from round to round, so that none is always the first after another."""
    total = len(plan.modes) * plan.rounds * len(plan.connections) * len(targets)
    started, windows = time.monotonic(), list[Window]()
    for mode in plan.modes:
        for number in range(1, plan.rounds + 1):
            turned = [*targets[(number - 1) % len(targets) :], *targets[: (number - 1) % len(targets)]]
            for connections in plan.connections:
                for target in turned:
                    window = measure(target, mode, connections=connections, seconds=plan.seconds, warm_up=plan.warm_up, number=number)
                    windows.append(window)
                    left = (time.monotonic() - started) / len(windows) * (total - len(windows))
                    say(f"{progress(len(windows), total, left)} {mode.name} round {number} c={connections:<3} {line(window)}")
    return windows


def progress(done: int, total: int, seconds_left: float) -> str:
    return f"[{done:>{len(str(total))}}/{total}, {seconds_left / 60:4.1f} min left]"


def line(window: Window) -> str:
    wrong = f"  INVALID: {window.wrong}" if window.wrong else ""
    return (
        f"{window.target:<13} {window.rps:>8.0f} rps  p50 {window.p50:>7.2f}  p99 {window.p99:>7.2f}  max {window.max:>7.1f} ms  "
        f"{window.cpu:>6.3f} CPU-ms{f'  ({window.foreign:.0%} of a core foreign)' if window.foreign > 0.1 else ''}{wrong}"
    )


@dataclass(frozen=True)
class Spread:
    """Of one figure over the rounds."""

    median: float
    least: float
    most: float


class Results:
    """The windows by target, mode and connections. A row with an invalid window is invalid as a whole."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self.windows = windows

    def of(self, target: str, mode: str, connections: int) -> list[Window]:
        return [one for one in self.windows if (one.target, one.mode, one.connections) == (target, mode, connections)]

    def wrong(self, target: str, mode: str, connections: int) -> str | None:
        return next((one.wrong for one in self.of(target, mode, connections) if one.wrong), None)

    def spread(self, figure: Callable[[Window], float], target: str, mode: str, connections: int) -> Spread | None:
        """None when it was not measured, or is not valid."""
        values = [figure(one) for one in self.of(target, mode, connections)]
        if not values or self.wrong(target, mode, connections):
            return None
        return Spread(median(values), min(values), max(values))

    def median(self, figure: Callable[[Window], float], target: str, mode: str, connections: int) -> float | None:
        found = self.spread(figure, target, mode, connections)
        return found.median if found else None
