"""Contributions of features as contributions of the fields that somebody filled in, in the schema's words."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from bentos import catalogue, contract
from bentos.contract import Floats
from bentos.serving import answers
from bentos.serving.artifact import Artifact
from bentos.serving.explainers import Explainer


class Words(NamedTuple):
    """What is known of a model before any row."""

    fields: list[dict[str, Any]]
    """Those of the schema, and behind them the features of which nobody says what they are made of."""
    parts: Floats
    """(features, fields): which part of a feature's contribution is which field's; a row adds up to 1."""
    loose: dict[str, int]
    """The place of each such feature among all features."""


@cache
def words(model: str) -> Words:
    """Raises ValueError when `SOURCES` names what there is not."""
    fields = contract.schema(model).Input.model_fields
    sources = contract.sources(model)
    loose = {name: place for place, (name, fields_of_it) in enumerate(sources.items()) if not fields_of_it}
    places = {name: place for place, name in enumerate((*fields, *loose))}
    parts = np.zeros((len(sources), len(places)))
    for place, (feature, names) in enumerate(sources.items()):
        for name in names or (feature,):
            parts[place, places[name]] += 1 / max(len(names), 1)
    described: list[dict[str, Any]] = []
    for name, field in fields.items():
        extra = field.json_schema_extra
        described.append({"field": name, "title": field.title or name, "unit": extra.get("unit") if isinstance(extra, dict) else None})
    described += [{"field": name, "title": name.replace("_", " ").capitalize(), "unit": None} for name in loose]
    return Words(described, parts, loose)


def explain(artifact: Artifact, explainer: Explainer, row: Mapping[str, Any], policy: Mapping[str, Any] | None) -> dict[str, Any]:
    """`policy`: with it, or for a regression, the answer that the row would get stands beside. Raises KeyError or ValueError for a row that is no `Input`."""
    matrix, columns = artifact.matrix([row])
    known = words(artifact.model)
    contributions, own = explainer.explain(matrix)
    by_field = contributions[0] @ known.parts
    # Added up as a reader will: what is lost by that is in the last digits.
    values = {**row, **{name: float(matrix[0, place]) for name, place in known.loose.items()}}
    listed = [about | {"value": values[about["field"]], "contribution": float(part)} for about, part in zip(known.fields, by_field, strict=True)]
    listed.sort(key=lambda one: -abs(one["contribution"]))
    scale, title = _scale(artifact.model, explainer)
    found = {
        "scale": scale,
        "output_title": title,
        "base_value": explainer.base_value,
        "output": float(own[0]),
        "contributions": listed,
        "method": explainer.method,
    }
    if policy is not None or catalogue.load().models[artifact.model].decisions is None:
        found["prediction"] = answers.in_rows(artifact.model, artifact.engine.scores(matrix), columns, policy).answers[0]
    return found


def _scale(model: str, explainer: Explainer) -> tuple[str, str]:
    decisions = catalogue.load().models[model].decisions
    if decisions is None:
        return "value", getattr(contract.features(model), "SCORE", "Score of the model")
    scale = "log-odds" if explainer.logistic else "probability"
    # In the schema's words for the probability: "Of leaving, 0 to 1."
    said = (contract.schema(model).Output.model_fields["probability"].description or decisions.positive).partition(",")[0].rstrip(".")
    return scale, f"{scale.capitalize()} o{said[1:]}" if said.startswith("Of ") else f"{scale.capitalize()}: {said}"
