"""One prediction of the audit: what was asked, what was answered, by which version and policy, and what became of it."""

from typing import Any

import pandas as pd
import streamlit as st

from frontend import answers, lineage, notices, person, words
from frontend.contracts import Contract
from frontend.gateway_client import Document, Gateway
from frontend.problems import GatewayError


def show(gateway: Gateway, row: Document, found: dict[str, Contract]) -> None:
    contract = found.get(row["model"])
    key = f"stored {row['prediction_id']}"
    with st.container(border=True):
        left, right = st.columns([2, 3], gap="large")
        with left:
            answer = row["output"] | {name: row.get(name) for name in ("prediction_id", "model_version", "policy_version")}
            if contract:
                answers.show(contract, answer, None, key)
            else:
                st.json(row["output"])
            facts(row)
        with right:
            titles = ["Input", "Reasons", "Outcome", "Lineage", "Report"]
            asked, reasons, outcome, origin, files = st.tabs(titles, key="detail", bind="query-params")
            with asked:
                inputs(row["input"], contract)
            if reasons.open and contract:
                with reasons, notices.told("explaining this prediction"):
                    answers.explanation(contract, gateway.explanation(row["prediction_id"]), key)
            with outcome:
                record(gateway, row, contract, key)
            if origin.open:
                with origin, notices.told("tracing this prediction"):
                    lineage.show(gateway, row["prediction_id"], key)
            with files:
                report(gateway, row["prediction_id"], key)


def facts(row: Document) -> None:
    policy = "none" if row["policy_version"] is None else str(row["policy_version"])
    batch = f"  \nBatch `{row['batch_id']}`, row {row['row_number'] + 1}" if row["batch_id"] else ""
    st.markdown(
        f"Version **{row['model_version']}** · policy **{policy}** · asked by **{row['username']}**  \n"
        f"{words.moment(row['created_at'])} · {row['latency_ms']:.1f} ms  \n"
        f":small[Prediction `{row['prediction_id']}`  \nRequest `{row['request_id']}`{batch}]"
    )


def inputs(given: Document, contract: Contract | None) -> None:
    titles = contract.titles if contract else {}
    order = [*titles, *(name for name in given if name not in titles)]
    rows = [{"field": titles.get(name, name), "value": words.plain(given[name])} for name in order if name in given]
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config={"field": "Field", "value": "Value"}, height=words.tall(len(rows)), alt="What was asked")


def record(gateway: Gateway, row: Document, contract: Contract | None, key: str) -> None:
    known = row.get("outcome")
    if known:
        st.markdown(f"**{meaning(known['value'], contract)}**, recorded {words.moment(known['recorded_at'])} by {known['actor']}.")
    if not person.may("analyst"):
        st.info("Recording what really happened needs the role analyst." if not known else "Correcting it needs the role analyst.", icon=":material/lock:")
        return
    st.caption("What really happened? From outcomes comes the live quality of the model." + (" A correction is kept beside the first one." if known else ""))
    with st.form(f"{key} outcome", border=False):
        value: Any
        if contract and contract.classifies:
            value = st.radio("Outcome", (0, 1), format_func=lambda one: meaning(one, contract), horizontal=True, index=None)
        else:
            value = st.number_input("Outcome", value=None, format="%g", placeholder="the number that came true")
        note = st.text_input("Note", max_chars=500, placeholder="optional")
        sent = st.form_submit_button("Correct it" if known else "Record outcome", icon=":material/flag:", type="primary")
    if sent and value is None:
        st.error("Choose what happened." if contract and contract.classifies else "Give the number that came true.", icon=":material/error:")
    elif sent:
        try:
            gateway.add_outcome(row["prediction_id"], float(value), note.strip())
        except GatewayError as error:
            notices.show(error, "recording the outcome", retry=False)
            return
        notices.after("The outcome is recorded.")
        st.rerun()


def meaning(value: float, contract: Contract | None) -> str:
    if contract and contract.classifies and value in (0, 1):
        negative, positive = contract.decisions
        described = contract.outputs.get("probability", {}).get("description", "")
        event = described.removeprefix("Of ").split(",")[0] if described.startswith("Of ") else ""
        return (f"yes: {event}" if value else f"no {event}") if event else (f"as “{positive}” foresees" if value else f"as “{negative}” foresees")
    return words.number(float(value), 7)


def report(gateway: Gateway, prediction: str, key: str) -> None:
    st.caption("A page to hand on: the answer, what was asked, the reasons, version and policy.")
    if st.button("Make the PDF", icon=":material/picture_as_pdf:", key=f"{key} report"):
        with notices.told("making the report", retry=False), st.spinner("The report is made…"):
            st.download_button(
                "Download PDF",
                gateway.prediction_report(prediction),
                f"prediction-{prediction}.pdf",
                "application/pdf",
                icon=":material/download:",
                type="primary",
                on_click="ignore",
            )
