"""Who put what where it answered, and whether the ledger is still what was written."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from services.control.deployments.schemas import LedgerEntry, Verification
from services.control.lineage.repository import LineageRepository
from services.control.lineage.schemas import Broken, Chain, Checked, Link, Origin, PolicyRecord, Then
from services.control.registry.schemas import VersionDocument
from services.control.registry.service import Registry
from services.kit.errors import NotFound

BEFORE_FIRST = 64 * "0"


class Lineage:
    def __init__(self, repository: LineageRepository, registry: Registry) -> None:
        self._repository, self._registry = repository, registry

    async def chain(self, model: str) -> Chain:
        links = await self._repository.chain(model)
        return Chain(model=model, head=links[-1].hash if links else None, entries=links)

    async def check(self, model: str, known: str | None) -> Checked:
        """Recomputes every hash here, not in the database."""
        links = await self._repository.chain(model)
        broken = broken_links(links)
        there = None if known is None else any(link.hash == known for link in links)
        head = links[-1].hash if links else None
        return Checked(model=model, rows=len(links), ok=not broken and there is not False, head=head, broken=broken, known=there)

    async def verified(self, model: str, entry: int, said: Verification) -> LedgerEntry:
        found = await self._repository.verified(model, entry, said)
        if found is None:
            raise NotFound(f"The ledger of {model} has no entry {entry}.")
        return found

    async def then(self, model: str, moment: datetime) -> Then:
        """What the ledger said at the moment. Replicas follow it within about a second: an entry's verification says when they did."""
        last = await self._repository.last(model, moment)
        if last is None:
            raise NotFound(f"Nothing served {model} at {moment:%Y-%m-%d %H:%M:%S %Z}.")
        put = await self._repository.put(model, last.to_version, moment)
        policy = None if last.to_policy is None else await self._repository.policy(model, last.to_policy)
        version = await self._registry.version(model, last.to_version)
        by = put or last
        return Then(
            model=model,
            moment=moment,
            version=last.to_version,
            policy_version=last.to_policy,
            threshold=policy and policy.threshold,
            data_hash=version.data_hash,
            source=version.source,
            since=by.created_at,
            actor=by.actor,
            reason=by.reason,
            deployment=by,
            policy_deployment=None if last.to_policy is None else await self._repository.set(model, last.to_policy, moment),
            challenger=last.challenger,
            canary_percent=last.canary_percent,
        )

    async def origin(self, model: str, version: str, policy: int | None, moment: datetime) -> Origin:
        """Raises NotFound when the model has no such version."""
        document = await self._registry.version(model, version)
        return Origin(
            version=document,
            code_revision=document.metrics.get("code_revision"),
            policy=None if policy is None else await self._repository.policy(model, policy) or _of_training(document, policy),
            deployment=await self._repository.put(model, version, moment),
            policy_deployment=None if policy is None else await self._repository.set(model, policy, moment),
            head=await self._repository.head(model),
        )


def _of_training(version: VersionDocument, policy: int) -> PolicyRecord | None:
    """Number 0 is the policy that a version brings along in an image: no decision of control's has numbered it."""
    if policy != 0 or version.policy is None:
        return None
    said = {"version": 0, "actor": "training", "reason": f"suggested by version {version.version}", "created_at": version.created_at}
    return PolicyRecord.model_validate(version.policy | said)


def hash_of(link: Link, previous: str | None) -> str:
    return hashlib.sha256(f"{previous or BEFORE_FIRST}\n{link.text}".encode()).hexdigest()


def broken_links(links: Sequence[Link]) -> list[Broken]:
    """Each entry is held against the hash before it as it is recorded: one that was changed breaks itself, one that is gone breaks its successor."""
    found: list[Broken] = []
    before: str | None = None
    for link in links:
        if link.previous_hash != before:
            words = "does not follow the entry before it: one was taken out, put in or moved"
            found.append(Broken(id=link.id, rule="link", words=words))
        if hash_of(link, link.previous_hash) != link.hash:
            words = "the entry, or the version or policy that it names, is not what was written"
            found.append(Broken(id=link.id, rule="hash", words=words))
        before = link.hash
    return found
