"""What each model takes and gives, from the gateway's OpenAPI document: the dashboard knows no model by name."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from frontend.forms import Field, fields
from frontend.gateway_client import Gateway
from frontend.problems import GatewayError


@dataclass(frozen=True)
class Contract:
    model: str
    title: str
    summary: str
    inputs: tuple[Field, ...]
    outputs: dict[str, dict[str, Any]]
    """JSON schemas of the answer's fields."""
    example: dict[str, Any] | None

    @property
    def classifies(self) -> bool:
        return "probability" in self.outputs

    @property
    def decisions(self) -> tuple[str, str]:
        """(negative, positive)"""
        listed = self.outputs.get("decision", {}).get("enum") or ["negative", "positive"]
        return str(listed[0]), str(listed[-1])

    @property
    def titles(self) -> dict[str, str]:
        return {field.name: field.title for field in self.inputs}

    @property
    def feed(self) -> bool:
        """A row with whole series: nobody types it."""
        return any(field.kind == "series" for field in self.inputs)


@st.cache_data(ttl=60, max_entries=2, show_spinner=False)
def _document(_gateway: Gateway) -> dict[str, Any]:
    """Public, the same for everybody."""
    return _gateway.openapi()


@st.cache_data(ttl=60, max_entries=2, show_spinner=False)
def _titles(_gateway: Gateway) -> dict[str, str]:
    """Of the catalogue, the same for everybody."""
    return {str(one["name"]): str(one["title"]) for one in _gateway.models()}


def titles(gateway: Gateway) -> dict[str, str]:
    try:
        return _titles(gateway)
    except GatewayError:
        return {}


def title(gateway: Gateway, model: str) -> str:
    return titles(gateway).get(model) or model.replace("_", " ").capitalize()


def all_of(gateway: Gateway) -> dict[str, Contract]:
    """By the model's name, in the catalogue's order. Raises GatewayError."""
    known = titles(gateway)
    return {contract.model: contract for contract in read(_document(gateway), known)}


def read(document: dict[str, Any], known: dict[str, str]) -> list[Contract]:
    schemas = document.get("components", {}).get("schemas", {})
    found = []
    for path, operations in document.get("paths", {}).items():
        model = path.removeprefix("/predict/")
        content = operations.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        schema = _named(schemas, content.get("schema", {}))
        if path == f"/predict/{model}" and "/" not in model and "{" not in model and "properties" in schema:
            operation = operations["post"]
            answer = operation.get("responses", {}).get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
            examples = [one["value"] for one in content.get("examples", {}).values() if isinstance(one.get("value"), dict)]
            found.append(
                Contract(
                    model,
                    known.get(model) or model.replace("_", " ").capitalize(),
                    str(schema.get("description") or operation.get("description", "")).split("\n\n")[0],
                    tuple(fields(schema, schemas)),
                    dict(_named(schemas, answer).get("properties", {})),
                    examples[0] if examples else None,
                )
            )
    order = list(known)
    return sorted(found, key=lambda one: order.index(one.model) if one.model in order else len(order))


def _named(schemas: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return dict(schemas.get(name, {})) if name else schema
