"""`python -m tests.bench`: brings up ours and the peers, measures them in turn, prints and stores what it found."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.local.paths import ROOT
from tests.bench import claims, dashboard, drift, exactly, extras, history, machine, overload, report, rollouts, schedule, scored, wrk
from tests.bench.model import Model
from tests.bench.ours import Platform
from tests.bench.ours import targets as our_targets
from tests.bench.peers import targets as peers
from tests.bench.processes import Servers
from tests.bench.schedule import Plan, Results
from tests.bench.target import Target, Window, check, measure, modes

RESULTS = ROOT / "bench-results"
ENVIRONMENTS = ROOT / ".tools" / "bench"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results: written by make bench -->", "<!-- end of results -->"
TARGETS = ("ours", "runner", "runner-bento", "bentoml", "fastapi", "tutorial", "mlserver")
PARTS = ("rounds", "exactly", "memory", "tail", "cold_start", "batches", "csv", "overload", "workers", "history", "rollouts", "dashboard", "drift", "scored")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, windows of 3 s, pinned only: for a first look (about five minutes)")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--seconds", type=float, help="of each window; default 6")
    parser.add_argument("--targets", type=_listed(TARGETS), default=list(TARGETS), help=f"comma-separated, of {', '.join(TARGETS)}; default all")
    parser.add_argument("--only", type=_listed(PARTS), default=list(PARTS), help=f"parts, of {', '.join(PARTS)}; default all")
    parser.add_argument("--modes", type=_listed(("pinned", "unpinned")), help="default both: servers on one core and wrk on another, then all where they like")
    parser.add_argument("--write-docs", action="store_true", help="put the results into docs/benchmarks.md")
    chosen = parser.parse_args(argv)
    chosen.rounds = chosen.rounds or (1 if chosen.quick else 3)
    chosen.seconds = chosen.seconds or (3 if chosen.quick else 6)
    chosen.modes = chosen.modes or (["pinned"] if chosen.quick else ["pinned", "unpinned"])
    chosen.warm_up = 1 if chosen.quick else 2
    return chosen


def _listed(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Reads a list of names; they come back in the order in which they are known."""

    def read(text: str) -> list[str]:
        names = [name for name in text.replace(",", " ").split() if name]
        if wrong := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(wrong)}; known are {', '.join(known)}")
        return [name for name in known if name in names]

    return read


