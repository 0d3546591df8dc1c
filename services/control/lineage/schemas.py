from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from services.control.deployments.schemas import LedgerEntry, PolicyVersion
from services.control.registry.schemas import VersionDocument


class Broken(BaseModel):
    """An entry that is not what it was, or not where it was."""

    id: int
    rule: Literal["hash", "link"]
    words: str


class Checked(BaseModel):
    """The chain of a model as it was recomputed. `known`: whether the hash that the caller had noted is in it; null without one."""

    model: str
    rows: int
    ok: bool
    head: str | None
    broken: list[Broken]
    known: bool | None = None


class Link(BaseModel):
    """An entry as its hash is made of it: SHA-256 of the hash before it (64 zeros before the first), a line feed, and `text`."""

    id: int
    text: str
    previous_hash: str | None
    hash: str


class Chain(BaseModel):
    model: str
    head: str | None
    entries: list[Link]
    """Oldest first."""


class PolicyRecord(PolicyVersion):
    actor: str
    reason: str
    created_at: datetime


class Origin(BaseModel):
    """Where an answer of a version and a policy comes from. `deployment` put the version where it answered, `policy_deployment` the policy."""

    version: VersionDocument
    code_revision: str | None
    policy: PolicyRecord | None
    deployment: LedgerEntry | None
    policy_deployment: LedgerEntry | None
    head: str | None


class Then(BaseModel):
    """What answered at a moment, according to the ledger."""

    model: str
    moment: datetime
    version: str
    policy_version: int | None
    threshold: float | None
    data_hash: str
    source: str
    since: datetime
    actor: str
    reason: str
    deployment: LedgerEntry
    policy_deployment: LedgerEntry | None
    challenger: str | None
    canary_percent: int
