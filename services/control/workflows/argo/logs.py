"""What the pods wrote: kept in files as soon as one has ended, because Argo removes pods; read from the pod while it works."""

import asyncio
import logging
import re
from datetime import UTC, datetime
from pathlib import Path

from services.control.workflows.argo.api import Absent, Api
from services.control.workflows.argo.nodes import ENDED, Attempt, Found
from services.control.workflows.process import TAIL
from services.control.workflows.schemas import Run
from services.control.workflows.steps import STEPS, result_of

log = logging.getLogger(__name__)

ARGO = re.compile(r"time=\S+ level=\w+ msg=.* argo=true\b.*")
"""What Argo's own program around the step writes into its output, and the last thing that it says when the step fails."""
FAILED = re.compile(r"Error: exit status \d+")
HEADING = "=== "


class Logs:
    """A folder for each run, a file in it for each pod that has ended: writing one again changes nothing."""

    def __init__(self, folder: Path, api: Api) -> None:
        self._folder = folder
        self._api = api
        self._waiting: dict[str, str] = {}
        """What a pod that had not begun was waiting for, when last seen."""

    async def keep(self, run: Run, found: Found) -> bool:
        """Whether all is kept that there is by now."""
        complete = True
        for attempt in found.attempts():
            file = self._file(run, attempt)
            if attempt.node.phase == "Pending" and attempt.node.message:
                self._waiting[attempt.pod] = attempt.node.message
            if attempt.node.phase in ENDED and not file.exists():
                try:
                    await asyncio.to_thread(_write, file, await self._text(attempt))
                except (Absent, OSError) as reason:
                    log.warning("a log cannot be kept", extra={"run": str(run.id), "pod": attempt.pod, "reason": str(reason)})
                    complete = False
        return complete

    def has(self, run: Run) -> bool:
        return (self._folder / str(run.id)).is_dir()

    async def read(self, run: Run, found: Found | None) -> str:
        """In the order of the steps, with what the pods that still work have written so far where they can be asked. The end of it when it is long."""
        parts = await asyncio.to_thread(self._kept, run)
        for attempt in found.attempts() if found else ():
            file = self._file(run, attempt)
            if file.name in parts:
                continue
            if attempt.node.phase == "Pending":
                parts[file.name] = f"{_heading(attempt)}\nit has not begun: {attempt.node.message or 'it was made this moment'}\n"
                continue
            try:
                parts[file.name] = await self._text(attempt)
            except Absent as reason:
                parts[file.name] = f"{_heading(attempt)}\nit cannot be read now: {reason}\n"
        return "".join(parts[name] for name in sorted(parts)).encode()[-TAIL:].decode(errors="replace")

    def last_line(self, run: Run, attempt: Attempt) -> str:
        """Of a kept log, the result aside; empty when it could not be kept."""
        file = self._file(run, attempt)
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()] if file.exists() else []
        said = [line for line in lines if not line.startswith(HEADING) and result_of(line) is None]
        return said[-1].replace("\0", "").strip() if said else ""

    def _kept(self, run: Run) -> dict[str, str]:
        folder = self._folder / str(run.id)
        return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.log")} if folder.is_dir() else {}

    def _file(self, run: Run, attempt: Attempt) -> Path:
        place = next(number for number, step in enumerate(STEPS[run.kind], 1) if step.verb == attempt.verb)
        return self._folder / str(run.id) / f"{place}-{attempt.verb}-{attempt.item:03d}-{attempt.number}.log"

    async def _text(self, attempt: Attempt) -> str:
        written = await self._api.log(attempt.pod)
        node = attempt.node
        if written is None:
            lines = [f"there is no log: {self._waiting.pop(attempt.pod, None) or node.message or 'the pod is gone'}"]
        else:
            lines = [line for line in written.splitlines() if not ARGO.fullmatch(line)]
            if lines and FAILED.fullmatch(lines[-1]):
                lines.pop()
        if node.phase in ENDED:
            code = "without an exit code" if node.exit_code is None else f"with {node.exit_code}"
            lines.append(f"{HEADING}{_moment(node.finished_at)} {attempt.verb} ended {code}: {node.message or node.phase}")
        return "\n".join([_heading(attempt), *lines, ""])


def _heading(attempt: Attempt) -> str:
    return f"{HEADING}{_moment(attempt.node.started_at)} {attempt.verb}: pod {attempt.pod}"


def _moment(at: datetime | None) -> str:
    return f"{at or datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _write(file: Path, text: str) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
