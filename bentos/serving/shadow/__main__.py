"""`python -m bentos.serving.shadow`: scores what a runner's champion has answered by its challenger, when nobody else needs the processor.

Its orders are the first line of standard input; when that ends, so does this process: it never outlives its runner.
"""

import json
import logging
import os
import resource
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from bentos.serving.artifact import Refused
from bentos.serving.comparison import report
from bentos.serving.shadow import reading
from bentos.serving.shadow.orders import Orders
from bentos.serving.shadow.scorer import Scorer, load
from bentos.serving.shadow.upstream import Away, NotOurs, Upstream

log = logging.getLogger("bentos.serving.shadow")

MOST_MEMORY = 512 * 2**20
LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
"""Of the container, by cgroup's version 2 and 1. Where it is passed the kernel may end the runner with its child, so the child has half of it at most."""
NICE = 19
PAUSE = 4.0
"""Times as long as a block took, so that the database and control have at most a fifth of their time for it."""
IDLE_SECONDS, AWAY_SECONDS = 0.5, 2.0
REPORT_SECONDS, REPORT_PAUSE = 5.0, 30.0
"""At least so long between two reports, and so many times as long as one takes."""
OUTCOMES_SECONDS = 30.0
"""Without new rows: outcomes may have come."""
MOST_PAIRS = 10_000
"""Rows that a report looks at, the newest."""


class Shadow:
    def __init__(self, orders: Orders) -> None:
        """Raises Refused."""
        self._orders = orders
        challenger, champion = (load(one.folder, orders.model, one.sha256) for one in (orders.challenger, orders.champion))
        self._scorer = Scorer(orders.model, challenger, champion, orders.policy)
        self._upstream = Upstream(orders.control_url, orders.token.get_secret_value(), orders.model)
        self._about = {"version": orders.challenger.version, "replica": orders.replica}
        self._reported, self._next_report, self._news = 0.0, 0.0, True

    def run(self) -> None:
        """Without end."""
        while True:
            began = time.monotonic()
            try:
                rows = self._block()
                self._tell_how_it_is()
            except NotOurs:
                time.sleep(AWAY_SECONDS)
            except Away as reason:
                log.warning("control is away: %s", reason)
                time.sleep(AWAY_SECONDS)
            else:
                time.sleep(PAUSE * (time.monotonic() - began) if rows else IDLE_SECONDS)

    def _block(self) -> int:
        lines = self._upstream.post("next", self._about).splitlines()
        rows = [json.loads(line) for line in lines]
        if rows:
            told = self._scorer.tell([row["input"] for row in rows])
            scores = [
                {"id": row["id"], "score": one.score, "decision": one.decision, "error": one.error, "latency_us": one.us, "champion_us": one.champion_us}
                for row, one in zip(rows, told, strict=True)
            ]
            self._upstream.post("scores", self._about | {"scores": scores})
            self._news = True
        return len(rows)

    def _tell_how_it_is(self) -> None:
        began = time.monotonic()
        if began < self._next_report or not (self._news or began - self._reported > OUTCOMES_SECONDS):
            return
        lines = self._upstream.lines(f"pairs?version={quote(self._orders.challenger.version)}&most={MOST_PAIRS}")
        found = reading.pairs(self._orders.model, lines)
        if found is not None:
            about = {"champion": self._orders.champion.version, "champion_costs": self._orders.costs}
            self._upstream.post("report", self._about | {"report": report(found, self._orders.costs) | about})
        self._reported = time.monotonic()
        self._next_report, self._news = self._reported + max(REPORT_SECONDS, REPORT_PAUSE * (self._reported - began)), False


def main() -> None:
    orders = Orders.model_validate_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_runner, daemon=True).start()
    _step_back()
    try:
        Shadow(orders).run()
    except Refused as refused:
        sys.exit(f"version {orders.challenger.version} of {orders.model}: {refused}")


def _end_with_the_runner() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _step_back() -> None:
    """Predictions come first: with the processor, and when memory is short."""
    with suppress(OSError):
        os.nice(NICE)
    bound = most_memory(Path("/sys/fs/cgroup"))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def most_memory(cgroup: Path) -> int:
    """In bytes."""
    bound = MOST_MEMORY
    for name in LIMITS:
        with suppress(OSError, ValueError):  # "max": there is none
            bound = min(bound, int((cgroup / name).read_text()) // 2)
    return bound


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="shadow: %(message)s", stream=sys.stderr)
    main()
