"""After each decision about what serves: every replica is asked, at its own address, until its answers are those of the decision.

All gateways that hear of a decision do so; the first that tells control is the one whose word is kept.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from typing import Any

from psycopg import Error

from services.gateway.ledger import repository
from services.gateway.ledger.repository import Decision
from services.gateway.models.service import Control
from services.gateway.predictions.contracts import Contracts
from services.gateway.predictions.hop import Runners
from services.kit.errors import Problem
from services.kit.postgres import Pool, listen

log = logging.getLogger(__name__)

CHANNEL = "modelyard_serving"
PATIENCE_SECONDS = 30.0
"""From the decision until it is given up that all replicas follow."""
WAIT_SECONDS = 5.0
"""Longest that whoever decided waits for the verification."""
PAUSE_SECONDS = 0.05
PROBE_SECONDS = 1.0
TELL_SECONDS = 60.0
MOST_KEPT = 64

Verification = dict[str, Any]


class Verifier:
    def __init__(self, url: str, pool: Pool, control: Control, contracts: Contracts, runners: Runners) -> None:
        self._url, self._pool, self._control, self._contracts, self._runners = url, pool, control, contracts, runners
        self._tasks: OrderedDict[int, asyncio.Task[Verification | None]] = OrderedDict()
        self._newest: dict[str, int] = {}
        """By model, the last decision heard of: it ends the wait for those before it."""

    async def run(self) -> None:
        """Until cancelled. A decision that was made while nothing listened is verified when it is young enough to be waited for."""
        try:
            async for notification in listen(self._url, "gateway-listen", [CHANNEL]):
                for model in self._contracts if notification is None else [notification.payload]:
                    await self._look(model)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def entry(self, model: str, entry: dict[str, Any]) -> dict[str, Any]:
        """Control's answer to a change, with its verification when that is there within WAIT_SECONDS."""
        if "to_version" not in entry:
            return entry
        task = self._begin(model, Decision(entry["id"], entry["to_version"], entry["to_policy"], 0.0))
        done, _ = await asyncio.wait([task], timeout=WAIT_SECONDS)
        well = bool(done) and not task.cancelled() and task.exception() is None
        return entry | {"verification": task.result() if well else None}

    async def _look(self, model: str) -> None:
        if model not in self._contracts:
            return
        try:
            async with self._pool.connection() as connection:
                decision = await repository.unverified(connection, model)
        except Error as error:
            log.warning("cannot read what was decided", extra={"model": model, "error": str(error)})
            return
        if decision is not None and decision.age < PATIENCE_SECONDS:
            self._begin(model, decision)

    def _begin(self, model: str, decision: Decision) -> asyncio.Task[Verification | None]:
        task = self._tasks.get(decision.id)
        if task is None:
            self._newest[model] = max(decision.id, self._newest.get(model, 0))
            task = asyncio.create_task(self._verify(model, decision), name=f"verifying entry {decision.id} of {model}")
            task.add_done_callback(_ended)
            self._tasks[decision.id] = task
            while len(self._tasks) > MOST_KEPT and self._tasks[next(iter(self._tasks))].done():
                self._tasks.popitem(last=False)
        return task

    async def _verify(self, model: str, decision: Decision) -> Verification | None:
        """What control has kept; None when it could not be told."""
        decided = time.monotonic() - decision.age
        found: dict[str, dict[str, Any]] = {}
        while True:
            complete = await self._probe(model, decision, decided, found)
            seconds = time.monotonic() - decided
            if complete or seconds > PATIENCE_SECONDS or self._newest[model] > decision.id:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        if complete:
            seconds = max(one["seconds"] for one in found.values())
        else:
            log.warning("not every replica's answers are those that the ledger says", extra={"model": model, "entry": decision.id})
        said = {"complete": complete, "seconds": round(max(seconds, 0.0), 4), "replicas": list(found.values())}
        return await self._tell(model, decision, said)

    async def _probe(self, model: str, decision: Decision, decided: float, found: dict[str, dict[str, Any]]) -> bool:
        """Asks those that have not followed yet. A row of the schema's own example: it is nobody's prediction and is not audited."""
        contract = self._contracts[model]
        row = contract.encode(contract.decode_python(contract.schema.EXAMPLE))
        wanted = (decision.version, decision.policy_version)
        known = {address for address, one in found.items() if (one["version"], one["policy_version"]) == wanted}
        answers = await self._runners[model].each(row, PROBE_SECONDS, known)
        for address in found.keys() - known - answers.keys():
            del found[address]
        for address, (answer, at) in answers.items():
            version, policy = (answer.version, answer.policy_version) if answer else (None, None)
            found[address] = {"address": address, "version": version, "policy_version": policy, "seconds": round(max(at - decided, 0.0), 4)}
        return bool(found) and all((one["version"], one["policy_version"]) == wanted for one in found.values())

    async def _tell(self, model: str, decision: Decision, said: Verification) -> Verification | None:
        ends = time.monotonic() + TELL_SECONDS
        while True:
            try:
                entry = await self._control.change("POST", f"/models/{model}/ledger/{decision.id}/verification", said)
                kept: Verification | None = entry.get("verification")
            except Problem as problem:
                if time.monotonic() > ends or problem.status not in (503, 504):
                    log.warning("control cannot be told of a verification", extra={"model": model, "entry": decision.id, "reason": problem.detail})
                    return None
                await asyncio.sleep(1.0)
            else:
                return kept


def _ended(task: asyncio.Task[Verification | None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a decision could not be verified", exc_info=task.exception())
