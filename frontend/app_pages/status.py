"""Which parts of the platform answer, and what it means when one does not."""

import streamlit as st

from frontend import contracts, notices, person
from frontend.gateway_client import Document, Gateway
from frontend.settings import settings


def sign(part: Document) -> str:
    return ":green-badge[:material/check: answers]" if part.get("ok") else ":red-badge[:material/close: trouble]"


@st.fragment(run_every="10s")
def parts(gateway: Gateway) -> None:
    """Looks again by itself."""
    with notices.told("asking for the state of the platform"):
        health = gateway.health()
        said = {
            "ok": ("Everything answers.", st.success),
            "degraded": ("Something is away; what does not need it goes on.", st.warning),
            "down": ("The database is away: predictions wait in the spool, or are refused.", st.error),
        }
        words, show = said.get(str(health.get("status")), said["degraded"])
        show(words, icon=":material/monitor_heart:")
        listed = {"Gateway": {"ok": True, "words": "Answers: you are reading what it said."}, "Database": health["database"], "Control": health["control"]}
        listed |= {f"Runner of {contracts.title(gateway, name)}": part for name, part in health["runners"].items()}
        lines = [f"| **{name}** | {sign(part)} | {part.get('words', '')} |" for name, part in listed.items()]
        st.markdown("\n".join(["| Part | State | What it means |", "| :-- | :-- | :-- |", *lines]))
        st.caption("This page looks again every ten seconds.")


def links() -> None:
    own = settings()
    st.subheader("Elsewhere", anchor=False)
    with st.container(horizontal=True):
        st.link_button("API documentation", f"{own.shown_gateway_url}/docs", icon=":material/api:")
        if own.mlflow_url:
            st.link_button("MLflow", own.mlflow_url, icon=":material/science:")
        if own.grafana_url:
            st.link_button("Grafana", own.grafana_url, icon=":material/monitoring:")


gateway = person.page("status")
parts(gateway)
links()
