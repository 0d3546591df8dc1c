"""What endpoints of all features take from a request: the token, a known model, a checked body."""

import hmac
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from bentos.catalogue import Catalogue
from services.kit.errors import NotFound, Unauthorized
from services.kit.http import read_json

T = TypeVar("T", bound=BaseModel)

BODY_LIMIT = 1_000_000
"""Bytes; the largest body is a version's metrics."""


class Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def storable(value: Any) -> Any:
    """The value itself. Raises ValueError when PostgreSQL cannot hold it as JSON: NaN, infinity, a NUL character."""
    pending = [("", value)]
    while pending:
        path, part = pending.pop()
        if isinstance(part, float) and not abs(part) < float("inf"):
            raise ValueError(f"{path or 'the number'} is {part}: only finite numbers can be stored")
        if isinstance(part, str) and "\0" in part:
            raise ValueError(f"{path or 'the text'} contains a NUL character")
        if isinstance(part, dict):
            pending.extend((f"{path}.{name}".lstrip("."), item) for name, item in part.items())
            pending.append((f"a key of {path or 'the object'}", "".join(part)))
        if isinstance(part, list):
            pending.extend((f"{path}[{index}]", item) for index, item in enumerate(part))
    return value


Text = Annotated[str, AfterValidator(storable)]
Actor = Annotated[Text, Field(min_length=1, max_length=100)]
Reason = Annotated[Text, Field(min_length=1, max_length=1000)]
Document = Annotated[dict[str, Any], AfterValidator(storable)]


def body(kind: type[T]) -> Any:
    """The request's JSON as `kind`, as a dependency."""
    adapter = TypeAdapter(kind)

    async def read(request: Request) -> T:
        return await read_json(request, adapter, BODY_LIMIT)

    return Depends(read)


def authorized(request: Request) -> None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    expected: str = request.state.token
    if kind.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), expected.encode()):
        raise Unauthorized("Send control's token: Authorization: Bearer <CONTROL_TOKEN>.")


def of_catalogue(models: Catalogue, name: str) -> str:
    """The name itself. Raises NotFound, naming the models there are."""
    if name not in models.models:
        raise NotFound(f"There is no model {name!r}. The models are: {', '.join(sorted(models.models))}.")
    return name


def _known(model: str, request: Request) -> str:
    return of_catalogue(request.state.catalogue, model)


Authorized = Depends(authorized)
KnownModel = Annotated[str, Depends(_known)]
Limit = Annotated[int, Field(ge=1, le=500)]
