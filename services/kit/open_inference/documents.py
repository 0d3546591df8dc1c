"""Requests and answers as they are on the wire.

With the extension `binary_tensor_data`, the bytes of the tensors that have a `binary_data_size` stand behind the JSON, in their order; the header
Inference-Header-Content-Length tells where the JSON ends.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from services.kit.errors import BadRequest, Problem
from services.kit.http import invalid
from services.kit.open_inference.tensors import Datatype, pack

JSON_LENGTH = "Inference-Header-Content-Length"
JSON, BINARY = "application/json", "application/octet-stream"


class InputParameters(BaseModel):
    """Parameters that are not listed are passed over, as the protocol wants it."""

    binary_data_size: Annotated[int, Field(ge=0, strict=True)] | None = Field(None, description="Bytes of this tensor behind the JSON, instead of `data`.")


class RequestInput(BaseModel):
    name: str
    datatype: Datatype
    shape: list[Annotated[int, Field(ge=0, strict=True)]] = Field(min_length=1, max_length=8)
    data: list[Any] | None = Field(None, description="Flat or nested, row-major; null is a missing value.")
    parameters: InputParameters = InputParameters()


class OutputParameters(BaseModel):
    binary_data: bool | None = Field(None, strict=True, description="Whether this tensor comes behind the JSON.")


class RequestOutput(BaseModel):
    name: str
    parameters: OutputParameters = OutputParameters()


class RequestParameters(BaseModel):
    binary_data_output: bool = Field(False, strict=True, description="Whether tensors come behind the JSON where their own parameter says nothing.")


class InferenceRequest(BaseModel):
    """One tensor per field of the model's row, all with the same first dimension: the number of rows."""

    id: str | None = Field(None, description="Given back in the answer.")
    parameters: RequestParameters = RequestParameters()
    inputs: list[RequestInput] = Field(min_length=1, max_length=4096)
    outputs: list[RequestOutput] | None = Field(None, max_length=4096, description="The tensors wanted; all of them when this is left out or empty.")


@dataclass(frozen=True, slots=True)
class Input:
    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    data: list[Any] | memoryview
    """As it came: whether it fits datatype and shape is not known yet."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose form is right."""

    id: str | None
    inputs: list[Input]
    outputs: dict[str, bool | None]
    """The tensors wanted, and whether in bytes. Empty: all."""
    binary: bool
    """What holds where `outputs` says nothing."""


@dataclass(frozen=True, slots=True)
class Output:
    name: str
    datatype: Datatype
    shape: list[int]
    values: list[Any]
    """Flat."""


_request = TypeAdapter(InferenceRequest)


def read(body: bytes, json_length: str | None) -> Asked:
    """`json_length` is the header's value, if there is one. Raises BadRequest or Invalid."""
    length = len(body)
    if json_length is not None:
        if not (json_length.isascii() and json_length.isdigit() and len(json_length) < 20 and int(json_length) <= length):
            raise BadRequest(f"{JSON_LENGTH} must be the length of the JSON that the body ({length} bytes) begins with, not {json_length[:40]!r}.")
        length = int(json_length)
    try:
        request = _request.validate_json(body[:length])
    except ValidationError as error:
        raise invalid(error) from None
    return Asked(
        id=request.id,
        inputs=list(_inputs(request.inputs, memoryview(body)[length:])),
        outputs={wanted.name: wanted.parameters.binary_data for wanted in request.outputs or ()},
        binary=request.parameters.binary_data_output,
    )


def _inputs(listed: Sequence[RequestInput], raw: memoryview) -> Iterator[Input]:
    at = 0
    for one in listed:
        data: list[Any] | memoryview | None = one.data
        size = one.parameters.binary_data_size
        if size is not None and data is None:
            if size > len(raw) - at:
                raise BadRequest(f"inputs.{one.name}: binary_data_size is {size}, but only {len(raw) - at} bytes are left behind the JSON.")
            data = raw[at : at + size]
            at += size
        elif size is not None or data is None:
            raise BadRequest(f"inputs.{one.name}: a tensor has either `data` or the parameter `binary_data_size`.")
        yield Input(one.name, one.datatype, tuple(one.shape), data)
    if at != len(raw):
        raise BadRequest(f"{len(raw) - at} bytes behind the JSON belong to no tensor.")


def write(asked: Asked, model: str, version: str, parameters: Mapping[str, Any], tensors: Iterable[Output]) -> tuple[bytes, dict[str, str]]:
    """The answer's body and headers. Parameters that are None are left out: the protocol knows no null there."""
    listed: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for one in tensors:
        tensor: dict[str, Any] = {"name": one.name, "datatype": one.datatype, "shape": one.shape}
        own = asked.outputs.get(one.name)
        if asked.binary if own is None else own:
            raw.append(pack(one.datatype, one.values))
            tensor["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            tensor["data"] = one.values
        listed.append(tensor)
    document: dict[str, Any] = {"model_name": model, "model_version": version} | ({} if asked.id is None else {"id": asked.id})
    document |= {"parameters": {name: value for name, value in parameters.items() if value is not None}, "outputs": listed}
    content = orjson.dumps(document)
    if not raw:
        return content, {"Content-Type": JSON}
    return b"".join((content, *raw)), {"Content-Type": BINARY, JSON_LENGTH: str(len(content))}


def server(name: str) -> dict[str, Any]:
    """Server metadata."""
    try:
        ours = version("modelyard")
    except PackageNotFoundError:  # a built Bento has our files, not our package
        ours = "unknown"
    return {"name": name, "version": ours, "extensions": ["binary_tensor_data"]}


def spoken(problem: Problem) -> Problem:
    """The same problem with the member `error`, where clients of the protocol look for the words."""
    problem.extra = {"error": problem.detail} | problem.extra
    return problem
