"""The bench on a server whose cost is known: what it reports is what happened."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.bench import claims, report, wrk
from tests.bench.machine import cores
from tests.bench.peers.targets import close_to
from tests.bench.processes import Servers, ask, wait
from tests.bench.schedule import Results
from tests.bench.target import Mode, Target, Window, check, measure
from tests.bench.wrk import Call
from tests.conftest import find_free_port

ANYWHERE = Mode("unpinned", cores(), cores())
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with Servers(tmp_path) as running:
        yield running


def start(servers: Servers, *, counts: bool = False, **behaviour: Any) -> Target:
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(Path(__file__).with_name("server.py")), str(port)]
    server = servers.start("tiny", command, environment={name: str(value) for name, value in behaviour.items()})
    wait(server, lambda: ask(f"{url}/count")[0] == 200)
    return Target(
        name="tiny",
        title="A tiny server",
        call=lambda: Call(f"{url}/", [b'{"row": 1}', b'{"row": 2}']),
        servers={"server": server},
        good=close_to(42, "answer"),
        stored=(lambda: int(ask(f"{url}/count")[1])) if counts else None,
    )


@needs_wrk
def test_cpu_is_what_the_server_worked_and_latency_what_a_client_waited(servers: Servers) -> None:
    window = measure(start(servers, BURN_MS=5, counts=True), ANYWHERE, connections=1, seconds=1, warm_up=0)
    assert window.wrong is None
    assert 5 <= window.cpu <= 8
    assert 5 <= window.p50 <= window.p90 <= window.p99 <= window.p999 <= window.max
    assert window.rps == pytest.approx(window.answered / 1.0, rel=0.1)
    assert window.stored is not None
    assert window.answered <= window.stored <= window.answered + 1


@needs_wrk
def test_waiting_costs_no_cpu(servers: Servers) -> None:
    window = measure(start(servers, SLEEP_MS=30), ANYWHERE, connections=4, seconds=1, warm_up=0)
    assert window.p50 >= 30
    assert window.cpu < 5
    assert 40 < window.rps <= 4 / 0.030


@needs_wrk
def test_a_server_that_gives_errors_is_no_result(servers: Servers) -> None:
    window = measure(start(servers, FAIL_EVERY=10), ANYWHERE, connections=2, seconds=1, warm_up=0)
    assert window.failed == pytest.approx((window.answered + window.failed) / 10, rel=0.02)
    assert window.wrong == f"{window.failed} of {window.answered + window.failed} requests failed"
    results = Results([window])
    assert results.spread(lambda one: one.rps, "tiny", "unpinned", 2) is None
    assert "**invalid**" in report.rounds(results, "unpinned", {"tiny": "A tiny server"})


def test_a_wrong_answer_is_refused_before_anything_is_measured(servers: Servers) -> None:
    target = start(servers)
    check(target)
    target.good = close_to(43, "answer")
    with pytest.raises(RuntimeError, match=r'tiny answered 200: \{"answer":42\}'):
        check(target)


def test_children_count_while_they_live_and_after(servers: Servers) -> None:
    target = start(servers)
    server, url = target.servers["server"], target.call().url
    alone = server.cost()
    ask(f"{url}child", b"")
    with_child = server.cost()
    ask(f"{url}end", b"")
    after = server.cost()
    assert with_child.cpu - alone.cpu >= 0.25
    assert after.cpu - alone.cpu >= 0.25
    assert with_child.pss - alone.pss >= 60
    assert with_child.rss - alone.rss >= 60
    assert after.pss - alone.pss < 30
    assert alone.pss <= alone.rss


def test_a_stopped_server_leaves_nothing_behind_and_costs_nothing(servers: Servers) -> None:
    target = start(servers)
    server = target.servers["server"]
    ask(f"{target.call().url}child", b"")
    processes = server.tree()
    assert len(processes) == 2
    server.stop()
    assert not [process for process in psutil.process_iter() if process in processes and process.status() != psutil.STATUS_ZOMBIE]
    assert server.cost().rss == 0
    with pytest.raises(RuntimeError, match="tiny ended with"):
        server.check()


def test_without_wrk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(wrk.Missing, match="apt install wrk"):
        wrk.find()


WINDOW = Window(
    target="ours",
    mode="pinned",
    round=1,
    connections=16,
    rps=4000,
    **dict.fromkeys(("p50", "p90", "p99", "p999", "max"), 4.0),
    answered=1000,
    failed=0,
    stored=1010,
    cpu_ms={"gateway": 0.1, "runner": 0.06, "postgres": 0.05, "control": 0.5},
    pss_mb={},
    rss_mb={},
    foreign=0,
)


@pytest.mark.parametrize(("stored", "wrong"), [(999, "1000 answered, 999 stored"), (1000, None), (1016, None), (1017, "1000 answered, 1017 stored")])
def test_an_answer_that_was_not_stored_is_no_result(stored: int, wrong: str | None) -> None:
    assert replace(WINDOW, stored=stored).wrong == wrong


def test_verdicts_come_from_medians_of_the_same_run() -> None:
    peer = replace(WINDOW, target="mlserver", stored=None, rps=1250)
    slow, usual, fast = (replace(WINDOW, round=number, rps=rps) for number, rps in enumerate((100, 4000, 9000)))
    found = {claim.what: claim for claim in claims.of(Results([slow, usual, fast, peer]), "pinned", {"overload": {"kept": 0.8}})}
    ratio = found["full path, c=16: rps of MLServer with batching"]
    assert (ratio.measured, ratio.verdict) == (3.2, "pass")
    cpu = found["full path, c=16: CPU of gateway + runner + PostgreSQL"]
    assert (cpu.measured, cpu.verdict) == (pytest.approx(0.21), "pass")
    assert found["overload at 3 × saturation: goodput of its maximum"].verdict == "FAIL"
    assert found["full path, c=64: rps of MLServer with batching"].verdict == "not measured"
    assert claims.at_least("more", 3, 5.0, 5).verdict == "stretch"
    assert claims.at_most("less", None, 1.2, 1.0).verdict == "no stretch"
