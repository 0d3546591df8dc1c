"""How one answer of a model is shown, wherever it comes from: Predict, History, What-if."""

import json
import math
import shlex
from typing import Any

import streamlit as st

from frontend import words
from frontend.charts import look, prediction
from frontend.contracts import Contract
from frontend.gateway_client import Gateway
from frontend.problems import GatewayError
from frontend.settings import settings

Document = dict[str, Any]
PLATFORMS = ("prediction_id", "model", "model_version", "policy_version", "batch_id", "latency_ms")
BADGES = {"low": "blue", "medium": "orange", "high": "red"}


def threshold_of(gateway: Gateway, model: str) -> float | None:
    """The one that counts now; None while control is away, or where nothing is decided."""
    try:
        value = (gateway.model(model).get("policy") or {}).get("threshold")
    except GatewayError:
        return None
    return float(value) if value is not None else None


def show(contract: Contract, answer: Document, threshold: float | None, key: str) -> None:
    if contract.classifies and answer.get("probability") is not None:
        _classified(contract, answer, threshold, key)
    else:
        _figures(contract, answer)


def _classified(contract: Contract, answer: Document, threshold: float | None, key: str) -> None:
    decision, level = str(answer.get("decision", "–")), answer.get("risk_level")
    probability = float(answer["probability"])
    badge = f" :{BADGES.get(str(level), 'gray')}-badge[{level} risk]" if level else ""
    st.markdown(f"### {decision.capitalize()}{badge}")
    described = contract.outputs.get("probability", {}).get("description", "")
    turns = "" if threshold is None else f" {contract.decisions[1].capitalize()} from {words.percent(threshold)} on."
    look.show(prediction.gauge(probability, threshold, level), f"Gauge: a probability of {words.percent(probability)}.{turns}", f"{key} gauge")
    st.caption(f"Probability: {_lower(described)}{turns}")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _figures(contract: Contract, answer: Document) -> None:
    """A regression: the number that was asked for, and what else the model says about it."""
    shown = [name for name in contract.outputs if name in answer and name not in PLATFORMS]
    for name in shown[:1]:
        schema = contract.outputs[name]
        st.metric(str(schema.get("title") or name), figure(name, answer[name]), help=schema.get("description"))
    rest = [f"| {contract.outputs[name].get('title') or name} | **{figure(name, answer[name])}** |" for name in shown[1:]]
    if rest:
        st.markdown("\n".join(["| | |", "| :-- | :-- |", *rest]))


def figure(name: str, value: Any) -> str:
    """UNIX seconds are told by their size, and a whole number."""
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and 1_000_000_000 <= value < 5_000_000_000
        and name.endswith(("_for", "_at", "timestamp", "as_of"))
    ):
        return words.moment(value)
    return (
        words.plain(value)
        if isinstance(value, str | bool) or value is None
        else words.number(float(value), 7)
        if isinstance(value, int | float)
        else str(value)
    )


def explanation(contract: Contract, found: Document, key: str) -> None:
    look.show(prediction.reasons(found, contract.decisions[1]), prediction.in_words(found), f"{key} reasons")
    how = {"tree_shap": "exact TreeSHAP", "linear": "the model's own coefficients"}.get(found.get("method", ""), str(found.get("method", "")))
    ends = f"{words.number(float(found['base_value']))} (an average case) to {words.number(float(found['output']))}"
    also = f", a probability of {words.percent(probability_of(found))}" if found["scale"] == "log-odds" else ""
    st.caption(f"The bars lead from {ends}{also}. Computed by {how}, version {found.get('model_version')}. They say what moved the model, not what causes it.")


def probability_of(found: Document) -> float | None:
    """The output of an explanation as a probability, where it is one."""
    output = float(found["output"])
    if found["scale"] == "probability":
        return output
    return 1 / (1 + math.exp(-output)) if found["scale"] == "log-odds" else None


def provenance(answer: Document) -> None:
    policy = f" · policy {answer['policy_version']}" if answer.get("policy_version") is not None else ""
    st.caption(f"Version {answer.get('model_version')}{policy} · prediction `{answer.get('prediction_id')}`")


def curl(model: str, row: Document) -> str:
    """A line that works once KEY is an API key."""
    url = f"{settings().shown_gateway_url}/predict/{model}"
    return f"curl -s {url} \\\n  -H 'X-API-Key: KEY' \\\n  -H 'Content-Type: application/json' \\\n  -d {shlex.quote(json.dumps(row))}"
