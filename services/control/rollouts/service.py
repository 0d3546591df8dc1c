"""Trials as they stand, and what follows from them. Each step is one row of the ledger, written only if it still ends with the row that was judged."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from bentos.catalogue import Rollout, WatchRules
from services.control import metrics
from services.control.deployments.schemas import LedgerEntry, Promotion, Rollback, Withdrawal
from services.control.deployments.schemas import Trial as Asked
from services.control.deployments.service import Deployments, Judged
from services.control.rollouts.answered.repository import Changed, FiguresRepository
from services.control.rollouts.judging import Judgement, judge
from services.control.rollouts.repository import Progress, RolloutsRepository, Trial
from services.control.rollouts.schemas import Live, Score, Shown, TrialShown
from services.control.rollouts.watching import Answered, Counted, Sample, counted, harm
from services.kit.errors import NotFound

log = logging.getLogger(__name__)

BY_ROLLOUT, BY_WATCH = "rollout", "watch"
"""Actors of the ledger's rows that no person asked for."""
DECISIONS = ("canary", "promote", "withdraw", "rollback")
"""Counted from the start: of a count that begins with 1, Prometheus does not see the first."""
LATELY = timedelta(minutes=10)
TOLD_SECONDS = 60.0
MOST_WORDS = 900


class Listener(Protocol):
    async def watch_passed(self, model: str, version: str, entry: int) -> None:
        """The watch of a promotion ended, and it still serves. Told several times within a minute: `entry`, its row of the ledger, tells them apart."""


