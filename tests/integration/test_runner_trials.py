"""A runner with a challenger: who is answered by it, the process in its shadow, and what it reports."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

from bentos.schemas import schema
from tests.runners import Upstream, process
from tests.versions import POLICY

MODEL = "attrition"
EXAMPLE = schema(MODEL).EXAMPLE


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
    return found


def shadows(pid: int) -> list[psutil.Process]:
    """Those that live: one that has just been killed has no command line."""
    return [one for one in psutil.Process(pid).children() if one.status() != psutil.STATUS_ZOMBIE and "bentos.serving.shadow" in one.cmdline()]


def test_a_challenger_answers_who_asks_for_it_and_has_a_process_of_its_own(tmp_path: Path) -> None:
    with Upstream(tmp_path / "files", MODEL) as upstream, process(MODEL, upstream, tmp_path) as (running, url, _), httpx.Client(base_url=url) as client:
        row = {"rows": [EXAMPLE]}

        def version(**more: Any) -> str:
            answer = client.post("/rows", json=row | more)
            assert answer.status_code == 200, answer.text
            return str(answer.json()["version"])

        def change(challenger: str | None) -> None:
            server = upstream.server

            def now() -> None:
                server.promote("1", challenger=challenger)
                server.state |= {"shadow_percent": 100 if challenger else 0, "challenger_policy": POLICY if challenger else None}

            upstream.loop.call_soon_threadsafe(now)

        assert version(slot="challenger") == "1", "where there is none, the champion answers"
        assert shadows(running.pid) == []
        change("2")
        until(lambda: version(slot="challenger") == "2")
        assert version() == "1"
        (first,) = until(lambda: shadows(running.pid))
        until(lambda: first.nice() == 19)
        for _ in range(30):
            version(slot="challenger")
        counts = until(lambda: (upstream.server.last_report()["counts"]["versions"].get("2") or {}).get("answered", 0) >= 30)
        assert counts
        assert upstream.server.last_report()["counts"]["versions"]["2"]["failed"] == 0
        first.kill()
        (second,) = until(lambda: [one for one in shadows(running.pid) if one.pid != first.pid])
        assert version() == "1"
        change(None)
        until(lambda: not second.is_running())
        assert shadows(running.pid) == []
        assert version(slot="challenger") == "1"
        change("2")
        (third,) = until(lambda: shadows(running.pid))
        os.kill(running.pid, signal.SIGKILL)
        until(lambda: not third.is_running() or third.status() == psutil.STATUS_ZOMBIE)
