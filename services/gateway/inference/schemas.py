"""What the protocol answers, for OpenAPI; what it asks is services.kit.open_inference.documents.InferenceRequest."""

from typing import Any

from pydantic import BaseModel, Field

from services.kit.open_inference.tensors import Datatype


class Server(BaseModel):
    name: str
    version: str
    extensions: list[str]


class Ready(BaseModel):
    ready: bool


class ModelReady(Ready):
    name: str


class InputFlags(BaseModel):
    optional: bool = Field(description="May be left out: every row then has the field's default.")
    nullable: bool = Field(description="May have missing values: null in JSON, NaN in floats, an empty text in BYTES.")


class TensorMetadata(BaseModel):
    name: str
    datatype: Datatype = Field(description="The one that holds every value; see docs/open-inference.md for the others that are taken.")
    shape: list[int] = Field(description="-1 stands for any size; the first dimension is the number of rows.")


class InputMetadata(TensorMetadata):
    parameters: InputFlags


class ModelMetadata(BaseModel):
    name: str
    versions: list[str] = Field(description="The version that serves.")
    platform: str
    inputs: list[InputMetadata]
    outputs: list[TensorMetadata]


class ResponseOutput(BaseModel):
    name: str
    datatype: Datatype
    shape: list[int]
    data: list[Any] | None = Field(None, description="Left out when the tensor comes behind the JSON.")
    parameters: dict[str, int] | None = Field(None, description="`binary_data_size`: bytes of this tensor behind the JSON.")


class ResponseParameters(BaseModel):
    model_version: str
    policy_version: int | None = Field(None, description="Version of the decision policy; left out for a regression.")
    batch_id: str | None = Field(None, description="Of the audit; left out for a single row.")


class InferenceResponse(BaseModel):
    model_name: str
    model_version: str = Field(description="The one that computed it.")
    id: str | None = Field(None, description="That of the request, if it has one.")
    parameters: ResponseParameters
    outputs: list[ResponseOutput]
