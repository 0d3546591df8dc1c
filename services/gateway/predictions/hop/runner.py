"""The hop to one model's runner. Rows that arrive while the allowed calls are under way travel together in the next one."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from services.gateway import metrics
from services.gateway.deadlines import Deadlines
from services.gateway.predictions.hop import answers
from services.gateway.predictions.hop.answers import Moved, One, Scored
from services.gateway.predictions.hop.connection import Answer, Broken, Unreached
from services.gateway.predictions.hop.replica import Call, Replica
from services.gateway.predictions.hop.replicas import Replicas, Resolve, resolve
from services.kit.durations import Durations
from services.kit.errors import BadRequest, GatewayTimeout, Invalid, Problem, Unavailable

MOST_ROWS = 256
"""Rows of different requests in one call."""
MOST_BYTES = 2**20
"""So many bytes of them."""
MOST_WAITING = 4096
PATIENCE = 2.0
"""A row may take as many times as long as a lone one before waiting is called too long, however short the configured bound."""

Waiting = tuple[bytes, float, asyncio.Future[One]]
"""A row, its deadline, and where its caller waits."""


class Runner:
    """One model's, over all its replicas."""

    def __init__(
        self,
        model: str,
        urls: Sequence[str],
        deadlines: Deadlines,
        *,
        calls: int = 1,
        max_wait: float = 0.05,
        resolve: Resolve = resolve,
        beside: "Runner | None" = None,
    ) -> None:
        """`calls` at a time to each replica; `max_wait` in seconds, for one row. `beside`: has the same replicas asked for their challengers' answers."""
        self.model = model
        self.url = urls[0]
        self._deadlines = deadlines
        self._replicas: Replicas = Replicas(model, urls, deadlines, resolve) if beside is None else beside._replicas
        self._end = b"]}" if beside is None else b'],"slot":"challenger"}'
        self._calls = calls
        self._max_wait = max_wait
        self._times = Durations()
        self._longest = max_wait
        self._fit = MOST_ROWS
        """Rows that may wait for sure; beyond it is worth a calculation."""
        self._under_way = 0
        self._gathering = False
        self._waiting: deque[Waiting] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    def watching(self) -> AbstractAsyncContextManager[None]:
        """To be open while the runner is used: looks up names, probes replicas."""
        return self._replicas.watching()

    def tried(self) -> "Runner":
        """The same replicas' challengers; where there is none, the champion answers."""
        return Runner(self.model, [self.url], self._deadlines, calls=self._calls, max_wait=self._max_wait, beside=self)

    async def one(self, row: bytes, deadline: float) -> One:
        """One row, with all others that wait. Raises a Problem: what the runner said, or that it is away, overloaded or too slow."""
        self.check(deadline)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[One] = loop.create_future()
        self._waiting.append((row, deadline, future))
        if not self._gathering:
            # What was read from other connections at the same time is tasks that have not begun: two turns of the loop let them come along.
            self._gathering = True
            loop.call_soon(loop.call_soon, self._gathered)
        self._deadlines.watch(future, deadline, self._too_slow)
        return await future

    async def many(self, rows: Sequence[bytes], deadline: float) -> Scored:
        """One call with just these rows."""
        body = b'{"rows":[' + b",".join(rows) + self._end
        return await self._replicas.ask(self._call(b"POST /rows", b"application/json", body, deadline), partial(self._scored, len(rows)))

    async def columns(self, block: bytes, deadline: float) -> bytes:
        """One call with a block of columns; the answer is a block too, as it came. Raises Moved when the version that the block is pinned to is gone."""
        call = self._call(b"POST /columns", b"application/vnd.modelyard.columns", block, deadline)
        return await self._replicas.ask(call, self._block)

    async def each(self, row: bytes, seconds: float, but: Collection[str] = ()) -> dict[str, tuple[One | None, float]]:
        """By address, every replica's own answer to the row and when it was there (time.monotonic), past the queue. None from one that gives none.

        Nobody's place is taken and nobody is put out by it. Replicas of the addresses `but` are not asked.
        """
        call = self._call(b"POST /rows", b"application/json", b'{"rows":[%b]}' % row, asyncio.get_running_loop().time() + seconds)
        asked = [replica for replica in self._replicas.all if replica.name not in but]
        found = await asyncio.gather(*(self._own(replica, call) for replica in asked))
        return {replica.name: answer for replica, answer in zip(asked, found, strict=True)}

    async def _own(self, replica: Replica, call: Call) -> tuple[One | None, float]:
        try:
            answer = self._scored(1, await replica.ask(call)).one(0)
        except (Unreached, Broken, Problem):
            return None, time.monotonic()
        return answer, time.monotonic()

    async def explain(self, body: bytes, deadline: float) -> bytes:
        """Why a row gets its score. Raises a Problem; none of them puts a replica out that answers predictions, but that it has no version to serve."""
        return await self._beside(b"POST /explain", body, deadline)

    async def reproduce(self, body: bytes, deadline: float) -> bytes:
        """An answer of the past computed again. Raises as `explain` does."""
        return await self._beside(b"POST /reproduce", body, deadline)

    async def _beside(self, request: bytes, body: bytes, deadline: float) -> bytes:
        answer = await self._replicas.ask(self._call(request, b"application/json", body, deadline), lambda answer: answer)
        if answer.status != 200:
            raise answers.unexplained(self.model, answer)
        return answer.body

    def expected(self) -> float:
        """Seconds until a row that came now would be answered; 0 when it would not have to wait, or nothing is known."""
        allowed = self._allowed
        if self._under_way < allowed and not self._waiting:
            return 0.0
        full, more = divmod(len(self._waiting), MOST_ROWS)
        return self._times.mean / allowed + full * self._times.of(MOST_ROWS) / allowed + self._times.of(more + 1)

    def check(self, deadline: float) -> None:
        """Before any work for one row: raises Unavailable when its answer is not to be expected in time."""
        if self._under_way < self._calls and not self._waiting:
            return
        left = deadline - asyncio.get_running_loop().time()
        if len(self._waiting) < self._fit and left > self._longest:
            return
        expected = self.expected()
        if expected > min(left, self._longest) or len(self._waiting) >= MOST_WAITING:
            metrics.admission_refused.labels("hop").inc()
            raise Unavailable(f"Too many rows wait for {self.model}: an answer would take {expected:.2g} s; try again.", retry_after=math.ceil(expected) or 1)

    @property
    def _allowed(self) -> int:
        return self._calls * (self._replicas.available or 1)

    async def _timed(self, rows: Sequence[bytes], deadline: float) -> Scored:
        """`many`, and what is to be learned from it: answers and waiting in vain tell how long calls take, refusals do not."""
        began = time.perf_counter()
        try:
            scored = await self.many(rows, deadline)
        except GatewayTimeout:
            self._learn(len(rows), time.perf_counter() - began)
            raise
        self._learn(len(rows), time.perf_counter() - began)
        return scored

    def _learn(self, rows: int, seconds: float) -> None:
        """Once for each call, so that `check` has to compare two numbers only as long as there is no crowd."""
        self._times.observe(rows, seconds)
        self._longest = max(self._max_wait, PATIENCE * self._times.of(1))
        self._fit = min(MOST_ROWS, int(self._times.size_within(self._longest - self._times.mean / self._allowed)))

    def _gathered(self) -> None:
        self._gathering = False
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and self._under_way < self._allowed:
            if group := self._next_group():
                self._under_way += 1
                task = asyncio.create_task(self._together(group))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _next_group(self) -> list[Waiting]:
        """In the order of their coming, without those whose callers have left or were told that it is too late."""
        group: list[Waiting] = []
        size = 0
        while self._waiting and len(group) < MOST_ROWS and size < MOST_BYTES:
            waiting = self._waiting.popleft()
            if not waiting[2].done():
                group.append(waiting)
                size += len(waiting[0])
        return group

    async def _together(self, group: list[Waiting]) -> None:
        try:
            await self._tell(group)
        finally:
            self._under_way -= 1
            self._go_on()

    async def _tell(self, group: list[Waiting]) -> None:
        """Asks for all rows in one call and gives each caller its part; a refusal is found out for each half alone, until it meets only its own row."""
        try:
            scored = await self._timed([row for row, _, _ in group], max(deadline for _, deadline, _ in group))
        except (Invalid, BadRequest) as problem:
            group = [waiting for waiting in group if not waiting[2].done()]
            if len(group) > 1:
                middle = len(group) // 2
                await self._tell(group[:middle])
                await self._tell(group[middle:])
            else:
                _raise_for(group, problem)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            _raise_for(group, error)
        else:
            for position, (_, _, future) in enumerate(group):
                if not future.done():
                    future.set_result(scored.one(position))

    def _call(self, request: bytes, kind: bytes, body: bytes, deadline: float) -> Call:
        return Call(request, kind, body, deadline, self._too_slow)

    def _scored(self, rows: int, answer: Answer) -> Scored:
        if answer.status != 200:
            raise answers.problem(self.model, answer)
        return answers.scored(self.model, rows, answer.body)

    def _block(self, answer: Answer) -> bytes:
        if answer.status == 409:
            raise Moved
        if answer.status != 200:
            raise answers.problem(self.model, answer)
        return answer.body

    def _too_slow(self) -> Problem:
        return GatewayTimeout(f"The runner of {self.model} did not answer before the deadline of the request.")


def _raise_for(group: list[Waiting], error: Exception) -> None:
    for _, _, future in group:
        if not future.done():
            future.set_exception(error)


Runners = Mapping[str, Runner]
"""By model."""
