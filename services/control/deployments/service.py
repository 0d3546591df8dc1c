from typing import Any

from bentos.catalogue import Catalogue
from services.control import metrics
from services.control.deployments.history import Served, find, last_served, undo_stack
from services.control.deployments.repository import Change, DeploymentsRepository
from services.control.deployments.schemas import Desired, LedgerEntry, Policy, PolicyChange, Promotion, Rollback
from services.control.deployments.waiters import Waiters
from services.kit.errors import Conflict, Invalid, NotFound


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
            found = await self.repository.desired(model)
            if found.etag != known:
                return found
            if not await self.waiters.wait(change, deadline):
                return None

    async def promote(self, model: str, asked: Promotion) -> LedgerEntry:
        """Puts the version and the policy that training suggested for it in place; the gate's word counts unless forced."""
        self._refuse_pinned(model)
        async with self.repository.changing(model) as change:
            current = await change.current()
            candidate = await change.candidate(asked.version)
            if candidate is None:
                raise NotFound(f"{model} has no version {asked.version!r}; GET /models/{model}/versions lists them.")
            if current is not None and current.to_version == asked.version:
                raise Conflict(f"Version {asked.version} of {model} serves already, since {current.created_at:%Y-%m-%d %H:%M:%S} UTC.")
            if not asked.force:
                _refuse_failed(model, asked.version, candidate.verdict)
            because = f"suggested by version {asked.version}: {asked.reason}"
            policy = None if candidate.policy is None else await change.number_of(candidate.policy, asked.actor, because)
            entry = await change.append("promote", current, asked.version, policy, asked.actor, asked.reason, candidate.verdict)
        return _counted(model, entry)

    async def rollback(self, model: str, asked: Rollback) -> LedgerEntry:
        self._refuse_pinned(model)
        async with self.repository.changing(model) as change:
            history = await change.history()
            if not history:
                raise Conflict(f"Nothing serves {model}, so there is nothing to roll back.")
            current = history[-1]
            target = await _named(change, model, history, asked.to) if asked.to is not None else _previous(model, history)
            entry = await change.append("rollback", current, target.version, target.policy, asked.actor, asked.reason, None)
        return _counted(model, entry)

    async def change_policy(self, model: str, asked: PolicyChange) -> LedgerEntry:
        if self.models[model].task != "classification":
            raise Invalid(f"{model} is a regression: it has no decision policy.")
        async with self.repository.changing(model) as change:
            current = await change.current()
            if current is None or current.to_policy is None:
                raise Conflict(f"Nothing serves {model}; promote a version first, it brings its policy along.")
            before = await change.policy(current.to_policy)
            after = before.model_copy(update={name: getattr(asked, name) for name in Policy.model_fields if getattr(asked, name) is not None})
            if after == before:
                raise Conflict(f"That is the policy of {model} already (number {current.to_policy}).")
            policy = await change.number_of(after, asked.actor, asked.reason)
            entry = await change.append("policy", current, current.to_version, policy, asked.actor, asked.reason, None)
        return _counted(model, entry)

    def _refuse_pinned(self, model: str) -> None:
        pin = self.models[model].pin
        if pin is not None:
            raise Conflict(f"{model} is pinned to version {pin} in the catalogue: remove `pin` there to promote or roll back.")


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


def _counted(model: str, entry: LedgerEntry) -> LedgerEntry:
    metrics.DEPLOYMENTS.labels(model, entry.action).inc()
    return entry
