"""What a runner serves from. One immutable object that is replaced whole: a call keeps the one it started with, so the version and
the policy in its answer are those that made it."""

import time
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from bentos.serving.artifact import Artifact, Refused

Source = Literal["cache", "baked", "mlflow"]
MOST_REFUSALS = 10
MOST_KEPT = 8
KEPT_SECONDS = 60.0


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, eq=False)
class Slot:
    version: str
    artifact: Artifact
    source: Source
    loaded_at: str = field(default_factory=now)

    def document(self) -> dict[str, Any]:
        return {"version": self.version, "engine": self.artifact.engine.kind, "loaded_at": self.loaded_at, "source": self.source}


@dataclass(frozen=True)
class Slots:
    champion: Slot | None = None
    challenger: Slot | None = None
    policy: dict[str, Any] | None = None
    challenger_policy: dict[str, Any] | None = None
    shadow_percent: int = 0

    @property
    def tried(self) -> "Slots | None":
        """With the challenger in the champion's place; None while there is none."""
        return None if self.challenger is None else replace(self, champion=self.challenger, policy=self.challenger_policy)

    @property
    def state(self) -> tuple[str | None, int | None]:
        """Version and policy version: who asks for the same state again names it by these."""
        return (self.champion.version if self.champion else None), (self.policy["version"] if self.policy else None)


class Runner:
    """The state of one runner process: what serves now, and what was refused and why."""

    def __init__(self, model: str, replica: str, decides: bool) -> None:
        """`decides`: a classification, which cannot answer without a decision policy."""
        self.model, self.replica, self.decides = model, replica, decides
        self.idle = False
        """Control has said that nothing has been promoted yet."""
        self._slots = Slots()
        self._kept: deque[tuple[float, Slots]] = deque(maxlen=MOST_KEPT)
        self._refused: dict[str, dict[str, Any]] = {}

    @property
    def slots(self) -> Slots:
        return self._slots

    @slots.setter
    def slots(self, after: Slots) -> None:
        """What served until now is kept for a while: a file that is scored in several calls gets all its answers from one state."""
        if after.state != self._slots.state:
            self._kept.append((time.monotonic(), self._slots))
        self._slots = after

    def kept(self, version: str, policy_version: int | None) -> Slots | None:
        """The state that serves or has served lately, if it is one of the last MOST_KEPT."""
        for slots in (self._slots, *(slots for _, slots in reversed(self._kept))):
            if slots.state == (version, policy_version):
                return slots
        return None

    def forget(self, seconds: float = KEPT_SECONDS) -> None:
        """Lets go of what has not served for so long."""
        while self._kept and self._kept[0][0] <= time.monotonic() - seconds:
            self._kept.popleft()

    def refuse(self, version: str, reason: str) -> None:
        self._refused.pop(version, None)
        self._refused[version] = {"version": version, "reason": reason, "at": now()}
        while len(self._refused) > MOST_REFUSALS:
            self._refused.pop(next(iter(self._refused)))

    def accept(self, version: str) -> None:
        self._refused.pop(version, None)

    def unready(self) -> str | None:
        """Why this runner cannot answer; None when it can: its champion has just reproduced a golden row."""
        slots = self.slots
        if slots.champion is None:
            what = "has been promoted yet" if self.idle else "is loaded"
            return f"No version of {self.model} {what}." + "".join(f" Version {v} was refused: {r['reason']}" for v, r in self._refused.items())
        if self.decides and slots.policy is None:
            return f"{self.model} has no decision policy."
        try:
            slots.champion.artifact.check_golden(1)
        except Refused as refused:
            return str(refused)
        return None

    def document(self) -> dict[str, Any]:
        slots = self.slots
        return {
            "model": self.model,
            "replica": self.replica,
            "champion": slots.champion and slots.champion.document(),
            "challenger": slots.challenger and slots.challenger.document(),
            "policy": slots.policy,
            "challenger_policy": slots.challenger_policy,
            "refused": list(self._refused.values()),
        }
