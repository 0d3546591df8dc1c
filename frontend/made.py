"""Files that a run has made, to be kept."""

import httpx
import streamlit as st

from frontend import notices, person
from frontend.gateway_client import Document, Gateway
from frontend.problems import GatewayError


def files(gateway: Gateway, run: Document) -> None:
    result = run.get("result") or {}
    if run["kind"] == "evidently" and result.get("artifact"):
        if st.button("Fetch the page", icon=":material/description:", key="fetch page"):
            with notices.told("fetching the page", retry=False), st.spinner("Five megabytes…"):
                page = gateway.evidently_page(run["model"], run["id"])
                _download("Download the page", page, f"{run['model']}-drift.html", "text/html")
    elif run["kind"] == "score" and result.get("audit") and person.may("analyst"):
        _part(gateway, run["model"], result)


def _part(gateway: Gateway, model: str, result: Document) -> None:
    """Of a file or a table that was scored. As a whole it is what `modelyard score --output` writes."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        part = st.number_input("Part", min_value=1, max_value=result["parts"], step=1, width=140, help=f"The answers are in {result['parts']} parts.") - 1
        fetch = st.button("Fetch its answers", icon=":material/table:", key="fetch part")
    if not fetch:
        return
    with notices.told("fetching the part", retry=False), st.spinner("The part is fetched…"), st.container(horizontal=True):
        answers = gateway.scored_part(model, result["run_id"], part, "answers")
        _download("Download Parquet", answers, f"{model}-part-{part + 1}.parquet", "application/vnd.apache.parquet")
        if result["refused"]:
            try:
                refused = gateway.scored_part(model, result["run_id"], part, "refused")
            except GatewayError as error:
                if error.status == httpx.codes.NOT_FOUND:  # none of this part
                    return
                raise
            _download("Download refused rows", refused, f"{model}-part-{part + 1}-refused.csv", "text/csv")


def _download(label: str, content: bytes, name: str, media: str) -> None:
    st.download_button(label, content, name, media, icon=":material/download:", type="primary", on_click="ignore")
