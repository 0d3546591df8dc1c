"""The real supervisor and guard over tiny processes: order, readiness, restarts, stop, and nothing left behind."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.local import launch, leftovers
from services.local.lock import AlreadyRunning, holder, is_running, lock
from services.local.paths import Home
from tests.conftest import find_free_port

SERVER = """
import socket, sys, time
time.sleep(float(sys.argv[2]))
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    listener.accept()[0].close()
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
RUNAWAY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)
print("has a child in a session of its own", flush=True)
time.sleep(600)
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", "-c", code, *arguments]


def until(true: Callable[[], Any], seconds: float = 15) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


class Platform:
    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self._declared = folder / "processes.json"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, processes: list[dict[str, Any]]) -> None:
        self._declared.write_text(json.dumps(processes))
        script = Path(__file__).with_name("local_supervisor.py")
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        self.process = subprocess.Popen([sys.executable, str(script), str(self.home.folder), str(self._declared)], env=environment, start_new_session=True)

    def service(self, name: str) -> dict[str, Any]:
        view = launch.view(self.home)
        return view["services"][name] if view else {"phase": None}

    def phase(self, name: str, *phases: str) -> dict[str, Any]:
        return until(lambda: self.service(name)["phase"] in phases and self.service(name))

    def output(self, name: str) -> str:
        return self.home.log(name).read_text() if self.home.log(name).exists() else ""

    def remaining(self) -> list[int]:
        found = leftovers.find(self.home.identity)
        return [process.pid for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    platform = Platform(tmp_path)
    yield platform
    if platform.process is not None:
        platform.process.kill()
        platform.process.wait()
    leftovers.end(platform.home.identity, grace=0.2)


def test_starts_in_order_and_stops_in_reverse(platform: Platform) -> None:
    first, second = find_free_port(), find_free_port()
    platform.start(
        [
            {"name": "gateway", "command": python(SERVER, str(second), "0"), "probe": f"tcp://127.0.0.1:{second}", "needs": ["migrations"]},
            {"name": "migrations", "command": python("print('schema made')"), "once": True, "needs": ["postgres"]},
            {"name": "postgres", "command": python(SERVER, str(first), "0.4"), "probe": f"tcp://127.0.0.1:{first}", "stop_signal": "SIGINT"},
        ]
    )
    gateway = platform.phase("gateway", "ready")
    postgres, migrations = platform.service("postgres"), platform.service("migrations")
    assert postgres["since"] <= migrations["since"] <= gateway["since"]
    assert migrations["message"] == "schema made"
    assert launch.stop(platform.home) == 0
    assert not is_running(platform.home)
    assert platform.remaining() == []
    assert launch.view(platform.home) is None


def test_restarts_what_ends_with_growing_delay(platform: Platform) -> None:
    platform.start(
        [{"name": "runner", "command": python("import time; print(f'{time.time()}', flush=True); raise SystemExit(3)"), "probe": "tcp://127.0.0.1:1"}]
    )
    until(lambda: len(platform.output("runner").split()) >= 4)
    times = [float(line) for line in platform.output("runner").split()]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses[0] < pauses[1] < pauses[2]
    runner = platform.phase("runner", "restarting", "starting")
    assert runner["restarts"] >= 3
    assert runner["exit_code"] == 3


def test_a_killed_process_comes_back(platform: Platform) -> None:
    port = find_free_port()
    platform.start([{"name": "control", "command": python(SERVER, str(port), "0"), "probe": f"tcp://127.0.0.1:{port}"}])
    before = platform.phase("control", "ready")
    os.kill(before["pid"], signal.SIGKILL)
    after = until(lambda: (one := platform.service("control"))["phase"] == "ready" and one["pid"] != before["pid"] and one)
    assert after["restarts"] == 1
    assert after["exit_code"] == -signal.SIGKILL


def test_a_once_process_that_fails_says_why(platform: Platform) -> None:
    platform.start([{"name": "database", "command": python("print('no server there'); raise SystemExit(1)"), "once": True}])
    failed = platform.phase("database", "failed")
    assert (failed["exit_code"], failed["message"]) == (1, "no server there")


def test_a_command_that_does_not_exist_is_reported(platform: Platform) -> None:
    platform.start([{"name": "database", "command": ["/nonexistent/program"], "once": True}])
    assert "could not be started" in platform.phase("database", "failed")["message"]


def test_stop_kills_what_does_not_listen_within_its_grace(platform: Platform) -> None:
    platform.start([{"name": "deaf", "command": python(STUBBORN), "probe": "tcp://127.0.0.1:1", "grace": 0.5}])
    until(lambda: "deaf" in platform.output("deaf"))
    began = time.monotonic()
    launch.stop(platform.home)
    assert time.monotonic() - began < 5
    assert platform.remaining() == []


@pytest.mark.parametrize("also_the_guard", [False, True])
def test_kill_9_of_the_supervisor_leaves_nothing(platform: Platform, also_the_guard: bool) -> None:
    port = find_free_port()
    platform.start(
        [
            {"name": "server", "command": python(SERVER, str(port), "0"), "probe": f"tcp://127.0.0.1:{port}"},
            {"name": "runaway", "command": python(RUNAWAY), "probe": "tcp://127.0.0.1:1"},
        ]
    )
    platform.phase("server", "ready")
    until(lambda: "session of its own" in platform.output("runaway"))
    assert len(platform.remaining()) == 3
    assert platform.process is not None
    guards = [child for child in psutil.Process(platform.process.pid).children() if "services.local.guard" in child.cmdline()]
    assert len(guards) == 1
    if also_the_guard:
        guards[0].kill()
    platform.process.kill()
    platform.process.wait()
    assert not is_running(platform.home)
    assert launch.view(platform.home) is None, "its last words are not taken for a running supervisor's"
    if also_the_guard:
        assert len(platform.remaining()) == 3
        assert leftovers.end(platform.home.identity) == 3, "the next start sweeps"
    until(lambda: platform.remaining() == [], 8)


def test_the_guard_is_replaced_when_it_ends(platform: Platform) -> None:
    platform.start([{"name": "runaway", "command": python(RUNAWAY), "probe": "tcp://127.0.0.1:1"}])
    until(lambda: "session of its own" in platform.output("runaway"))
    assert platform.process is not None
    supervisor = psutil.Process(platform.process.pid)

    def guards() -> list[psutil.Process]:
        return [child for child in supervisor.children() if child.status() != psutil.STATUS_ZOMBIE and "services.local.guard" in child.cmdline()]

    (first,) = until(guards)
    first.kill()
    until(lambda: (now := guards()) and now != [first])
    time.sleep(0.3)
    platform.process.kill()
    platform.process.wait()
    until(lambda: platform.remaining() == [], 8)


def test_what_a_process_leaves_behind_when_it_crashes_is_ended(platform: Platform) -> None:
    platform.start(
        [{"name": "runaway", "command": python(RUNAWAY.replace("time.sleep(600)\n", "time.sleep(0.5); raise SystemExit(1)\n")), "probe": "tcp://127.0.0.1:1"}]
    )
    platform.phase("runaway", "restarting")
    assert platform.remaining() == []


def test_two_supervisors_exclude_each_other(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    with lock(home):
        assert holder(home) == os.getpid()
        with pytest.raises(AlreadyRunning), lock(home):
            pass
    assert holder(home) is None
