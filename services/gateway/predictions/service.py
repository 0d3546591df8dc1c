"""From a valid row to a durable answer."""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import orjson

from services.gateway import metrics
from services.gateway.predictions import rows
from services.gateway.predictions.contracts import Contract
from services.gateway.predictions.entries import Entry
from services.gateway.predictions.hop import One
from services.gateway.predictions.rows import Key
from services.gateway.state import State
from services.kit.ids import text_of, uuid7_bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and for how long."""

    username: str
    request_id: str
    started: float
    """Of time.perf_counter, when the request arrived."""
    deadline: float
    """In the event loop's time."""
    version: str | None = None
    """No other one may answer."""
    sticky: str | None = None
    """Whom a canary takes the caller for, in place of the user name."""


class Recorded(NamedTuple):
    identifier: bytes
    one: One

    def answer(self, contract: Contract) -> bytes:
        """What the runner said, byte for byte, and behind it the platform's own fields."""
        one = self.one
        return one.answer.rstrip()[:-1] + _own(contract.name, one.version, one.policy_version) % text_of(self.identifier).encode()


async def predict(state: State, contract: Contract, asked: Asked, row: bytes, key: Key | None = None) -> Recorded:
    """Returns when the audit row is durable. `row` is what Contract.encode made.

    Raises what the runner and the journal raise, which is KeyTaken only for a request with a key.
    """
    spools = contract.spools and key is None
    state.journal.check(spools)
    runner = state.runners[contract.name]
    if state.canaries and asked.version is None:
        runner = state.canaries.chosen(contract.name, asked.sticky or asked.username) or runner
    one = await runner.one(row, asked.deadline)
    contract.require(asked.version, one.version)
    identifier = uuid7_bytes()
    shared = rows.common(contract.name, one.version, one.policy_version, asked.username, asked.request_id)
    # The latency ends here, where the commit begins.
    latency_ms = (time.perf_counter() - asked.started) * 1000
    entry = Entry([rows.encode(identifier, shared, row, one.answer, one.score, one.decision, latency_ms)], asked.deadline, spools, key)
    state.journal.submit(entry)
    await entry.done
    metrics.predicted(contract.name, one.version, one.decision)
    return Recorded(identifier, one)


@lru_cache(256)
def _own(model: str, version: str, policy: int | None) -> bytes:
    """The end of an answer, with a place for the id; % in a version would otherwise be one too."""
    versions = orjson.dumps({"model": model, "model_version": version, "policy_version": policy})[1:]
    return b',"prediction_id":"%s",' + versions.replace(b"%", b"%%")
