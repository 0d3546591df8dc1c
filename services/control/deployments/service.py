from typing import Any, NamedTuple

from bentos.catalogue import CanaryRules, Catalogue, Rollout
from services.control import metrics
from services.control.deployments.history import Served, find, last_served, policy_stack, undo_stack
from services.control.deployments.repository import Candidate, Challenger, Change, DeploymentsRepository
from services.control.deployments.schemas import Desired, LedgerEntry, Policy, PolicyChange, Promotion, Rollback, Trial, Withdrawal
from services.control.deployments.waiters import Waiters
from services.kit.errors import Conflict, Invalid, NotFound


class Judged(NamedTuple):
    """What a change by itself stands on: the ledger's last row as it was judged, and the figures. Is another row the last one by then, nothing changes."""

    entry: int
    figures: dict[str, Any]


class Deployments:
    """Decides what serves. Each decision is one row of the ledger, and nothing else records it."""

    def __init__(self, repository: DeploymentsRepository, waiters: Waiters, catalogue: Catalogue) -> None:
        self.repository = repository
        self.waiters = waiters
        self.models = catalogue.models

    async def desired(self, model: str, known: str | None, wait: float) -> Desired | None:
        """What is to serve; None when that is still what the caller knows (its ETag) after `wait` seconds.

        Holds no connection while it waits.
        """
        deadline = self.waiters.deadline(wait)
        while True:
            change = self.waiters.next_change(model)
            found = await self.repository.desired(model, watch.minutes if (watch := self.models[model].watch) else 0)
            if found.etag != known:
                return found
            if not await self.waiters.wait(change, deadline):
                return None

    async def promote(self, model: str, asked: Promotion, judged: Judged | None = None) -> LedgerEntry:
        """Puts the version and the policy that training suggested for it in place; the gate's word counts unless forced."""
        self._refuse_pinned(model)
        async with self.repository.changing(model) as change:
            current = await change.current()
            _refuse_moved(model, current, judged)
            candidate = await _candidate(change, model, asked.version, current)
            if not asked.force:
                _refuse_failed(model, asked.version, candidate.verdict)
            policy = await _number(change, candidate, asked)
            verdict = candidate.verdict if judged is None else (candidate.verdict or {}) | {"shadow": judged.figures}
            entry = await change.append("promote", current, asked.version, policy, asked.actor, asked.reason, verdict)
        return _counted(model, entry)

    async def challenge(self, model: str, asked: Trial, judged: Judged | None = None) -> LedgerEntry:
        """Begins a trial, or changes the one there is; only what the gate let pass is tried."""
        self._refuse_pinned(model)
        rules = self.models[model].rollout or Rollout()
        async with self.repository.changing(model) as change:
            current = await change.current()
            _refuse_moved(model, current, judged)
            candidate = await _candidate(change, model, asked.version, current)
            if current is None:
                raise Conflict(f"Nothing serves {model}, so there is nothing to try a version beside; promote it.")
            _refuse_failed(model, asked.version, candidate.verdict)
            policy = await _number(change, candidate, asked)
            before = tried(current)
            same = before if before is not None and before.version == asked.version else None
            if asked.mode == "shadow":
                wanted = Challenger(asked.version, policy, asked.percent or rules.shadow.percent, 0)
            else:
                canary = asked.percent or (rules.canary or CanaryRules()).percent
                wanted = Challenger(asked.version, policy, same.shadow_percent if same else rules.shadow.percent, canary)
            if wanted == before:
                raise Conflict(f"Version {asked.version} of {model} is tried so already.")
            figures = None if judged is None else judged.figures
            entry = await change.append(asked.mode, current, current.to_version, current.to_policy, asked.actor, asked.reason, figures, wanted)
        return _counted(model, entry)

    async def withdraw(self, model: str, asked: Withdrawal, judged: Judged | None = None) -> LedgerEntry:
        async with self.repository.changing(model) as change:
            current = await change.current()
            _refuse_moved(model, current, judged)
            if current is None or current.challenger is None:
                raise Conflict(f"No version of {model} is being tried.")
            figures = None if judged is None else judged.figures
            entry = await change.append("withdraw", current, current.to_version, current.to_policy, asked.actor, asked.reason, figures)
        return _counted(model, entry)

    async def rollback(self, model: str, asked: Rollback, judged: Judged | None = None) -> LedgerEntry:
        if asked.policy_only:
            return await self._rollback_policy(model, asked)
        self._refuse_pinned(model)
        async with self.repository.changing(model) as change:
            history = await change.history()
            if not history:
                raise Conflict(f"Nothing serves {model}, so there is nothing to roll back.")
            current = history[-1]
            _refuse_moved(model, current, judged)
            target = await _named(change, model, history, asked.to) if asked.to is not None else _previous(model, history)
            figures = None if judged is None else judged.figures
            entry = await change.append("rollback", current, target.version, target.policy, asked.actor, asked.reason, figures)
        return _counted(model, entry)

    async def _rollback_policy(self, model: str, asked: Rollback) -> LedgerEntry:
        """Who is tried stays, as with every change of the policy."""
        self._refuse_without_policy(model)
        async with self.repository.changing(model) as change:
            history = await change.history()
            policies = policy_stack(history)
            if not policies:
                raise Conflict(f"There is no policy of {model} to go back to: it has had one at most.")
            current = history[-1]
            entry = await change.append("rollback", current, current.to_version, policies[-1], asked.actor, asked.reason, None, tried(current))
        return _counted(model, entry)

    async def change_policy(self, model: str, asked: PolicyChange) -> LedgerEntry:
        self._refuse_without_policy(model)
        async with self.repository.changing(model) as change:
            current = await change.current()
            if current is None or current.to_policy is None:
                raise Conflict(f"Nothing serves {model}; promote a version first, it brings its policy along.")
            before = await change.policy(current.to_policy)
            after = before.model_copy(update={name: getattr(asked, name) for name in Policy.model_fields if getattr(asked, name) is not None})
            if after == before:
                raise Conflict(f"That is the policy of {model} already (number {current.to_policy}).")
            policy = await change.number_of(after, asked.actor, asked.reason)
            entry = await change.append("policy", current, current.to_version, policy, asked.actor, asked.reason, None, tried(current))
        return _counted(model, entry)

    def _refuse_without_policy(self, model: str) -> None:
        if self.models[model].task != "classification":
            raise Invalid(f"{model} is a regression: it has no decision policy.")

    def _refuse_pinned(self, model: str) -> None:
        pin = self.models[model].pin
        if pin is not None:
            raise Conflict(f"{model} is pinned to version {pin} in the catalogue: remove `pin` there to promote or roll back.")


