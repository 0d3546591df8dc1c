"""Decides whether a model is retrained. Each decision is a row, a refusal as well as a submission; a submission's run is queued in the same transaction."""

import asyncio
import itertools
import logging
from collections import defaultdict
from typing import Any, cast, get_args
from uuid import UUID

from bentos.catalogue import Catalogue
from services.control import metrics
from services.control.notifications import emit
from services.control.requests import storable
from services.control.retraining.repository import Deciding, RetrainingRepository
from services.control.retraining.rules import Refusal, in_favour, parameters, refusal
from services.control.retraining.schemas import Cause, Decision, Made, Retraining
from services.control.workflows.protocol import Workflows
from services.control.workflows.repository import insert
from services.control.workflows.schemas import PARAMETERS, Run, Submission
from services.kit.errors import Unavailable

log = logging.getLogger(__name__)

ACTOR = "retraining"


class Retrainings:
    def __init__(self, repository: RetrainingRepository, workflows: Workflows, catalogue: Catalogue) -> None:
        self.repository = repository
        self._workflows = workflows
        self._entries = catalogue.models
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """A thousand alarms at once wait here, and take no connection meanwhile."""
        for labels in itertools.product(self._entries, get_args(Cause), get_args(Made)):
            metrics.RETRAININGS.labels(*labels)

    async def consider(
        self,
        model: str,
        reason: str,
        detail: dict[str, Any],
        *,
        words: str | None = None,
        actor: str = ACTOR,
        given: dict[str, Any] | None = None,
        run_id: UUID | None = None,
    ) -> Decision:
        """Submits a training, or says why not. `detail` is kept with the decision; `words` (else those of `detail`) become the run's reason.

        `given` are the parameters that a person wants; with `run_id` the same request becomes one run however often it is made.
        Raises Invalid for parameters that cannot work, psycopg.Error when the database is away.
        """
        entry, cause = self._entries[model], cast(Cause, reason)
        because = f"{reason}: {words or detail.get('words') or 'without more words'}"[:1000]
        chosen = PARAMETERS["train"].model_validate(given if given is not None else parameters(entry, cause))
        asked = Submission(kind="train", model=model, parameters=chosen, reason=storable(because), actor=actor)
        away = await self._away(asked)
        async with self._turns[model], self.repository.deciding(model) as deciding:
            facts = await deciding.facts(entry.retraining.recent_days, entry.retraining.min_outcomes)
            against = refusal(entry, cause, facts) or away
            if against is None:
                run = await insert(deciding.connection, asked, run_id)
                row = await deciding.submitted(cause, in_favour(entry, cause, facts), detail, actor, run.id)
                await self._tell(deciding, row, because)
            else:
                run = None
                row, new = await deciding.refused(cause, against, detail, actor)
                if new:
                    await self._tell(deciding, row, because)
        return self._decided(row, run)

    async def _away(self, asked: Submission) -> Refusal | None:
        """Asked before the lock is taken: it may be a call over the network."""
        try:
            await self._workflows.ready(asked)
        except Unavailable as problem:
            return Refusal("workflows", problem.detail)
        return None

    def _decided(self, row: Retraining, run: Run | None) -> Decision:
        metrics.RETRAININGS.labels(row.model, row.reason, row.decision).inc()
        if run is not None:
            self._workflows.wake()
        if row.times == 1:
            log.info("a retraining was decided", extra={"model": row.model, "reason": row.reason, "decision": row.decision, "why": row.why})
        return Decision(retraining=row, run=run)

    async def _tell(self, deciding: Deciding, row: Retraining, because: str) -> None:
        fields = {"reason": row.reason, "actor": row.actor} | ({"rule": row.rule} if row.rule else {"run": str(row.run_id)})
        event, verb = ("retraining_submitted", "is retrained") if row.rule is None else ("retraining_refused", "is not retrained")
        await emit(
            deciding.connection,
            event,
            key=f"retraining {row.id}",
            model=row.model,
            title=f"{row.model} {verb}",
            words=f"{because}. {row.why[:1].upper()}{row.why[1:]}.",
            fields=fields,
            level="info" if row.rule in (None, "under way", "cooldown") else "warning",
        )
