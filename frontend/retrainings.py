"""Why a model was retrained, and why it was not."""

import streamlit as st

from frontend import contracts, notices, tables, words
from frontend.gateway_client import Document, Gateway

PAGE = 20
SIGNS = {"submitted": "✓", "refused": "■"}


def panel(gateway: Gateway) -> None:
    with notices.told("reading why models were retrained"):
        titles = contracts.titles(gateway)
        chosen = st.columns([1, 3])[0].selectbox("Retrainings of", list(titles), format_func=lambda name: titles[name])
        found = gateway.retrainings(chosen, PAGE)["retrainings"]
        if not found:
            notices.nothing(
                f"Nothing has asked for a retraining of {titles.get(chosen, chosen)} yet: no alarm, no schedule, nobody.", ":material/model_training:"
            )
            return
        columns = {
            "decision": "Decision",
            "cause": "Reason",
            "why": st.column_config.TextColumn("Why", width="large"),
            "at": st.column_config.DatetimeColumn("First asked", format="localized"),
            "times": st.column_config.NumberColumn("Times", help="How often the same was asked and refused within an hour of the first time."),
            "actor": "By",
        }
        alt = "Decisions about retraining, newest first; choose one to go to its run"
        one = tables.chosen(found, [_row(each) for each in found], key="retrainings", alt=alt, columns=columns)
        if one is not None and one["run_id"] and st.query_params.get("run") != one["run_id"]:
            st.query_params["run"] = one["run_id"]
            st.rerun()


def _row(one: Document) -> Document:
    return {
        "decision": f"{SIGNS.get(one['decision'], '')} {one['decision']}{': ' + one['rule'] if one['rule'] else ''}",
        "cause": one["reason"],
        "why": one["why"],
        "at": words.wall(one["created_at"]),
        "times": one["times"],
        "actor": one["actor"],
    }
