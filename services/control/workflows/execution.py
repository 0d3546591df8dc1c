import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from psycopg import OperationalError

from services.control.workflows import process
from services.control.workflows.repository import RunsRepository
from services.control.workflows.schemas import Run, Status, StepRecord
from services.control.workflows.steps import STEPS, Incomplete, Step, arguments, handed_on, in_words, result_of

log = logging.getLogger(__name__)

BAD_DATA = 2


@dataclass(frozen=True)
class Launcher:
    """How steps are started, the same for all runs."""

    pipeline: Sequence[str]
    environment: Mapping[str, str]
    log_dir: Path
    evidently: Path | None = None
    """The Python of the steps that run apart."""
    retry_seconds: float = 2.0
    """Before the second and last attempt of a step whose failure may heal."""
    grace_seconds: float = 5.0
    """Between SIGTERM and SIGKILL."""

    def command(self, step: Step, words: Sequence[str]) -> list[str]:
        if not step.apart:
            return [*self.pipeline, *words]
        return [str(self.evidently), "-m", "services.pipeline", *words]

    def log_file(self, run: Run) -> Path:
        return self.log_dir / f"{run.id}.log"


@dataclass
class Execution:
    """One run under way. Each change of it is stored before the next begins."""

    run: Run
    runs: RunsRepository
    launcher: Launcher
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    verdict: tuple[Status, str] = ("stopped", "stopped on request")
    """How the run ends, and why, once `stopping` is set."""

    async def carry_out(self) -> None:
        steps = STEPS[self.run.kind]
        self.run.steps = [StepRecord(name=step.verb) for step in steps]
        try:
            for step, record in zip(steps, self.run.steps, strict=True):
                await self._step(step, record)
                if self.run.status != "running":
                    break
            else:
                self._end("succeeded", None)
        except Exception as error:
            log.exception("a workflow run failed inside control", extra={"run": str(self.run.id)})
            self._end("failed", f"control could not carry it out: {error}")
        last = self.run.steps[-1].result or {}
        self.run.result = (last | handed_on(self.run)) or None
        await self._save()

    async def _step(self, step: Step, record: StepRecord) -> None:
        """One attempt, and a second one where it may help; leaves the run as running when the next step may follow."""
        try:
            command = self.launcher.command(step, arguments(step, self.run))
        except Incomplete as error:
            self._end("failed", str(error))
            return
        record.status, record.started_at = "running", _now()
        await self._save()
        ended = await self._attempt(step.verb, command)
        if ended.exit_code not in (0, BAD_DATA) and not ended.stopped:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.launcher.retry_seconds):
                    await self.stopping.wait()
            if not self.stopping.is_set():
                ended = await self._attempt(step.verb, command)
        record.exit_code, record.finished_at, record.result = ended.exit_code, _now(), result_of(ended.last_line)
        if self.stopping.is_set() and ended.exit_code != 0:
            record.status = "stopped"
            self._end(*self.verdict)
        elif ended.exit_code != 0:
            record.status = "failed"
            self._end("failed", in_words(step.verb, ended.exit_code, record.result, ended.last_error))
        elif record.result is None:
            record.status = "failed"
            self._end("failed", f"{step.verb} did not end with a JSON result: {ended.last_line[:200]!r}")
        else:
            record.status = "succeeded"
            if self.stopping.is_set() and step is not STEPS[self.run.kind][-1]:
                self._end(*self.verdict)

    async def _attempt(self, verb: str, command: Sequence[str]) -> process.Ended:
        file = self.launcher.log_file(self.run)
        _write(file, f"{verb}: {' '.join(command)}")
        environment = {**self.launcher.environment, "PIPELINE_ACTOR": self.run.actor}
        ended = await process.run(command, environment, file, self.stopping, self.launcher.grace_seconds)
        _write(file, f"{verb} ended with {ended.exit_code}: {ended.last_line}")
        return ended

    def _end(self, status: Status, error: str | None) -> None:
        self.run.status, self.run.error, self.run.finished_at = status, error, _now()

    async def _save(self) -> None:
        """Goes on trying while the database is away: a run does not fail for that."""
        while True:
            try:
                await self.runs.save(self.run)
            except OperationalError as error:
                log.warning("cannot store how a run stands", extra={"run": str(self.run.id), "error": str(error)})
                await asyncio.sleep(1)
            else:
                return


def _now() -> datetime:
    return datetime.now(UTC)


def _write(file: Path, words: str) -> None:
    with file.open("a", encoding="utf-8") as log_file:
        log_file.write(f"=== {_now():%Y-%m-%dT%H:%M:%S.%fZ} {words}\n")
