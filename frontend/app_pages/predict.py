"""One case for any model: form, answer, reasons, what would change it."""

from typing import Any

import streamlit as st

from frontend import answers, contracts, forms, notices, person, what_if
from frontend.contracts import Contract
from frontend.gateway_client import Gateway

DRAFTS, ANSWERS, ROUNDS = "drafts", "answers", "rounds"


def choose(found: dict[str, Contract]) -> Contract:
    """The model is part of the address, so that it can be bookmarked."""
    names = list(found)
    wanted = st.query_params.get("model")
    start = wanted if wanted in found else names[0]
    chosen = st.segmented_control("Model", names, default=start, format_func=lambda name: found[name].title, key="predict model", required=True)
    st.query_params["model"] = str(chosen or start)
    return found[chosen or start]


def ask(gateway: Gateway, contract: Contract) -> None:
    model = contract.model
    rounds = st.session_state.setdefault(ROUNDS, {})
    drafts = st.session_state.setdefault(DRAFTS, {})

    def fill(values: dict[str, Any]) -> None:
        """Other widgets, with these values: one that is on the page keeps its own."""
        drafts[model] = values
        rounds[model] = rounds.get(model, 0) + 1
        st.session_state.setdefault(ANSWERS, {}).pop(model, None)

    with st.container(horizontal=True, vertical_alignment="center"):
        if contract.example is not None:
            st.button("Fill in an example", icon=":material/lightbulb:", on_click=fill, args=(contract.example,))
        st.button("Empty the form", icon=":material/backspace:", on_click=fill, args=({},))
    with st.form(f"{model} form", enter_to_submit=True):
        row, wrong = forms.render(contract.inputs, drafts.get(model, {}), f"{model} {rounds.get(model, 0)}")
        sent = st.form_submit_button("Predict", type="primary", icon=":material/psychology:")
    if not sent:
        return
    drafts[model] = row
    st.session_state.setdefault(ANSWERS, {}).pop(model, None)
    if wrong:
        st.error("Please fill in what is missing:\n" + "\n".join(f"- {one}" for one in wrong), icon=":material/edit:")
        return
    with notices.told("asking the model", retry=False, titles=contract.titles), st.spinner("The model answers…"):
        st.session_state[ANSWERS][model] = (row, gateway.predict(model, row))


def told(gateway: Gateway, contract: Contract) -> None:
    kept = st.session_state.get(ANSWERS, {}).get(contract.model)
    if kept is None:
        notices.nothing("The answer appears here: the decision or the forecast, and what it rests on.", ":material/psychology:")
        return
    row, answer = kept
    threshold = answers.threshold_of(gateway, contract.model) if contract.classifies else None
    with st.container(border=True):
        answers.show(contract, answer, threshold, "answer")
        answers.provenance(answer)
    reasons, tried, line = st.tabs(["Reasons", "What if", "As curl"])
    with reasons, notices.told("explaining this answer"):
        answers.explanation(contract, gateway.explanation(answer["prediction_id"]), "answer")
    with tried:
        what_if.panel(gateway, contract, row, answer, threshold)
    with line:
        st.caption("The same question from a terminal. KEY is an API key, made on the page Account.")
        st.code(answers.curl(contract.model, row), language="bash", wrap_lines=True)


gateway = person.page("predict")
with notices.told("reading what the models take"):
    found = contracts.all_of(gateway)
    if found:
        contract = choose(found)
        st.caption(contract.summary)
        left, right = st.columns([3, 2], gap="large")
        with left:
            ask(gateway, contract)
        with right:
            told(gateway, contract)
    else:
        notices.nothing("No model is in the catalogue yet.")
