"""Explains rows beside the predictions: in a thread of its own, for a few callers at a time, by any registered version."""

import asyncio
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from bentos import contract
from bentos.serving import explainers, explanations
from bentos.serving.artifact import Artifact, Refused
from bentos.serving.explainers import Explainer, Unexplained
from bentos.serving.metrics import Metrics
from bentos.serving.slots import Runner, Slot
from bentos.serving.upstream import Away, Unknown
from services.kit import errors
from services.kit.http import invalid

MOST_KEPT = 4
"""Versions whose explainers, and files where they serve nowhere here, stay in memory."""
NICE = 5
MOST_BYTES = 256 * 1024

Fetch = Callable[[str], Awaitable[Slot]]


class Call(msgspec.Struct, forbid_unknown_fields=True):
    row: dict[str, Any]
    version: str | None = None
    """The champion's, unless another is named."""


def _step_back() -> None:
    """Of the thread alone, where the kernel knows such: predictions get the processor first."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


_decode = msgspec.json.Decoder(Call).decode


class Explaining:
    def __init__(self, runner: Runner, metrics: Metrics, most: int = 4, fetch: Fetch | None = None) -> None:
        """`most` callers at a time, of whom all but one wait; `fetch` finds versions that are in no slot."""
        self._runner, self._metrics, self._most, self._fetch = runner, metrics, most, fetch
        self._thread = ThreadPoolExecutor(1, "explain", _step_back)
        self._under_way = 0
        self._fetched: OrderedDict[str, Artifact] = OrderedDict()
        self._explainers: OrderedDict[str, Explainer] = OrderedDict()
        """By the sha256 of the version's files."""
        self._fetching = asyncio.Lock()
        inputs: Any = contract.schema(runner.model).Input
        self._row: TypeAdapter[BaseModel] = TypeAdapter(inputs)

    @contextmanager
    def call(self, _headers: Iterable[tuple[bytes, bytes]] = ()) -> Iterator[None]:
        """To be held while a call lasts. Raises TooManyRequests."""
        if self._under_way >= self._most:
            self._metrics.explain_rejected.inc()
            raise errors.TooManyRequests(f"{self._most} explanations are under way already.", headers={"Retry-After": "1"})
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def explain(self, body: bytes) -> bytes:
        """`{"row": …, "version": …}` for the document of an explanation.

        Raises BadRequest, Invalid, NotFound for a version that there is not, Conflict for one that has no exact explanation, Unavailable while nothing
        serves, and BadGateway when the version is elsewhere and cannot be had now.
        """
        if len(body) > MOST_BYTES:
            raise errors.TooLarge(f"The body may have {MOST_BYTES} bytes at most.")
        try:
            call = _decode(body)
        except msgspec.DecodeError as error:
            raise errors.BadRequest(f"The body must be an object with `row` and perhaps `version`: {error}.") from None
        started = time.perf_counter()
        slots = self._runner.slots
        champion = slots.champion
        if call.version is None or (champion is not None and champion.version == call.version):
            if champion is None or (slots.policy is None and self._runner.decides):
                raise errors.Unavailable(self._runner.unready() or "The version was loaded this moment: try again.")
            version, artifact, policy = champion.version, champion.artifact, slots.policy
        else:
            version, artifact, policy = call.version, await self.artifact(call.version), None
        found = await self.beside(self._document, version, artifact, policy, call.row)
        self._metrics.explained.observe(time.perf_counter() - started)
        return found

    @property
    def decides(self) -> bool:
        return self._runner.decides

    async def beside(self, function: Callable[..., bytes], *arguments: Any) -> bytes:
        """In the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def artifact(self, version: str) -> Artifact:
        """Of any registered version. Raises NotFound, Conflict or BadGateway as `explain` does."""
        for slot in (self._runner.slots.champion, self._runner.slots.challenger):
            if slot is not None and slot.version == version:
                return slot.artifact
        async with self._fetching:
            if version not in self._fetched:
                self._fetched[version] = await self._load(version)
                while len(self._fetched) > MOST_KEPT:
                    self._fetched.popitem(last=False)
            self._fetched.move_to_end(version)
            return self._fetched[version]

    async def _load(self, version: str) -> Artifact:
        model = self._runner.model
        if self._fetch is None:
            raise errors.NotFound(f"Version {version} of {model} is not loaded here.")
        try:
            return (await self._fetch(version)).artifact
        except Unknown:
            raise errors.NotFound(f"{model} has no version {version}.") from None
        except Refused as refused:
            raise errors.Conflict(f"Version {version} of {model} cannot be used here: {refused}") from None
        except (Away, OSError) as reason:
            raise errors.BadGateway(f"Version {version} of {model} cannot be fetched now: {reason}") from None

    def _document(self, version: str, artifact: Artifact, policy: Mapping[str, Any] | None, row: dict[str, Any]) -> bytes:
        try:
            explainer = self._explainer(artifact)
        except Unexplained as reason:
            raise errors.Conflict(f"Version {version} of {artifact.model} cannot be explained. {reason}") from None
        try:
            found = explanations.explain(artifact, explainer, row, policy)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            # The gateway has validated it already: validation is for whoever has not.
            found = explanations.explain(artifact, explainer, self.validated(row), policy)
        about = {"model": artifact.model, "model_version": version, "policy_version": policy and policy["version"]}
        return orjson.dumps(about | found)

    def _explainer(self, artifact: Artifact) -> Explainer:
        """In the thread, which is the only one."""
        known = self._explainers.pop(artifact.sha256, None)
        if known is None:
            known = explainers.of(artifact)
        self._explainers[artifact.sha256] = known
        while len(self._explainers) > MOST_KEPT:
            self._explainers.popitem(last=False)
        return known

    def validated(self, row: dict[str, Any]) -> dict[str, Any]:
        """Raises Invalid."""
        try:
            return self._row.validate_python(row).model_dump()
        except ValidationError as error:
            raise invalid(error) from None

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
