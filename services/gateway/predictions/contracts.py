"""What the gateway knows of each model: its schema, how to read rows of it, how long it may take."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError

from bentos import catalogue
from bentos.schemas import Kind, Schema, kinds, schema
from services.gateway.predictions.decoding import decoder
from services.kit.errors import Invalid, NotFound
from services.kit.http import invalid

Task = Literal["classification", "regression"]


@dataclass(frozen=True, slots=True)
class Contract:
    name: str
    title: str
    summary: str
    timeout: float
    """Seconds until an answer is due, unless the caller says otherwise."""
    spools: bool
    """While the audit's database is away its rows go to the spool; else it does not answer then."""
    schema: Schema
    fields: Mapping[str, Kind]
    """Of `Input`, in its order."""
    answers: Collection[str]
    """The fields of `Output`, in its order."""
    task: Task
    row: TypeAdapter[BaseModel]
    fast: Callable[[bytes], msgspec.Struct] | None
    feed: str | None = None
    """What the platform itself can make its rows of: `candles`."""

    def decode(self, body: bytes) -> object:
        """A valid row: its fields are attributes, whatever its type. Raises BadRequest or Invalid, with every error of the payload."""
        if self.fast is not None:
            try:
                return self.fast(body)
            except (msgspec.DecodeError, ValueError, RecursionError):
                pass  # pydantic has the last word, and the words
        try:
            return self.row.validate_json(body)
        except ValidationError as error:
            raise invalid(error) from None

    def decode_python(self, row: Mapping[str, Any], *, lax: bool = False) -> object:
        """Like `decode` for a row that came in another form than JSON; `lax` for one of texts only, as in CSV."""
        try:
            return self.row.validate_python(row, strict=False if lax else None)
        except ValidationError as error:
            raise invalid(error) from None

    def encode(self, row: object) -> bytes:
        """With its defaults, as the runner gets it and the audit keeps it. Raises Invalid for the one character that PostgreSQL cannot keep."""
        encoded = msgspec.json.encode(row) if isinstance(row, msgspec.Struct) else self.row.dump_json(cast(BaseModel, row))
        if b"\\u0000" in encoded and (broken := [name for name in self.fields if "\0" in str(getattr(row, name))]):
            rule = "no character U+0000"
            raise Invalid("No text may contain the character U+0000.", errors=[{"field": name, "rule": rule, "value": None} for name in broken])
        return encoded

    def require(self, wanted: str | None, found: str | None) -> None:
        """Raises NotFound when one version is wanted and another is found."""
        if wanted is not None and wanted != found:
            raise NotFound(f"Version {wanted} of {self.name} does not serve; {f'version {found} does' if found else 'none does'}.")


Contracts = Mapping[str, Contract]


def contract(
    name: str,
    *,
    title: str,
    summary: str,
    timeout: float,
    schema: Schema,
    spools: bool = True,
    task: Task = "classification",
    feed: str | None = None,
) -> Contract:
    return Contract(
        name=name,
        title=title,
        summary=summary,
        timeout=timeout,
        spools=spools,
        schema=schema,
        fields=kinds(schema.Input),
        answers=list(schema.Output.model_fields),
        task=task,
        row=TypeAdapter(schema.Input),
        fast=decoder(schema.Input),
        feed=feed,
    )


def of_catalogue() -> Contracts:
    """Imports the schema of every model; their folders' other modules stay unimported."""
    return {
        name: contract(
            name,
            title=entry.title,
            summary=entry.summary,
            timeout=entry.timeout_seconds,
            schema=schema(name),
            spools=entry.audit.on_outage == "spool",
            task=entry.task,
            feed=entry.feed,
        )
        for name, entry in sorted(catalogue.load().models.items())
    }


def named(contracts: Contracts, model: str) -> Contract:
    """Raises NotFound with the names there are."""
    found = contracts.get(model)
    if found is None:
        raise NotFound(f"There is no model {model}; the models are {', '.join(contracts)}.", extra={"models": list(contracts)})
    return found
