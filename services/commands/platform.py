import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from services.commands.output import as_json, console, say, table
from services.local import files, launch
from services.local.failure import Failure
from services.local.lock import is_running
from services.local.paths import home
from services.local.status import status as look


def down(
    erase: Annotated[bool, typer.Option("--erase", help="Also delete everything stored: database, versions, logs, secrets.")] = False,
) -> None:
    """Stop the platform; nothing of it is left running."""
    where, began = home(), time.monotonic()
    ran = is_running(where)
    ended = launch.stop(where)
    words = f"stopped in {time.monotonic() - began:.1f} s" if ran else "it was not running"
    say(words + (f"; {ended} processes that were left were ended" if ended else ""))
    if erase:
        for folder in (where.folder, where.outside):
            if folder.exists():
                shutil.rmtree(folder)
                say(f"deleted {folder}")
        with suppress(OSError):
            where.outside.parent.rmdir()  # stays while other clones use it


def status(as_document: Annotated[bool, typer.Option("--json", help="Print a JSON document.")] = False) -> None:
    """Show every process: address, readiness, memory, restarts."""
    found = look(home())
    if as_document:
        as_json(found)
        return
    if not found["running"]:
        raise Failure("the platform is not running", "start it with `make up`, or `modelyard up`")
    rows = [
        (name, "ready" if one["ready"] else f"not ready ({one['phase']})", one["url"], one["pid"], one["rss_mb"], one["restarts"], _age(one["since"]))
        for name, one in found["services"].items()
    ]
    table(["process", "state", "address", "#pid", "#MB", "#restarts", "#since"], rows)
    say(f"\ndatabase    {found['database_url']}\nsupervisor  process {found['supervisor']['pid']}\nlogs        {home().logs}")


def _age(since: float) -> str:
    seconds = int(time.time() - since)
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def logs(
    name: Annotated[str | None, typer.Argument(help="A process as `modelyard status` names it; all of them without it.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines of each.")] = 50,
) -> None:
    """Show what the processes wrote."""
    found = {path.stem: path for path in sorted(home().logs.glob("*.log"))}
    if name is not None and name not in found:
        raise Failure(f"there is no log of {name!r}", f"there are {', '.join(found)}" if found else "nothing has been started yet", code=2)
    chosen = {name: found[name]} if name else found
    for process, path in chosen.items():
        for line in files.tail(path, lines):
            _line(process if len(chosen) > 1 else "", line)
    if follow:
        with suppress(KeyboardInterrupt):
            _follow(chosen)


def _line(process: str, line: str) -> None:
    say(f"{process:<24} {line}" if process else line)


def _follow(chosen: dict[str, Path]) -> None:
    """A log that was rotated is shorter than before: it is read from its beginning."""
    places = {process: path.stat().st_size for process, path in chosen.items()}
    while True:
        for process, path in chosen.items():
            with suppress(FileNotFoundError), path.open("rb") as file:
                size = path.stat().st_size
                file.seek(0 if size < places[process] else places[process])
                data = file.read()
                whole = data[: data.rfind(b"\n") + 1]
                places[process] = file.tell() - (len(data) - len(whole))
                for line in whole.decode("utf-8", "replace").splitlines():
                    _line(process if len(chosen) > 1 else "", line)
        time.sleep(0.2)


def doctor() -> None:
    """Look for what is wrong, and say what to do about it."""
    from services.commands.diagnosis import diagnose

    found = diagnose()
    signs = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "problem": "[red]problem[/]"}
    for check in found:
        console.print(f"{signs[check.level]:<18} ", end="")
        say(f"{check.name:<22} {check.found}")
        if check.advice:
            say(f"{'':<10}{'':<23}→ {check.advice}")
    problems = sum(check.level == "problem" for check in found)
    if problems:
        raise Failure(f"{problems} problem{'s' if problems > 1 else ''} found")