class Bench(ExitStack):
    """What is up and what was found; `said` are the lines of the parts beside the rounds, for the page."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        super().__init__()
        self.options, self.folder = options, folder
        self.servers = self.enter_context(Servers(folder))
        self.modes = modes(options.modes)
        self.targets: dict[str, Target] = {}
        self.extras: dict[str, Any] = {}
        self.said: list[str] = []
        self.skipped: list[str] = []

    def say(self, line: str) -> None:
        print(line, flush=True)

    def note(self, line: str) -> None:
        self.say(line)
        self.said.append(line)

    def skip(self, line: str) -> None:
        self.say(f"left out: {line}")
        self.skipped.append(line)

    def bring_up(self) -> None:
        self.say("bringing up PostgreSQL, control, MLflow; training the model that all targets serve; starting runner and gateway (about a minute)")
        self.platform = Platform(self.servers)
        self.model: Model = self.platform.start()
        self.say(f"version {self.platform.version['version']}, engine {self.platform.version['engine']}; logs in {self.folder}")
        wanted = self.options.targets
        for target in our_targets(self.platform, self.model):
            self._add(target)
        if "bentoml" in wanted:
            self._add(peers.bentoml_plain(self.servers, self.model))
        if "fastapi" in wanted:
            self._add(peers.fastapi_joblib(self.servers, self.model))
        if "tutorial" in wanted:
            self._add(peers.tutorial(self.servers, self.model, self.platform.database("tutorial"), self.platform.running["postgres"]))
        if "mlserver" in wanted:
            self._mlserver()

    def _add(self, target: Target) -> None:
        """Refuses a target that gives wrong answers before anything is measured."""
        if target.name in self.options.targets:
            check(target)
            self.targets[target.name] = target
            self.say(f"up: {target.title}")

    def _mlserver(self) -> None:
        """Tries its settings for batching and keeps the one with the highest product of rps at 16 and at 64 callers."""
        try:
            python = peers.mlserver_environment(ENVIRONMENTS / "mlserver")
        except (peers.NoMLServer, OSError) as reason:
            self.skip(str(reason))
            return
        tried = []
        for size, seconds in peers.MLSERVER_BATCHING:
            with Servers(self.folder) as servers:
                target = peers.mlserver(servers, self.model, python, size, seconds)
                windows = [measure(target, self.modes[0], connections=c, seconds=2, warm_up=1) for c in (16, 64)]
            tried.append((windows[0].rps * windows[1].rps, size, seconds))
            shown = ", ".join(f"{window.rps:.0f} rps at c={window.connections}" for window in windows)
            self.note(f"MLServer with max_batch_size {size}, max_batch_time {seconds * 1e3:g} ms: {shown}")
        _, size, seconds = max(tried)
        self._add(peers.mlserver(self.servers, self.model, python, size, seconds))

    def measure(self) -> list[Window]:
        options, only = self.options, self.options.only
        windows = []
        if "rounds" in only:
            plan = Plan(self.modes, options.rounds, options.seconds, options.warm_up)
            windows = schedule.run(list(self.targets.values()), plan, self.say)
        ours = self.targets.get("ours")
        if "exactly" in only:
            self._exactly()
        if ours and "memory" in only:
            self.extras["memory"] = extras.memory(ours, 10_000 if options.quick else 200_000, self.note)
        if ours and "tail" in only:
            self.extras["tail"] = extras.tail(self.platform, ours, self.modes, 5 if options.quick else 60, self.note)
        if "batches" in only:
            sizes = (100, 10_000) if options.quick else (100, 10_000, 100_000)
            self.extras["batches"] = extras.batches(list(self.targets.values()), sizes, 1 if options.quick else 3, self.say)
        if "cold_start" in only:
            self.extras["cold_start"] = extras.cold_start(self.platform, self.model, self.folder, 1 if options.quick else 5, self.note)
        if ours and "csv" in only:
            rows, times = (10_000, 1) if options.quick else (100_000, 3)
            self.extras["csv" if rows == 100_000 else "small_csv"] = extras.csv_batch(self.platform, ours, self.model, rows, times, self.note)
        if "overload" in only:
            self._overload()
        if ours and "workers" in only:
            self.extras["workers"] = extras.second_worker(self.platform, ours, options.seconds, self.note)
        if ours and "rollouts" in only:
            rounds, seconds = (4, 4.0) if options.quick else (9, 8.0)
            self.extras["rollouts"] = rollouts.run(self.platform, ours, self.modes[-1], rounds, seconds, self.note)
        if "history" in only and not options.quick:
            self.extras["history"] = history.run(1_000_000, self.note)
        if "dashboard" in only and not options.quick:
            self._dashboard()
        if "drift" in only:
            self.extras["drift"] = drift.run(20 if options.quick else drift.RUNS, self.note)
        if "scored" in only:
            self.extras["scored"] = scored.run(self.platform, 100_000 if options.quick else 1_000_000, self.folder, self.note)
        return windows

    def _dashboard(self) -> None:
        if not dashboard.CHROMIUM.exists():
            self.skip(f"the dashboard: it is measured with Chromium, and there is no {dashboard.CHROMIUM}")
            return
        account = self.platform.account
        self.extras["dashboard"] = dashboard.run(self.platform.frontend(), account.username, account.password, self.note)

    def _exactly(self) -> None:
        urls = {"ours": (self.platform.settings.database_url, "predictions"), "tutorial": (self._tutorial_url(), "tutorial_predictions")}
        for name, (url, table) in urls.items():
            if target := self.targets.get(name):
                found = exactly.count(target, url, table, 200 if self.options.quick else 2000)
                self.extras.setdefault("exactly", {})[name] = found
                self.note(
                    f"{name}: {found['answered']} answered, {found['ids']} different ids, {found['stored']} of them stored, {found['gained']} rows gained"
                )

    def _tutorial_url(self) -> str:
        return self.platform.settings.database_url.rpartition("/")[0] + "/tutorial"

    def _overload(self) -> None:
        """On a platform of its own, whose runner is slow on purpose: so the load's generator has the time to be right."""
        found = overload.run(3 if self.options.quick else 10, fast=False, settings={})
        self.extras["overload"] = found.document()
        self.note(
            f"overload at three times saturation: {found.kept:.0%} of the best goodput, p99 of what is accepted {found.stretched:.1f} times the unloaded one"
        )


def finish(bench: Bench, windows: list[Window], facts: dict[str, Any]) -> int:
    """Prints and stores the results. 1 when an answer was not stored or a window is invalid: then there are no results to speak of."""
    results = Results(windows)
    verdicts = {mode.name: claims.of(results, mode.name, bench.extras) for mode in bench.modes}
    titles = {name: target.title for name, target in bench.targets.items()}
    document = {
        "facts": facts,
        "options": {name: value for name, value in vars(bench.options).items() if name != "write_docs"},
        "model": bench.platform.version,
        "targets": {name: {"title": target.title, **target.notes} for name, target in bench.targets.items()},
        "windows": [window.document() for window in windows],
        **bench.extras,
        "claims": {mode: [claim.document() for claim in found] for mode, found in verdicts.items()},
        "said": bench.said,
        "skipped": bench.skipped,
    }
    text = report.page(document, results, titles, verdicts)
    RESULTS.mkdir(exist_ok=True)
    stem = RESULTS / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    stem.with_suffix(".json").write_text(json.dumps(document, indent=1))
    stem.with_suffix(".md").write_text(text)
    if bench.options.write_docs:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}")
    print(f"\n{text}\nstored as {stem}.json and .md")
    invalid = [f"{window.target} c={window.connections}: {window.wrong}" for window in windows if window.wrong]
    inexact = [name for name, found in bench.extras.get("exactly", {}).items() if not found["exact"]]
    for line in (*invalid, *(f"{name}: what was answered is not what was stored" for name in inexact)):
        print(f"INVALID: {line}", file=sys.stderr)
    return 1 if invalid or inexact else 0


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as after Ctrl-C, the servers are ended first
    try:
        wrk.find()
    except wrk.Missing as missing:
        print(f"bench: {missing}", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="modelyard-bench-"))
    folder.chmod(0o711)  # PostgreSQL's own account has to pass
    try:
        with Bench(options, folder) as bench:
            bench.bring_up()
            facts = machine.facts(folder, bench.platform.settings.database_url)
            code = finish(bench, bench.measure(), facts)
    except (ValueError, RuntimeError) as error:
        print(f"bench: {error}\nthe servers' logs are in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder, ignore_errors=True)  # after a failure the logs stay
    return code


if __name__ == "__main__":
    sys.exit(main())
