"""The audit: find an answer, look into it, say what really happened."""

from datetime import datetime, time, timedelta
from typing import Any

import streamlit as st

from frontend import contracts, notices, person, stored, tables, words
from frontend.contracts import Contract
from frontend.gateway_client import Document, Gateway

PAGE = 50
TRAIL = "history trail"
FILTERS = "history filters"


def filters(found: dict[str, Contract]) -> Document:
    """What to look for; times are those of the browser's zone."""
    with st.container(border=True):
        first, second, third, fourth = st.columns(4)
        model = first.selectbox("Model", list(found), index=None, format_func=lambda name: found[name].title, placeholder="all")
        decisions = [*found[model].decisions] if model and found[model].classifies else []
        decision = second.selectbox("Decision", decisions, index=None, placeholder="all" if decisions else "choose a model first", disabled=not decisions)
        outcome = third.selectbox("Outcome", ("known", "unknown"), index=None, placeholder="all")
        others = person.may("analyst")
        username = fourth.text_input("User", placeholder="everybody", disabled=not others, value="" if others else person.session().username)
        first, second, third, fourth = st.columns(4)
        days = first.date_input("From … to", value=[], format="YYYY-MM-DD")
        version = second.text_input("Version", placeholder="all", max_chars=40)
        batch = third.text_input("Batch", value=st.query_params.get("batch", ""), placeholder="all", max_chars=36)
        request = fourth.text_input("Request", placeholder="all", max_chars=128)
    begin, end = span(days)
    given = {"model": model, "decision": decision, "outcome": outcome, "version": version, "batch_id": batch, "request_id": request, "from": begin, "to": end}
    return {name: value.strip() for name, value in given.items() if value and value.strip()} | (
        {"username": username.strip()} if others and username.strip() else {}
    )


def span(days: Any) -> tuple[str | None, str | None]:
    """The days from their first to their last moment."""
    chosen = list(days) if isinstance(days, tuple | list) else [days]
    if not chosen:
        return None, None
    begin = datetime.combine(chosen[0], time(), words.zone())
    end = datetime.combine(chosen[-1] + timedelta(days=1), time(), words.zone()) if len(chosen) > 1 else None
    return begin.isoformat(), end.isoformat() if end else None


def table(rows: list[Document], found: dict[str, Contract]) -> Document | None:
    shown = [
        {
            "time": words.wall(one["created_at"]),
            "model": found[one["model"]].title if one["model"] in found else one["model"],
            "answer": one["decision"] or words.number(one["score"], 7),
            "probability": one["score"] if one["decision"] else None,
            "outcome": outcome_of(one, found.get(one["model"])),
            "version": one["model_version"],
            "user": one["username"],
            "batch": f"row {one['row_number'] + 1}" if one["batch_id"] else "",
        }
        for one in rows
    ]
    columns = {
        "time": st.column_config.DatetimeColumn("Time", format="localized"),
        "model": "Model",
        "answer": "Answer",
        "probability": st.column_config.ProgressColumn("Probability", format="percent", min_value=0, max_value=1),
        "outcome": "Outcome",
        "version": "Version",
        "user": "User",
        "batch": "Of a batch",
    }
    alt = "Predictions, newest first; choose one to look into it"
    return tables.chosen(rows, shown, key="history table", alt=alt, columns=columns, placeholder="", height=words.tall(len(shown)))


def outcome_of(row: Document, contract: Contract | None) -> str:
    outcome = row.get("outcome")
    if not outcome:
        return ""
    value = float(outcome["value"])
    return contract.decisions[int(value)] if contract and contract.classifies and value in (0, 1) else words.number(value, 7)


def turn(trail: list[str | None], following: str | None) -> None:
    """Pages by cursor: the trail remembers the way back."""
    left, middle, right = st.columns([1, 4, 1], vertical_alignment="center")
    if left.button("Newer", icon=":material/chevron_left:", disabled=len(trail) < 2, width="stretch"):
        trail.pop()
        st.rerun()
    middle.markdown(f":small[Page {len(trail)}]", text_alignment="center")
    if right.button("Older", icon=":material/chevron_right:", icon_position="right", disabled=not following, width="stretch"):
        trail.append(following)
        st.rerun()


def export(gateway: Gateway, wanted: Document) -> None:
    if not person.may("analyst"):
        return
    with st.popover("Export", icon=":material/download:"):
        st.caption("All predictions that the filters let through, as CSV: with a model chosen, a column for each of its fields.")
        if st.button("Prepare the file"):
            with notices.told("exporting", retry=False), st.spinner("The file is made…"):
                table = b"".join(gateway.export(**wanted))
                st.download_button("Download CSV", table, "predictions.csv", "text/csv", icon=":material/download:", type="primary", on_click="ignore")


def outcomes(gateway: Gateway) -> None:
    if not person.may("analyst"):
        return
    with st.popover("Outcomes from a file", icon=":material/flag:"):
        st.caption("A CSV with the columns `prediction_id` and `value`: 0 or 1 for a decision, the number that came true for a forecast.")
        file = st.file_uploader("CSV file", type=["csv"], key="outcomes")
        if file and st.button("Record them", type="primary"):
            with notices.told("recording outcomes", retry=False), st.spinner("The outcomes are recorded…"):
                told = gateway.add_outcomes(file.getvalue())
                st.success(f"{told['recorded']:,} recorded.", icon=":material/check_circle:")
                if told["rejected"]:
                    st.warning(f"{len(told['rejected']):,} were not:", icon=":material/error:")
                    st.dataframe(told["rejected"], hide_index=True, alt="Outcomes that were not recorded")


gateway = person.page("history")
found: dict[str, Contract] = {}
with notices.told("reading what the models take"):
    found = contracts.all_of(gateway)
single = st.query_params.get("prediction")
if single:
    if st.button("All predictions", icon=":material/arrow_back:"):
        st.query_params.clear()
        st.rerun()
    with notices.told("finding this prediction"):
        stored.show(gateway, gateway.prediction(single), found)
else:
    wanted = filters(found)
    if st.session_state.get(FILTERS) != wanted:
        st.session_state[FILTERS], st.session_state[TRAIL] = wanted, [None]
    trail = st.session_state[TRAIL]
    with notices.told("reading the history"):
        page = gateway.history(limit=PAGE, cursor=trail[-1], **wanted)
        if page["predictions"]:
            chosen = table(page["predictions"], found)
            turn(trail, page["next"])
            with st.container(horizontal=True):
                export(gateway, wanted)
                outcomes(gateway)
            if chosen:
                stored.show(gateway, chosen, found)
            else:
                st.caption("Choose a prediction in the first column to look into it.")
        elif wanted:
            notices.nothing("Nothing matches these filters. Take one away, or choose other days.", ":material/filter_alt_off:")
        else:
            notices.nothing("Nothing has been predicted yet. Ask a model on the page **Predict**, and its answer stands here.")
