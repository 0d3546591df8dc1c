"""What the gateway knows of each model: its schema, how to read rows of it, how long it may take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from bentos import catalogue
from bentos.schemas import Schema, schema
from services.kit.errors import NotFound

MOST_ROWS = 10_000
"""Rows of one batch."""


class Batch(Protocol):
    rows: list[BaseModel]


@dataclass(frozen=True, slots=True)
class Contract:
    name: str
    title: str
    summary: str
    timeout: float
    """Seconds that the runner has."""
    schema: Schema
    row: TypeAdapter[BaseModel]
    batch: TypeAdapter[Batch]


Contracts = Mapping[str, Contract]


def contract(name: str, *, title: str, summary: str, timeout: float, schema: Schema) -> Contract:
    rows = Annotated[list[schema.Input], Field(min_length=1, max_length=MOST_ROWS)]  # type: ignore[name-defined]
    fields: dict[str, Any] = {"rows": (rows, ...)}
    batch = create_model(f"{schema.Input.__name__}Batch", __config__=ConfigDict(extra="forbid", title=f"{title}: rows"), **fields)
    return Contract(name, title, summary, timeout, schema, TypeAdapter(schema.Input), cast(TypeAdapter[Batch], TypeAdapter(batch)))


def of_catalogue() -> Contracts:
    """Imports the schema of every model; their folders' other modules stay unimported."""
    return {
        name: contract(name, title=entry.title, summary=entry.summary, timeout=entry.timeout_seconds, schema=schema(name))
        for name, entry in sorted(catalogue.load().models.items())
    }


def named(contracts: Contracts, model: str) -> Contract:
    """Raises NotFound with the names there are."""
    found = contracts.get(model)
    if found is None:
        raise NotFound(f"There is no model {model}; the models are {', '.join(contracts)}.", extra={"models": list(contracts)})
    return found
