"""The chart, rendered by Helm's own library as an installation or an upgrade would be, but without a cluster to look at."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import helm_python
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/modelyard"
CATALOGUE = ROOT / "bentos/catalogue.yaml"
NAMESPACE = "somewhere"

Document = dict[str, Any]
Values = Mapping[str, Any]


class Refused(Exception):
    """What helm said instead of a manifest."""


class Pod(NamedTuple):
    owner: str
    """`Deployment/gateway`"""
    labels: dict[str, str]
    spec: Document

    @property
    def containers(self) -> list[Document]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


@cache
def _chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)


def render(values: Values | None = None, *files: str, catalogue: Path | None = CATALOGUE, upgrade: bool = False) -> list[Document]:
    """All objects, hooks and tests included. `files` are names in values/. Raises Refused."""
    return [
        document
        for path, text in texts(values, *files, catalogue=catalogue, upgrade=upgrade).items()
        if path.endswith(".yaml")
        for document in yaml.load_all(text, yaml.CSafeLoader)
        if document
    ]


def notes(values: Values | None = None, *files: str) -> str:
    """What helm says after an installation."""
    return next(text for path, text in texts(values, *files).items() if path.endswith("/NOTES.txt"))


def texts(values: Values | None = None, *files: str, catalogue: Path | None = CATALOGUE, upgrade: bool = False) -> dict[str, str]:
    given: Document = {}
    for path in [*([catalogue] if catalogue else []), *(CHART / "values" / f"{name}.yaml" for name in files)]:
        overlay(given, yaml.safe_load(path.read_text()))
    overlay(given, copy.deepcopy(dict(values or {})))
    try:
        merged = _chart().merge_values(given)
        _chart().validate_schema(merged)
        return _chart().render(given, name="modelyard", namespace=NAMESPACE, is_install=not upgrade, is_upgrade=upgrade)
    except helm_python.HelmError as error:
        raise Refused(str(error)) from None


def overlay(base: Document, more: Document) -> None:
    """As helm lays one values file over another."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            overlay(base[key], value)
        else:
            base[key] = value


def pods(documents: Sequence[Document]) -> Iterator[Pod]:
    """Of everything that makes some, but for Argo."""
    for document in documents:
        owner = f"{document['kind']}/{document['metadata']['name']}"
        if document["kind"] == "Pod":
            yield Pod(owner, document["metadata"]["labels"], document["spec"])
        elif document["kind"] in {"Deployment", "StatefulSet", "Job"}:
            template = document["spec"]["template"]
            yield Pod(owner, template["metadata"]["labels"], template["spec"])


def of_kind(documents: Sequence[Document], kind: str) -> dict[str, Document]:
    """By name."""
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}


def environment(container: Document) -> dict[str, str]:
    """Values; for what comes from elsewhere, from where: `secret/key`, or the field's path."""
    found = {}
    for variable in container.get("env", []):
        source = variable.get("valueFrom", {})
        reference = source.get("secretKeyRef")
        found[variable["name"]] = f"{reference['name']}/{reference['key']}" if reference else source.get("fieldRef", {}).get("fieldPath", variable.get("value"))
    return found