class Rollouts:
    def __init__(self, repository: RolloutsRepository, figures: FiguresRepository, deployments: Deployments, listener: Listener | None = None) -> None:
        self.repository = repository
        self._figures, self._deployments, self._listener = figures, deployments, listener
        self.models = deployments.models
        for model in self.models:
            for decision in DECISIONS:
                metrics.ROLLOUT_DECISIONS.labels(model, decision)

    def count(self, model: str, version: str, scores: Iterable[Score]) -> None:
        for score in scores:
            metrics.SHADOW_SCORES.labels(model, version, "failed" if score.error else "scored").inc()

    async def shown(self, model: str, version: str | None) -> Shown:
        """Raises NotFound when no version, or not this one, was ever tried."""
        trial = await self.repository.trial(model)
        tried = trial.version if trial is not None else None
        wanted = version or tried or await self.repository.latest(model)
        if wanted is None:
            raise NotFound(f"No version of {model} is being tried, and none was before.")
        progress = await self.repository.progress(model, wanted)
        now_tried = trial if trial is not None and tried == wanted else None
        if progress is None and now_tried is None:
            raise NotFound(f"Version {wanted} of {model} was never tried in the shadow.")
        judgement = _judgement(self._rules(model), now_tried, progress)
        return Shown(
            model=model,
            version=wanted,
            trial=now_tried and _trial_shown(now_tried),
            scored=progress.scored if progress else 0,
            failed=progress.failed if progress else 0,
            made_at=progress.reported_at.isoformat() if progress and progress.reported_at else None,
            report=progress.report if progress else None,
            live=[] if now_tried is None else await self._live(model, now_tried),
            judgement=judgement and judgement.document(),
        )

    async def _live(self, model: str, trial: Trial) -> list[Live]:
        until = datetime.now(UTC) + timedelta(seconds=1)
        since = max(trial.since or until, until - LATELY)
        replicas = await self.repository.replicas(model)
        found = []
        for version in filter(None, (trial.champion, trial.version)):
            looked = await self._figures.answered(model, version, since, until)
            mean = looked.answered.score.mean if looked.answered.score else None
            failed = counted(replicas, version).failed
            found.append(Live(version=version, rows=looked.rows, failed=failed, mean_score=mean, latency_ms=looked.latency))
        return found

    async def turn(self, model: str) -> LedgerEntry | None:
        """One look at what was promoted lately, and at what is tried; the row that was written, if any. Raises Conflict when somebody was faster."""
        if self.models[model].pin is not None:
            return None
        return await self._watch(model) or await self._try(model)

    async def _watch(self, model: str) -> LedgerEntry | None:
        rules = self.models[model].watch
        changed = await self._figures.changed(model)
        if rules is None or changed is None or changed.action != "promote" or changed.from_version is None:
            metrics.WATCHED.labels(model).set(0)
            return None
        left = rules.minutes * 60 - changed.age
        metrics.WATCHED.labels(model).set(max(0.0, left))
        if left <= 0:
            if left > -TOLD_SECONDS and self._listener is not None:
                await self._listener.watch_passed(model, changed.to_version, changed.id)
            return None
        found = await self._harm_of(model, rules, changed)
        if not found:
            return None
        reason = f"version {changed.to_version} did harm: {'; '.join(found)}"[:MOST_WORDS]
        log.warning("the watch rolls back", extra={"model": model, "reason": reason})
        metrics.ROLLOUT_DECISIONS.labels(model, "rollback").inc()
        judged = Judged(changed.entry, {"watch": found, "seconds": round(changed.age, 3)})
        return await self._deployments.rollback(model, Rollback(reason=reason, actor=BY_WATCH), judged)

    async def _harm_of(self, model: str, rules: WatchRules, changed: Changed) -> list[str]:
        now, window = datetime.now(UTC) + timedelta(seconds=1), timedelta(minutes=rules.minutes)
        after = await self._of(model, changed.to_version, changed.created_at, now)
        before = await self._of(model, changed.from_version or "", changed.created_at - window, changed.created_at)
        return harm(rules, after, before, _of_trial(changed.verdict))

    async def _of(self, model: str, version: str, since: datetime, until: datetime) -> tuple[Answered, Counted]:
        looked = await self._figures.answered(model, version, since, until)
        return looked.answered, counted(await self.repository.replicas(model), version)

    async def _try(self, model: str) -> LedgerEntry | None:
        trial = await self.repository.trial(model)
        progress = None if trial is None or trial.version is None else await self.repository.progress(model, trial.version)
        self._show(model, trial, progress)
        if trial is None or trial.version is None:
            return None
        rules = self._rules(model)
        if trial.canary_percent and (found := await self._canary_harm(model, rules, trial)):
            return await self._withdraw(model, trial, f"as a canary it did harm: {'; '.join(found)}", {"canary": found})
        judgement = _judgement(rules, trial, progress)
        if self.models[model].rollout is None or not rules.automatic or judgement is None or progress is None:
            return None
        figures = {"judgement": judgement.document(), **_kept(progress.report or {})}
        if judgement.verdict == "withdraw":
            return await self._withdraw(model, trial, judgement.words, figures)
        if judgement.verdict == "promote" and rules.canary is not None and not trial.canary_percent:
            metrics.ROLLOUT_DECISIONS.labels(model, "canary").inc()
            asked = Asked(version=trial.version, mode="canary", reason=_because(judgement), actor=BY_ROLLOUT)
            return await self._deployments.challenge(model, asked, Judged(trial.entry, figures))
        if judgement.verdict == "promote" and await self._canary_done(model, rules, trial):
            metrics.ROLLOUT_DECISIONS.labels(model, "promote").inc()
            promotion = Promotion(version=trial.version, reason=_because(judgement), actor=BY_ROLLOUT)
            return await self._deployments.promote(model, promotion, Judged(trial.entry, figures))
        return None

    async def _withdraw(self, model: str, trial: Trial, words: str, figures: dict[str, Any]) -> LedgerEntry:
        metrics.ROLLOUT_DECISIONS.labels(model, "withdraw").inc()
        asked = Withdrawal(reason=f"version {trial.version}: {words}"[:MOST_WORDS], actor=BY_ROLLOUT)
        return await self._deployments.withdraw(model, asked, Judged(trial.entry, figures))

    async def _canary_harm(self, model: str, rules: Rollout, trial: Trial) -> list[str]:
        if rules.watch is None or trial.canary_since is None or trial.version is None:
            return []
        until = datetime.now(UTC) + timedelta(seconds=1)
        now = await self._of(model, trial.version, trial.canary_since, until)
        return harm(rules.watch, now, await self._of(model, trial.champion, trial.canary_since, until))

    async def _canary_done(self, model: str, rules: Rollout, trial: Trial) -> bool:
        """Where the catalogue has no canary, one that somebody began ends when somebody says so."""
        if rules.canary is None or trial.canary_since is None or trial.version is None:
            return not trial.canary_percent
        now = datetime.now(UTC) + timedelta(seconds=1)
        looked = await self._figures.answered(model, trial.version, trial.canary_since, now)
        return looked.rows >= rules.canary.rows and (now - trial.canary_since).total_seconds() >= rules.canary.minutes * 60

    def _rules(self, model: str) -> Rollout:
        return self.models[model].rollout or Rollout()

    def _show(self, model: str, trial: Trial | None, progress: Progress | None) -> None:
        metrics.show_trial(model, trial.version if trial else None, trial.canary_percent if trial else 0, (progress and progress.report) or {})


def _judgement(rules: Rollout, trial: Trial | None, progress: Progress | None) -> Judgement | None:
    if trial is None or trial.since is None or progress is None or progress.report is None:
        return None
    if progress.reported_at is None or progress.reported_at < trial.since or progress.report.get("champion") != trial.champion:
        return None  # of an earlier trial
    return judge(rules.shadow, progress.report, (datetime.now(UTC) - trial.since).total_seconds() / 60)


def _trial_shown(trial: Trial) -> TrialShown:
    return TrialShown(
        version=trial.version or "",
        champion=trial.champion,
        since=trial.since.isoformat() if trial.since else "",
        shadow_percent=trial.shadow_percent,
        canary_percent=trial.canary_percent,
    )


def _because(judgement: Judgement) -> str:
    return f"it does no harm: {judgement.words}"[:MOST_WORDS]


def _kept(report: dict[str, Any]) -> dict[str, Any]:
    """What the ledger keeps of a report: its figures without the segments."""
    return {name: value for name, value in report.items() if name != "segments"}


def _of_trial(verdict: dict[str, Any] | None) -> Sample | None:
    score = ((verdict or {}).get("shadow") or {}).get("score")
    return Sample(score["rows"], score["challenger_mean"], score["challenger_sd"]) if score else None
