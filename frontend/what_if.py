"""Moving some fields of a case to see what the model would say. Nothing of it is recorded as a prediction."""

import math
from typing import Any

import streamlit as st

from frontend import answers, notices, person, words
from frontend.contracts import Contract
from frontend.forms import Field
from frontend.gateway_client import Document, Gateway

SLIDERS = 4


def panel(gateway: Gateway, contract: Contract, row: Document, answer: Document, threshold: float | None) -> None:
    if not person.may("analyst"):
        st.info("Trying other values needs the role analyst. Change the form and ask again: each question is recorded.", icon=":material/lock:")
        return
    movable = {field.name: field for field in contract.inputs if field.slides}
    if not movable:
        st.info("Nothing of this model's input can be moved by a slider.", icon=":material/info:")
        return
    _sliders(gateway, contract, row, answer, threshold, movable)


@st.fragment
def _sliders(gateway: Gateway, contract: Contract, row: Document, answer: Document, threshold: float | None, movable: dict[str, Field]) -> None:
    """A fragment: moving a slider runs this alone."""
    key = f"what-if {answer['prediction_id']}"
    first = [name for name in movable if row.get(name) is not None][:SLIDERS]
    chosen = st.multiselect("Fields to move", list(movable), default=first, format_func=lambda name: movable[name].title, key=f"{key} fields")
    tried = row | {name: _slider(movable[name], row.get(name), f"{key} {name}") for name in chosen}
    changed = [f"{movable[name].title}: {words.plain(row.get(name))} → {words.plain(tried[name])}" for name in chosen if tried[name] != row.get(name)]
    with notices.told("trying other values", titles=contract.titles):
        found = gateway.explain(contract.model, tried)
        _compare(contract, found, answer, threshold)
        st.caption(" · ".join(changed) if changed else "Move a slider to see what would change.")
        answers.explanation(contract, found, key)


def _compare(contract: Contract, found: Document, answer: Document, threshold: float | None) -> None:
    probability = answers.probability_of(found)
    if probability is None or "probability" not in answer:
        # A regression's output may be on a scale of its own; its answer is what was asked for.
        before, after = float(answer["prediction"]), float((found.get("prediction") or found)["prediction"])
        st.metric("Forecast", words.number(after, 7), words.number(after - before) if after != before else None)
        return
    points = (probability - float(answer["probability"])) * 100
    left, right = st.columns(2)
    left.metric("Probability", words.percent(probability), f"{points:+.1f} points" if abs(points) >= 0.05 else None, delta_color="inverse")
    if threshold is not None:
        right.metric("Decision", contract.decisions[1] if probability >= threshold else contract.decisions[0])


def _slider(field: Field, start: Any, key: str) -> Any:
    if field.kind == "choice":
        return st.select_slider(field.label, field.choices, value=start if start in field.choices else field.choices[0], key=key)
    low, high = _around(field, start)
    if field.kind == "integer":
        return st.slider(field.label, int(low), int(high), int(start if start is not None else low), key=key)
    return st.slider(
        field.label, float(low), float(high), float(start if start is not None else low), step=float(field.step or _step(high - low)), format="%g", key=key
    )


def _around(field: Field, start: Any) -> tuple[float, float]:
    """Bounds within which moving means something: of a wide range, the part around the value."""
    low, high = float(field.minimum or 0), float(field.maximum or 0)
    if start is None or high - low <= 1000:
        return low, high
    return max(low, math.floor(float(start) / 4)), min(high, math.ceil(max(float(start) * 3, low + 100)))


def _step(wide: float) -> float:
    return float(10 ** math.floor(math.log10(max(wide, 1e-6) / 100)))
