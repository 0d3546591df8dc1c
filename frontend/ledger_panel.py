"""The ledger of a model: every decision and when it was true on every replica, whether anybody has rewritten it, and what served at a moment."""

from datetime import datetime
from typing import Any

import streamlit as st

from frontend import notices, words
from frontend.gateway_client import Document, Gateway

TRIAL = {"shadow": "in its shadow", "canary": "beside it as a canary"}


def show(gateway: Gateway, model: Document) -> None:
    entries = gateway.ledger(model["name"])["entries"]
    if not entries:
        notices.nothing("Nothing has been decided for this model yet.", ":material/receipt_long:")
        return
    table(entries)
    left, right = st.columns(2, gap="large")
    with left:
        at_moment(gateway, model)
    with right, notices.told("checking the ledger's chain"):
        chain(gateway.verify_ledger(model["name"]))


def table(entries: list[Document]) -> None:
    rows = [
        {
            "time": words.wall(one["created_at"]),
            "action": one["action"],
            "change": change(one),
            "actor": one["actor"],
            "reason": one["reason"],
            "gate": verdict(one.get("verdict")),
            "verified": verified(one),
        }
        for one in entries
    ]
    columns: dict[Any, Any] = {
        "time": st.column_config.DatetimeColumn("Time", format="localized"),
        "action": st.column_config.TextColumn("Action", width="small"),
        "change": "Change",
        "actor": st.column_config.TextColumn("By", width="small"),
        "reason": st.column_config.TextColumn("Reason", width="medium"),
        "gate": "Gate",
        "verified": st.column_config.TextColumn("On every replica", help="How long after the decision every replica's own answers came from it."),
    }
    st.dataframe(rows, hide_index=True, column_config=columns, alt="Every promotion, rollback and change of policy, newest first")


def change(entry: Document) -> str:
    if entry["action"] in TRIAL and entry.get("challenger"):
        return f"version {entry['to_version']}, {TRIAL[entry['action']]} {entry['challenger']}"
    if entry["action"] == "withdraw":
        return f"version {entry['to_version']} alone"
    if entry["action"] == "policy" or entry["from_version"] == entry["to_version"]:
        return f"policy {entry['from_policy']} → {entry['to_policy']}"
    policy = f", policy {entry['to_policy']}" if entry["to_policy"] is not None else ""
    return f"version {entry['from_version'] or 'none'} → {entry['to_version']}{policy}"


def verdict(found: Document | None) -> str:
    return "–" if not found else "passed" if found.get("passed") else "did not pass"


def verified(entry: Document) -> str:
    found = entry.get("verification")
    return "–" if not found else f"after {found['seconds']:.2f} s" if found["complete"] else "not on all"


def followed(entry: Document) -> str:
    """For the sentence after a change."""
    found = entry.get("verification")
    if not found:
        return "Not every replica has answered so yet: the ledger will show when they do."
    if not found["complete"]:
        return "Not every replica answers so: look at the replicas below."
    return f"Every replica answers so, {found['seconds']:.2f} s after the decision."


def chain(checked: Document) -> None:
    st.markdown("**Chain**")
    if checked["ok"]:
        st.success(f"All {checked['rows']} entries are as they were written.", icon=":material/link:")
    else:
        st.error(f"{len(checked['broken'])} of {checked['rows']} entries are not what was written.", icon=":material/link_off:")
        for one in checked["broken"]:
            st.markdown(f"Entry **{one['id']}**: {one['words']}.")
    st.caption("The head, to note elsewhere: whoever wrote the ledger anew would have another one.")
    st.code(checked["head"], language=None, wrap_lines=True)


def at_moment(gateway: Gateway, model: Document) -> None:
    st.markdown("**What served then?**")
    now = datetime.now(words.zone())
    with st.form(f"at {model['name']}", border=False):
        first, second = st.columns(2)
        day = first.date_input("Day", now.date(), format="YYYY-MM-DD")
        hour = second.time_input("Time", now.time().replace(second=0, microsecond=0), step=60)
        sent = st.form_submit_button("Look it up", icon=":material/history:")
    if sent:
        with notices.told("looking it up", retry=False):
            then(gateway.at(model["name"], datetime.combine(day, hour, words.zone()).isoformat()))


def then(found: Document) -> None:
    policy = f", policy **{found['policy_version']}** (threshold {words.percent(found['threshold'])})" if found["policy_version"] is not None else ""
    st.markdown(
        f"Version **{found['version']}**{policy}, trained on {found['source']} data `{found['data_hash'][:16]}`  \n"
        f"since {words.moment(found['since'])}, by **{found['actor']}**: {found['reason']}"
    )
    if found.get("canary_percent"):
        st.markdown(f"{found['canary_percent']} % of the callers were answered by version **{found['challenger']}**.")
