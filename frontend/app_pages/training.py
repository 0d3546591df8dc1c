"""Workflow runs: start one, watch its steps, read its log, stop it."""

import streamlit as st

from frontend import contracts, notices, person, retrainings, runs, tables, words
from frontend.gateway_client import Gateway
from frontend.problems import GatewayError

KINDS = {"train": "Train a new version", "score": "Score a data set", "predict": "Ask the champion about sample rows"}
TITLES = {"reason": "Reason", "data_dir": "Folder", "rows": "Rows", "drift": "Drift", "input": "File or table to be scored", "audit": "Record"}
PAGE = 25


def start(gateway: Gateway) -> None:
    kinds = [kind for kind in KINDS if kind != "train" or person.may("engineer")]
    with st.container(border=True):
        st.markdown("**Start a run**")
        titles = contracts.titles(gateway)
        with st.form("start a run", border=False):
            first, second, third = st.columns(3)
            kind = first.selectbox("What", kinds, format_func=lambda one: KINDS[one])
            model = second.selectbox("Model", list(titles), format_func=lambda name: titles[name])
            source = third.selectbox(
                "Data",
                ("synthetic", "files", "live", "recent"),
                index=None,
                placeholder="as the catalogue says",
                help="synthetic: made here. files: a folder with the published files. live: what the platform has gathered. recent: rows with outcomes.",
            )
            with st.expander("More"):
                first, second, third, fourth = st.columns(4)
                rows = first.number_input("Rows", min_value=1, value=None, step=1000, placeholder="as the catalogue says")
                seed = second.number_input("Seed", min_value=0, value=None, step=1, placeholder="as the catalogue says")
                drift = third.number_input(
                    "Drift",
                    min_value=0.0,
                    max_value=1.0,
                    value=None,
                    step=0.1,
                    format="%g",
                    placeholder="none",
                    help="Of synthetic data: how far it moves away from what was learned, 0 to 1.",
                )
                folder = fourth.text_input("Folder", placeholder="of the files")
                first, second = st.columns([3, 1])
                given_input = first.text_input(
                    "File or table to be scored",
                    placeholder="/data/applications.parquet, runs:/RUN/PATH or table:NAME",
                    help="In place of a data set: of any size, each row checked and answered, as the steps see it.",
                )
                audit = second.selectbox("Record", ("summary", "rows"), index=None, placeholder="each part", help="rows: every row as a prediction too.")
            reason = st.text_input("Reason", max_chars=500, placeholder="why; kept with the run")
            sent = st.form_submit_button("Start", icon=":material/play_arrow:", type="primary")
    if not sent:
        return
    given = {"source": source, "rows": rows, "seed": seed, "drift": drift, "data_dir": folder.strip() or None, "reason": reason.strip() or None}
    given |= {"input": given_input.strip() or None, "audit": audit}
    try:
        run = gateway.start(kind, model, **{name: value for name, value in given.items() if value is not None})
    except GatewayError as error:
        notices.show(error, "starting a run", retry=False, titles=TITLES)
        return
    notices.after("The run has been started.", ":material/play_arrow:")
    st.query_params["run"] = run["id"]
    st.rerun()


@st.fragment(run_every="5s")
def history(gateway: Gateway) -> None:
    with notices.told("listing the runs"):
        titles = contracts.titles(gateway)
        model = st.columns([1, 3])[0].selectbox("Runs of", list(titles), index=None, format_func=lambda name: titles[name], placeholder="all models")
        listed = gateway.workflows(model=model, limit=PAGE)["workflows"]
        if not listed:
            notices.nothing("No run yet. Start one above: its steps and its log can be watched here.", ":material/model_training:")
            return
        rows = [
            {
                "state": f"{runs.SIGNS.get(one['status'], '')} {one['status']}",
                "kind": one["kind"],
                "model": titles.get(one["model"], one["model"]),
                "began": words.wall(one["created_at"]),
                "took": runs.took(one),
                "result": runs.outcome(one),
                "actor": one["actor"],
                "reason": one["reason"] or "",
            }
            for one in listed
        ]
        columns = {
            "state": "State",
            "kind": "Kind",
            "model": "Model",
            "began": st.column_config.DatetimeColumn("Asked for", format="localized"),
            "took": "Took",
            "result": "Result",
            "actor": "By",
            "reason": "Reason",
        }
        chosen = tables.chosen(listed, rows, key="runs", alt="Workflow runs, newest first; choose one to watch it", columns=columns)
        if chosen is not None and st.query_params.get("run") != chosen["id"]:
            st.query_params["run"] = chosen["id"]
            st.rerun()


gateway = person.page("training")
start(gateway)
wanted = st.query_params.get("run")
if wanted:
    runs.watch(gateway, wanted)
st.subheader("Runs", anchor=False)
history(gateway)
st.subheader("Retrainings", anchor=False)
st.caption("What asked for one, and what was decided: a drift alarm, worse answers, a schedule or a person; one at a time, with a pause and a daily limit.")
retrainings.panel(gateway)
