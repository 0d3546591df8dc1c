"""What trials cost those who are answered: windows with a version in the shadow, with a canary at another model, and with neither, in turn."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tests.bench.ours import Platform
from tests.bench.processes import ask
from tests.bench.target import Mode, Target, Window, measure

Say = Callable[[str], None]

STATES = ("none", "elsewhere", "shadow")
CONNECTIONS = 8
REPLAYED_ROWS = 100_000
LOADED_SECONDS = 30.0
SETTLE_SECONDS = 3.0


def run(platform: Platform, ours: Target, mode: Mode, rounds: int, seconds: float, say: Say) -> dict[str, Any]:
    """Medians of the ratios to the window without any trial in the same round, and what the shadow scored meanwhile."""
    version = platform.challenger()
    say(f"version {version} is tried beside version {platform.version['version']}")
    found: dict[str, list[Window]] = {state: [] for state in STATES}
    for number in range(rounds):
        for state in _order(number):
            _to(platform, state, version)
            window = measure(ours, mode, connections=CONNECTIONS, seconds=seconds, warm_up=1, number=number)
            found[state].append(window)
            say(f"{state}: {window.rps:.0f} requests/s, p50 {window.p50:.3f}, p99 {window.p99:.2f} ms" + (f", INVALID: {window.wrong}" if window.wrong else ""))
    _to(platform, "none", version)
    ratios = {state: {name: statistics.median(_ratios(found, state, name)) for name in ("rps", "p50", "p99", "cpu")} for state in STATES if state != "none"}
    for state, of in ratios.items():
        say(f"{state} beside none, {rounds} rounds: p50 {of['p50']:.3f}, p99 {of['p99']:.3f}, requests/s {of['rps']:.3f}, CPU a request {of['cpu']:.3f}")
    shown = msgspec.json.decode(ask(f"{platform.settings.url('control')}/models/{platform.model}/shadow?version={version}")[1])
    say(f"scored in the shadow meanwhile: {shown['scored']} rows, {shown['failed']} failed")
    replay = platform.replay(version, REPLAYED_ROWS)
    say(f"replay: {replay['rows']} rows in {replay['seconds']:.2f} s, {replay['rows_per_second']:.0f} rows/s")
    document = {"ratios": ratios, "replay": {name: replay[name] for name in ("rows", "seconds", "rows_per_second")}, "scored": shown["scored"]}
    return document | {"windows": {state: [one.document() for one in of] for state, of in found.items()}}


def _order(number: int) -> Sequence[str]:
    """Who comes first is slower or faster than who comes later: they take turns."""
    return STATES[number % 3 :] + STATES[: number % 3]


def _ratios(found: dict[str, list[Window]], state: str, name: str) -> list[float]:
    return [getattr(one, name) / getattr(none, name) for one, none in zip(found[state], found["none"], strict=True)]


def _to(platform: Platform, state: str, version: str) -> None:
    """Raises RuntimeError when control does not do it."""
    for model, wanted, action in ((platform.model, state == "shadow", "shadow"), (platform.other, state == "elsewhere", "canary")):
        serving = msgspec.json.decode(ask(f"{platform.settings.url('control')}/serving/{model}")[1])
        if bool(serving["challenger"]) == wanted:
            continue
        about: dict[str, Any] = {"reason": "measured", "actor": "bench"}
        if wanted:
            platform.tell(f"models/{model}/challenger", about | {"version": version if model == platform.model else "2", "mode": action})
        else:
            platform.tell(f"models/{model}/withdraw", about)
    if state == "shadow":
        deadline = time.monotonic() + LOADED_SECONDS
        while not msgspec.json.decode(ask(f"{platform.runner_url}/slots")[1])["challenger"]:
            if time.monotonic() > deadline:
                raise RuntimeError("the runner does not load the challenger")
            time.sleep(0.1)
    time.sleep(SETTLE_SECONDS)
