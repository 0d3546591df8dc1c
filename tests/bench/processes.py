"""Starting servers, ending them, and what they cost: CPU seconds and memory of whole process trees, as the kernel counts them."""

import os
import pwd
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

START_SECONDS = 60
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""For every target: with one core each, more threads only get in each other's way."""


@dataclass(frozen=True)
class Cost:
    """Of one process tree: CPU seconds since its start, its resident and its proportional memory now, in MB."""

    cpu: float
    rss: float
    pss: float


class Server:
    """A process with all its descendants."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path, stop_signal: signal.Signals) -> None:
        self.name, self.log = name, log
        self._process, self._stop_signal = process, stop_signal

    @property
    def pid(self) -> int:
        return self._process.pid

    def tree(self) -> list[psutil.Process]:
        """Empty when the process has ended: its number may then be another's."""
        if self._process.poll() is not None:
            return []
        try:
            root = psutil.Process(self.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu(self) -> float:
        """User and system seconds of all that live, and of all that ended and were waited for: a worker that is replaced is not forgotten."""
        total = 0.0
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def cost(self) -> Cost:
        """A proportional page counts 1/n with n processes sharing it, so that sums over processes are right."""
        rss = pss = 0.0
        for process in self.tree():
            with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                sizes = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:])
                rss += int(sizes["Rss"].split()[0]) * 1024 / 1e6
                pss += int(sizes["Pss"].split()[0]) * 1024 / 1e6
        return Cost(self.cpu(), rss, pss)

    def pin(self, cores: Collection[int]) -> None:
        """Every thread of every process; what they start later inherits it."""
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                for thread in process.threads():
                    with suppress(ProcessLookupError):
                        os.sched_setaffinity(thread.id, cores)

    def check(self) -> None:
        """Raises RuntimeError with the end of the log when the process has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}:\n{self.tail()}")

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self, grace: float = 8.0) -> None:
        """Descendants that outlive the process are killed, so that none is left behind."""
        tree = self.tree()
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        psutil.wait_procs(tree, timeout=2)


class Servers(ExitStack):
    """Ends in the reverse order all that it started, whatever happens."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def start(
        self,
        name: str,
        command: list[str],
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        account: pwd.struct_passwd | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> Server:
        log = self.folder / f"{name}.log"
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                env=os.environ | THREADS | dict(environment or {}),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the bench, which then ends its servers in order
                **identity,
            )
        server = Server(name, process, log, stop_signal)
        self.callback(server.stop)
        return server

    def finish(self, name: str, command: list[str], *, environment: Mapping[str, str], cwd: Path) -> str:
        """Runs a command that ends, and returns what it printed. Raises RuntimeError when it fails."""
        done = subprocess.run(command, env=os.environ | THREADS | dict(environment), cwd=cwd, capture_output=True, text=True, check=False)
        (self.folder / f"{name}.log").write_text(done.stdout + done.stderr)
        if done.returncode != 0:
            raise RuntimeError(f"{name} ended with {done.returncode}:\n{(done.stderr or done.stdout)[-2000:]}")
        return done.stdout


def wait(server: Server, ready: Callable[[], bool], seconds: float = START_SECONDS, pause: float = 0.05) -> None:
    """Raises RuntimeError when the server ends first or does not get ready in that time."""
    deadline = time.monotonic() + seconds
    while not ready():
        server.check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{server.name} was not ready within {seconds:.0f} s:\n{server.tail()}")
        time.sleep(pause)


def ask(url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, timeout: float = 60) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own; 0 when there was no answer."""
    request = urllib.request.Request(url, data=body, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""