async def _candidate(change: Change, model: str, version: str, current: LedgerEntry | None) -> Candidate:
    found = await change.candidate(version)
    if found is None:
        raise NotFound(f"{model} has no version {version!r}; GET /models/{model}/versions lists them.")
    if current is not None and current.to_version == version:
        raise Conflict(f"Version {version} of {model} serves already, since {current.created_at:%Y-%m-%d %H:%M:%S} UTC.")
    return found


async def _number(change: Change, candidate: Candidate, asked: Promotion | Trial) -> int | None:
    because = f"suggested by version {asked.version}: {asked.reason}"
    return None if candidate.policy is None else await change.number_of(candidate.policy, asked.actor, because)


def _refuse_moved(model: str, current: LedgerEntry | None, judged: Judged | None) -> None:
    if judged is not None and (current is None or current.id != judged.entry):
        raise Conflict(f"Meanwhile somebody has changed what serves {model}; it is judged anew.")


def _refuse_failed(model: str, version: str, verdict: dict[str, Any] | None) -> None:
    if verdict is None:
        raise Conflict(f"The gate has not judged version {version} of {model} yet; run the pipeline's promote step, or force it.")
    if verdict["passed"] is not True:
        failed = [rule for rule in verdict["rules"] if not rule["passed"]]
        words = "; ".join(f"{rule['rule']}: {rule['words']}" for rule in failed)
        raise Conflict(f"The gate refused version {version} of {model}: {words}.", extra={"failed_rules": [rule["rule"] for rule in failed]})


def _previous(model: str, history: list[LedgerEntry]) -> Served:
    stack = undo_stack(history)
    if not stack:
        raise Conflict(f"There is nothing to roll {model} back to: no version served before {history[-1].to_version}.")
    return stack[-1]


async def _named(change: Change, model: str, history: list[LedgerEntry], version: str) -> Served:
    if version == history[-1].to_version:
        raise Conflict(f"Version {version} of {model} serves already.")
    stack = undo_stack(history)
    depth = find(stack, version)
    served = stack[depth] if depth is not None else last_served(history, version)
    if served is None and await change.candidate(version) is None:
        raise NotFound(f"{model} has no version {version!r}; GET /models/{model}/versions lists them.")
    if served is None:
        raise Conflict(f"Version {version} of {model} has never served, so it cannot be rolled back to; promote it.")
    return served


def tried(entry: LedgerEntry) -> Challenger | None:
    """Who is tried since then."""
    if entry.challenger is None:
        return None
    return Challenger(entry.challenger, entry.challenger_policy, entry.shadow_percent, entry.canary_percent)


def _counted(model: str, entry: LedgerEntry) -> LedgerEntry:
    metrics.DEPLOYMENTS.labels(model, entry.action).inc()
    return entry
