"""What the rounds do not show: a long tail, memory over many requests, cold starts, a second worker. Each returns a document for the results."""

import csv
import io
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import psycopg

from services.local import paths
from tests.bench import machine, wrk
from tests.bench.model import MODEL, Model
from tests.bench.ours import RUNNER, Platform
from tests.bench.peers.targets import bentoml_plain, free_port, json_bodies
from tests.bench.processes import Server, Servers, ask, wait
from tests.bench.target import Mode, Target, measure

SETTLE_REQUESTS = 20_000
Say = Callable[[str], None]


def tail(platform: Platform, ours: Target, modes: Sequence[Mode], seconds: float, say: Say) -> dict[str, Any]:
    """By mode: one long window with 16 callers, in which collections happen, and vacuums, but no checkpoint that began before.

    Beside it for half as long, with nobody calling, what the disk alone does: no commit is faster than the sync under it.
    """
    found = {}
    for mode in modes:
        with psycopg.connect(platform.settings.database_url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        window = measure(ours, mode, connections=16, seconds=seconds, warm_up=2)
        found[mode.name] = window.document() | ({"p99_of_p50": window.p99 / window.p50} if window.wrong is None else {"max": None})
        say(f"tail over {seconds:.0f} s, {mode.name}: p50 {window.p50:.2f}, p99 {window.p99:.2f}, p99.9 {window.p999:.2f}, max {window.max:.1f} ms")
        found[mode.name]["disk_max"] = machine.syncs_ms(platform.settings.home.folder, seconds / 2)[1]
        say(f"the disk alone, right after it: longest write and sync of 8 kB {found[mode.name]['disk_max']:.1f} ms")
    return found


def memory(ours: Target, requests: int, say: Say) -> dict[str, Any]:
    """Resident memory of gateway and runner after so many requests, and how much of it they gained since the first SETTLE_REQUESTS."""
    watched = {kind: ours.servers[kind] for kind in ("gateway", "runner")}

    def answer(wanted: int) -> int:
        done = 0
        while done < wanted:
            load = wrk.run(ours.call(), connections=16, seconds=5)
            if load.refused or load.broken or not load.good:
                raise RuntimeError(f"memory: {load.refused + load.broken} requests failed")
            done += load.good
            say(f"memory: {done} of {wanted} requests")
        return done

    answer(min(SETTLE_REQUESTS, requests))
    before = {kind: server.cost() for kind, server in watched.items()}
    done = answer(requests)
    after = {kind: server.cost() for kind, server in watched.items()}
    figures = {
        kind: {
            "rss_mb": after[kind].rss,
            "pss_mb": after[kind].pss,
            "growth_mb": after[kind].rss - before[kind].rss,
            "growth_pss_mb": after[kind].pss - before[kind].pss,
        }
        for kind in watched
    }
    for kind, one in figures.items():
        say(f"memory of the {kind}: {one['rss_mb']:.1f} MB, {one['growth_mb']:+.1f} MB over {done} requests")
    return {"requests": done, **figures}


def cold_start(platform: Platform, model: Model, folder: Path, times: int, say: Say) -> dict[str, Any]:
    """Seconds from starting the process to its first right answer. Ours starts as from an image: the version beside the code, the cache empty."""
    body = json_bodies([{"rows": [model.rows[0]]}])[0]

    def ours(number: int) -> float:
        port = free_port()
        mine = platform.baked | {"RUNNER_PORT": str(port), "RUNNER_CACHE_DIR": str(folder / f"cold-{number}")}
        with Servers(folder) as servers:
            started = time.perf_counter()
            server = servers.start(f"cold-ours-{number}", platform.declared[RUNNER].command, environment=mine, cwd=paths.ROOT)
            url = f"http://127.0.0.1:{port}/rows"
            wait(server, lambda: ask(url, body, {"Content-Type": "application/json"})[0] == 200, pause=0.01)
            return time.perf_counter() - started

    def bentoml(_: int) -> float:
        with Servers(folder) as servers:
            started = time.perf_counter()
            bentoml_plain(servers, model)
            return time.perf_counter() - started

    seconds: dict[str, list[float]] = {"ours": [], "bentoml": []}
    for number in range(times):
        seconds["ours"].append(ours(number))
        seconds["bentoml"].append(bentoml(number))
        say(f"cold start {number + 1} of {times}: ours {seconds['ours'][-1]:.2f} s, plain BentoML {seconds['bentoml'][-1]:.2f} s")
    return {name: {"median": statistics.median(values), "all": values} for name, values in seconds.items()}


def second_worker(platform: Platform, ours: Target, seconds: float, say: Say) -> dict[str, Any]:
    """One and two gateway workers, each on a core of its own, with a core for runner and PostgreSQL and one for wrk. The gateway is then as before."""
    cores = machine.cores()
    if len(cores) < 4:
        words = f"needs four cores (two gateway workers, runner with PostgreSQL, wrk); this machine has {len(cores)}"
        say(f"second gateway worker: not measured, {words}")
        return {"not_measured": words}
    rps = {}
    for workers in (1, 2):
        gateway = platform.gateway(workers)
        for server in (platform.running[RUNNER], platform.running["postgres"]):
            server.pin(cores[2:3])
        gateway.pin(cores[:workers])
        call = ours.call()
        wrk.run(call, connections=64, seconds=2, cores=cores[3:4])
        load = wrk.run(call, connections=64, seconds=seconds, cores=cores[3:4])
        rps[workers] = load.good / load.seconds
        say(f"gateway with {workers} worker{'s'[: workers - 1]}: {rps[workers]:.0f} rps")
    platform.gateway(1)
    return {"one": rps[1], "two": rps[2], "ratio": rps[2] / rps[1]}


def batches(targets: Sequence[Target], sizes: Sequence[int], times: int, say: Say) -> list[dict[str, Any]]:
    """Many rows in one JSON body, in each target's own protocol: seconds from the first byte sent to the last one received."""
    found = []
    for size in sizes:
        for target in (target for target in targets if target.batch):
            call = target.batch(size) if target.batch else target.call()
            seconds, status = [], 0
            stored = target.stored() if target.stored else 0
            for _ in range(times):
                started = time.perf_counter()
                status, body = ask(call.url, call.bodies[0], call.headers, timeout=300)
                seconds.append(time.perf_counter() - started)
                if status != 200:
                    break
            row = {"target": target.name, "rows": size, "status": status, "bytes": len(call.bodies[0])}
            if status == 200:
                row |= {"median": statistics.median(seconds), "least": min(seconds), "most": max(seconds)}
                row |= {"stored": target.stored() - stored, "answered": size * times} if target.stored else {}
            found.append(row)
            said = (
                f"{row['median']:.3f} s ({row['median'] / size * 1e6:.1f} µs a row)"
                if status == 200
                else f"answered {status}: {body[:160].decode(errors='replace')}"
            )
            say(f"batch of {size:>7} rows  {target.name:<13} {said}")
    return found


def csv_batch(platform: Platform, ours: Target, model: Model, rows: int, times: int, say: Say) -> dict[str, Any]:
    """Medians: seconds from the first byte of an upload to the last byte of the answer, and what the gateway's resident memory gained at most meanwhile."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(model.rows[0]))
    writer.writeheader()
    writer.writerows(model.rows[number % len(model.rows)] for number in range(rows))
    upload = text.getvalue().encode()
    headers = ours.call().headers | {"Content-Type": "text/csv", "Accept": "text/csv"}
    seconds, gained = [], []
    for _ in range(times):
        stored = platform.stored()
        with Peak(ours.servers["gateway"]) as peak:
            started = time.perf_counter()
            status, answer = ask(f"{platform.url}/predict/{MODEL}/batch", upload, headers, timeout=300)
            seconds.append(time.perf_counter() - started)
        answered, stored = len(answer.splitlines()) - 1, platform.stored() - stored
        if (status, answered, stored) != (200, rows, rows):
            said = answer[:200].decode(errors="replace") if status != 200 else ""
            say(f"CSV of {rows} rows: status {status}, {answered} rows answered, {stored} stored {said}")
            return {"rows": rows, "status": status, "answered": answered, "stored": stored}
        gained.append(peak.gained_mb)
    found = {"rows": rows, "mb": len(upload) / 1e6, "all_seconds": seconds, "all_memory_mb": gained}
    found |= {"seconds": statistics.median(seconds), "memory_mb": max(gained)}
    say(f"CSV of {rows} rows ({found['mb']:.1f} MB): {found['seconds']:.2f} s, gateway + {found['memory_mb']:.0f} MB at most, {rows} stored")
    return found


class Peak(threading.Thread):
    """Looks every few milliseconds at a server's resident memory, while the block runs."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._tree, self._over = server.tree(), threading.Event()
        self._before = self._most = self._now()

    def _now(self) -> float:
        return sum(process.memory_info().rss for process in self._tree) / 1e6

    def run(self) -> None:
        while not self._over.wait(0.005):
            self._most = max(self._most, self._now())

    @property
    def gained_mb(self) -> float:
        return self._most - self._before

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
