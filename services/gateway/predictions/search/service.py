"""Finding rows of the audit, newest first, in a bounded time however many there are.

Every filter has an index that ends with the id, so one filter alone is read from the end of its index. Of several, the one with the fewest rows leads,
and the rows that it gives are held against the others. Where all of them have many rows and few have all in common, a search ends after a while with what
it has found, and with the place where it can be continued.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from services.gateway.predictions.search import repository
from services.gateway.predictions.search.repository import KEYS, Filter
from services.kit.postgres import Connection

CHUNK = 2_500
"""Rows that are held against the other filters at a time."""
FEW = 5_000
"""A filter with fewer rows is searched in one go."""
SECONDS = 0.012
"""After which no further chunk is begun."""


@dataclass(frozen=True, slots=True)
class Page:
    ids: list[UUID]
    next: UUID | None
    """Where to go on, also when the page is not full."""


async def find(connection: Connection, wanted: Filter, before: UUID | None, most: int) -> Page:
    """At most so many, older than `before`."""
    await repository.begin(connection)
    if wanted.version is not None and wanted.model is None:
        return await _of_any_model(connection, wanted, before, most)
    return await _find(connection, wanted, before, most, time.monotonic() + SECONDS)


async def _of_any_model(connection: Connection, wanted: Filter, before: UUID | None, most: int) -> Page:
    """A version's number says little without its model: each is searched, and what is older than where one of them stopped is left for the next page."""
    models = await repository.models(connection)
    until = time.monotonic() + SECONDS
    pages = [await _find(connection, replace(wanted, model=model), before, most, until) for model in models]
    stopped = max((page.next for page in pages if page.next), default=None)
    found = sorted((identifier for page in pages for identifier in page.ids if stopped is None or identifier >= stopped), reverse=True)
    return Page(found[:most], found[most - 1] if len(found) > most else stopped)


async def _find(connection: Connection, wanted: Filter, before: UUID | None, most: int, until: float) -> Page:
    names = leaders(wanted)
    parameters = wanted.parameters(before)
    name, few = await _fewest(connection, names, parameters) if len(names) > 1 else (names[0], False)
    alone = len(names) == 1 and wanted.outcome != "unknown" and name != "request_id"
    chunk = FEW if few else most + 1 if alone else CHUNK
    found: list[UUID] = []
    while True:
        given, last, fitting = await repository.chunk(connection, name, wanted, parameters | {"chunk": chunk, "most": most + 1 - len(found)})
        found += fitting
        if len(found) > most:
            return Page(found[:most], found[most - 1])
        if given < chunk:
            return Page(found, None)
        if time.monotonic() > until:
            return Page(found, last)
        parameters["high"] = last


def leaders(wanted: Filter) -> Sequence[str]:
    """Filters with an index of their own. A version is one of a model."""
    named = [name for name in KEYS if getattr(wanted, name) is not None and not (name == "model" and wanted.version is not None)]
    return [*named, *(["outcome"] if wanted.outcome == "known" else [])] or ["id"]


async def _fewest(connection: Connection, names: Sequence[str], parameters: Mapping[str, Any]) -> tuple[str, bool]:
    """The one with the fewest rows, and whether it has so few that all can be looked at."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = await repository.count(connection, name, parameters, FEW)
        if counts[name] < CHUNK:
            break
    best = min(counts, key=lambda name: counts[name])
    return best, counts[best] < FEW
