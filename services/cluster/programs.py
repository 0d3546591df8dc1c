"""The programs that do the work: docker, kind, kubectl, helm. What they say is kept, and shown when they fail."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence

from services.local.failure import Failure
from services.local.paths import ROOT

SHOWN_LINES = 15
WHERE = {
    "docker": "https://docs.docker.com/engine/install",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
    "helm": "https://helm.sh/docs/intro/install",
}


def need(*programs: str) -> None:
    """Raises Failure, naming what is missing and where to get it."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise Failure(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not on this machine", " · ".join(WHERE[one] for one in missing))


def docker_answers() -> None:
    """Raises Failure when there is no Docker, or nothing behind it."""
    need("docker")
    try:
        subprocess.run(["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, check=True, timeout=30)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise Failure("docker is installed, but its engine does not answer", "start the Docker engine, then try again", said[-1:]) from None


def run(*command: str, what: str, environment: Mapping[str, str] | None = None, given: str | None = None) -> str:
    """What it wrote on standard output. Raises Failure with `what` and the end of what it said."""
    done = subprocess.run(command, cwd=ROOT, env=_with(environment), input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise _failed(what, done.stdout.splitlines() + done.stderr.splitlines())
    return done.stdout


def follow(command: Sequence[str], what: str, heard: Callable[[str], None], environment: Mapping[str, str] | None = None) -> None:
    """Like `run`; `heard` is given each line as it comes, of either stream."""
    lines: list[str] = []
    pipe, same = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(command, cwd=ROOT, env=_with(environment), stdout=pipe, stderr=same, text=True, errors="replace") as running:
        for line in running.stdout or ():
            lines.append(line.rstrip())
            heard(lines[-1])
    if running.returncode:
        raise _failed(what, lines)


def _with(environment: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **(environment or {})}


def _failed(what: str, said: Sequence[str]) -> Failure:
    return Failure(what, details=[line for line in said if line.strip()][-SHOWN_LINES:])
