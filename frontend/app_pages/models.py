"""Versions of a model: which serves, how good each is, who decided; and deciding."""

import streamlit as st

from frontend import ledger_panel, notices, person, policy_panel, rollout_panel, versions, words
from frontend.gateway_client import Document, Gateway
from frontend.problems import GatewayError


def choose(listed: list[Document]) -> Document:
    by_name = {one["name"]: one for one in listed}
    wanted = st.query_params.get("model")
    start = wanted if wanted in by_name else listed[0]["name"]
    chosen = (
        st.segmented_control("Model", list(by_name), default=start, format_func=lambda name: by_name[name]["title"], key="models model", required=True) or start
    )
    st.query_params["model"] = str(chosen)
    return by_name[chosen]


def overview(model: Document) -> None:
    champion = model.get("champion")
    st.caption(f"{model.get('summary', '')} Owner: {model.get('owner', '–')}.")
    first, second, third, fourth = st.columns(4)
    first.metric("Serves", f"version {champion['version']}" if champion else "nothing yet", border=True)
    second.metric("Since", words.moment(champion["since"]) if champion else "–", border=True)
    third.metric("Put there by", champion["by"] if champion else "–", border=True)
    fourth.metric("Newest version", model.get("latest_version") or "–", border=True)
    replicas = model.get("replicas") or []
    if not replicas:
        notices.nothing("No runner of this model has reported within the last minute.", ":material/dns:")
        return
    rows = [
        {
            "replica": one["replica"],
            "version": one["version"],
            "policy": str(one["policy_version"] or "–"),
            "engine": one["engine"],
            "seen": words.wall(one["reported_at"]),
            "refused": "; ".join(
                f"{r.get('version')}: {r.get('why') or r.get('reason') or r}" if isinstance(r, dict) else str(r) for r in one.get("refused") or []
            )
            or "none",
        }
        for one in replicas
    ]
    st.markdown("**Replicas**")
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "replica": "Replica",
            "version": "Version",
            "policy": "Policy",
            "engine": "Engine",
            "seen": st.column_config.DatetimeColumn("Last report", format="localized"),
            "refused": "Versions it refused",
        },
        alt="What each replica of the runner serves",
    )


def roll_back(gateway: Gateway, model: Document) -> None:
    if not model.get("champion") or not person.may("engineer"):
        return
    with st.popover("Roll back", icon=":material/undo:"):
        st.markdown("Undoes the last promotion: the version before it serves again within about a second, with the policy that it had.")
        with st.form("roll back", border=False):
            reason = st.text_input("Reason", max_chars=500, placeholder="what is wrong with the version that serves")
            alone = bool(model.get("policy")) and st.checkbox("Only the policy", help="The version stays; the policy becomes the one before.")
            sent = st.form_submit_button("Roll back now", icon=":material/undo:", type="primary")
        if sent:
            try:
                done = gateway.roll_back(model["name"], reason.strip(), policy_only=alone)
            except GatewayError as error:
                notices.show(error, "rolling back", retry=False, titles={"reason": "Reason"})
                return
            back = f"policy {done['to_policy']}" if alone else f"version {done['to_version']}"
            notices.after(f"{model['title']} is back at {back}. {ledger_panel.followed(done)}")
            st.rerun()


gateway = person.page("models")
with notices.told("listing the models"):
    listed = gateway.models()
    if listed:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
            model = choose(listed)
            roll_back(gateway, model)
        overview(model)
        titles = ["Versions", "Trial", *(["Policy"] if model.get("policy") else []), "Ledger"]
        tabs = dict(zip(titles, st.tabs(titles, key="tab", bind="query-params"), strict=True))
        if tabs["Versions"].open:
            with tabs["Versions"], notices.told("listing the versions"):
                versions.show(gateway, model)
        elif tabs["Trial"].open:
            with tabs["Trial"], notices.told("reading the trial"):
                rollout_panel.show(gateway, model)
        elif tabs["Ledger"].open:
            with tabs["Ledger"], notices.told("reading the ledger"):
                ledger_panel.show(gateway, model)
        else:
            with tabs["Policy"], notices.told("reading the policy"):
                policy_panel.show(gateway, model)
    else:
        notices.nothing("No model is in the catalogue yet.")
