"""What people are told of a row of the ledger, of a version and of a failed run: written where the row is written."""

from typing import Any, Protocol

from services.control.notifications.repository import emit
from services.control.notifications.schemas import Event, Level
from services.kit.postgres import Connection, Pool


class Entry(Protocol):
    """A row of the ledger."""

    @property
    def id(self) -> int: ...
    @property
    def action(self) -> str: ...
    @property
    def from_version(self) -> str | None: ...
    @property
    def to_version(self) -> str: ...
    @property
    def from_policy(self) -> int | None: ...
    @property
    def to_policy(self) -> int | None: ...
    @property
    def actor(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def verdict(self) -> dict[str, Any] | None: ...
    @property
    def challenger(self) -> str | None: ...
    @property
    def shadow_percent(self) -> int: ...
    @property
    def canary_percent(self) -> int: ...
    @property
    def hash(self) -> str: ...


async def changed(connection: Connection, model: str, entry: Entry, before: Entry | None) -> None:
    """To be called in the transaction that appends the entry; `before` was the last one until then."""
    event, level, title, words = _told(model, entry, before)
    fields = {"version": entry.to_version, "actor": entry.actor, "reason": entry.reason, "ledger entry": str(entry.id), "head": entry.hash}
    if entry.to_policy is not None:
        fields["policy"] = str(entry.to_policy)
    if entry.challenger is not None:
        fields["challenger"] = entry.challenger
    await emit(connection, event, key=f"ledger {entry.id}", model=model, title=title, words=words, fields=fields, level=level)


def _told(model: str, entry: Entry, before: Entry | None) -> tuple[Event, Level, str, str]:
    version, by = entry.to_version, f"By {entry.actor}: {entry.reason}"
    if entry.action == "promote":
        forced = entry.verdict is None or entry.verdict.get("passed") is not True
        words = f"Version {entry.from_version or 'none'} served before. {by}"
        return "promoted", "warning" if forced else "info", f"{model}: version {version} serves", f"{words} (against the gate)" if forced else words
    if entry.action == "policy" or (entry.action == "rollback" and entry.from_version == entry.to_version):
        words = f"Policy {entry.from_policy} gives way to {entry.to_policy}. {by}"
        return "policy_changed", "info", f"{model}: policy {entry.to_policy} decides", words
    if entry.action == "rollback":
        words = f"Version {entry.from_version} was rolled back. {by}"
        return "rolled_back", "warning", f"{model}: back to version {version}", words
    if entry.action == "shadow":
        words = f"It scores {entry.shadow_percent} % of what version {version} answers. {by}"
        return "shadow_started", "info", f"{model}: version {entry.challenger} is tried in the shadow", words
    if entry.action == "canary":
        words = f"It answers {entry.canary_percent} % of the callers, version {version} the others. {by}"
        return "canary_started", "info", f"{model}: version {entry.challenger} answers some", words
    tried = before.challenger if before is not None else None
    return "withdrawn", "warning", f"{model}: version {tried or '?'} is withdrawn", f"Version {version} goes on. {by}"


class Watches:
    """Tells of a promotion that was watched to the end, in a transaction of its own: nothing is written with it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def watch_passed(self, model: str, version: str, entry: int) -> None:
        """Once for each row of the ledger, however often it is called."""
        fields = {"version": version, "ledger entry": str(entry)}
        title, words = f"{model}: version {version} has passed its watch", "Errors, latency, scores and cost stayed within the catalogue's limits."
        async with self._pool.connection() as connection:
            await emit(connection, "watch_passed", key=f"watch {entry}", model=model, title=title, words=words, fields=fields)


async def registered(connection: Connection, model: str, version: str, source: str, data_hash: str) -> None:
    fields = {"version": version, "source": source, "data": data_hash[:12]}
    words = "It was trained and measured; the gate judges it next."
    await emit(
        connection,
        "version_registered",
        key=f"version {model} {version}",
        model=model,
        title=f"{model}: version {version} is there",
        words=words,
        fields=fields,
    )


async def judged(connection: Connection, model: str, version: str, verdict: dict[str, Any]) -> None:
    """Nothing when the gate lets it pass: what follows from that is told."""
    if verdict.get("passed") is True:
        return
    failed = [rule for rule in verdict.get("rules", []) if isinstance(rule, dict) and not rule.get("passed")]
    words = "; ".join(str(rule.get("words", rule.get("rule"))) for rule in failed) or "no rule is named"
    title = f"{model}: the gate refuses version {version}"
    fields = {"version": version, "rules": ", ".join(str(rule.get("rule")) for rule in failed)}
    await emit(connection, "gate_refused", key=f"gate {model} {version}", model=model, title=title, words=words, fields=fields, level="warning")


async def run_failed(connection: Connection, run: Any) -> None:
    """A run as `workflow_runs` has it, ended."""
    fields = {"kind": run.kind, "actor": run.actor, "reason": run.reason, "run": str(run.id)}
    title, words = f"{run.model}: a {run.kind} run failed", str(run.error or "It did not say why.")[:2000]
    await emit(connection, "run_failed", key=f"run {run.id}", model=run.model, title=title, words=words, fields=fields, level="error")
