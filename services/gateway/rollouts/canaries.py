"""Who is answered by a challenger: a share of the callers, always the same ones."""

import asyncio
import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from psycopg import Error

from services.gateway.predictions.hop import Runner, Runners
from services.gateway.rollouts import repository
from services.kit.postgres import Pool, listen

log = logging.getLogger(__name__)

CHANNEL = "modelyard_serving"
LOOK_AGAIN_SECONDS = 30.0
HEADER = b"x-sticky-key"
LONGEST_KEY = 128


@dataclass(frozen=True, slots=True)
class Canary:
    percent: int
    runner: Runner


@dataclass(slots=True)
class Canaries:
    """False while there is none: whoever asks pays nothing then."""

    _of: dict[str, Canary] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._of)

    def chosen(self, model: str, caller: str) -> Runner | None:
        """A caller who is among 5 % is among 10 % too: the challenger only wins callers as its share grows."""
        canary = self._of.get(model)
        return canary.runner if canary is not None and place(model, caller) < canary.percent else None

    def put(self, percents: dict[str, int], runners: Runners) -> None:
        """These and no others. One that goes on keeps its runner, with what this has learned."""
        found: dict[str, Canary] = {}
        for model, percent in percents.items():
            if percent and model in runners:
                before = self._of.get(model)
                found[model] = Canary(percent, before.runner if before is not None else runners[model].tried())
        if {model: one.percent for model, one in found.items()} != {model: one.percent for model, one in self._of.items()}:
            log.info("canaries changed", extra={"percents": {model: one.percent for model, one in found.items()}})
        self._of = found


def place(model: str, caller: str) -> int:
    """0 to 99, the same in every gateway."""
    digest = hashlib.blake2b(f"{model}\0{caller}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % 100


def sticky(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """X-Sticky-Key, as far as it counts."""
    return next((value[:LONGEST_KEY].decode("latin-1") for name, value in headers if name == HEADER), None)


async def following(url: str, pool: Pool, canaries: Canaries, runners: Runners) -> None:
    """Without end: as the ledger says, at once after each change, and now and then in case one was missed."""
    changed = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_hear(url, changed))
        while True:
            changed.clear()
            try:
                async with pool.connection() as connection:
                    canaries.put(await repository.percents(connection, list(runners)), runners)
            except (Error, OSError) as error:
                log.warning("cannot read the canaries; they stay as they are", extra={"error": str(error)})
            try:
                async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                    await changed.wait()
            except TimeoutError:
                continue


async def _hear(url: str, changed: asyncio.Event) -> None:
    async for _ in listen(url, "gateway-listen", [CHANNEL]):
        changed.set()
