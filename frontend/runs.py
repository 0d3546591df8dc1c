"""One workflow run while it goes on, and what became of it."""

from datetime import UTC, datetime

import streamlit as st

from frontend import made, notices, person, words
from frontend.gateway_client import Document, Gateway
from frontend.problems import GatewayError

SIGNS = {"queued": "·", "running": "…", "succeeded": "✓", "failed": "✗", "stopped": "■"}
BADGES = {"queued": "gray", "running": "blue", "succeeded": "green", "failed": "red", "stopped": "orange"}
ENDED = ("succeeded", "failed", "stopped")


def seconds(part: Document) -> float | None:
    begin, end = words.time_of(part.get("started_at")), words.time_of(part.get("finished_at"))
    return ((end or datetime.now(UTC)) - begin).total_seconds() if begin else None


def took(part: Document) -> str:
    spent = seconds(part)
    return "" if spent is None else f"{spent:.1f} s" if spent < 120 else f"{spent / 60:.1f} min"


def outcome(run: Document) -> str:
    result = run.get("result") or {}
    if run.get("error"):
        return str(run["error"])
    if result.get("version"):
        return f"version {result['version']}{became(result)}"
    return ", ".join(f"{name}: {value}" for name, value in result.items() if isinstance(value, int | float | str) and name != "run_id")[:120]


def became(result: Document) -> str:
    """Of the version that a training has made."""
    if result.get("challenger"):
        return " is tried"
    return "" if result.get("promoted") is None else " serves" if result["promoted"] else " was not promoted"


def watch(gateway: Gateway, run_id: str) -> None:
    with notices.told("finding this run"):
        run = gateway.workflow(run_id)
        ended = run["status"] in ENDED
        with st.container(border=True):
            (_ended if ended else _live)(gateway, run_id)


@st.fragment(run_every="1s")
def _live(gateway: Gateway, run_id: str) -> None:
    with notices.told("watching the run"):
        run = gateway.workflow(run_id)
        _shown(gateway, run)
        if run["status"] in ENDED:
            st.rerun()


def _ended(gateway: Gateway, run_id: str) -> None:
    with notices.told("reading the run"):
        _shown(gateway, gateway.workflow(run_id))


def _shown(gateway: Gateway, run: Document) -> None:
    left, right = st.columns([5, 2], vertical_alignment="center")
    status = run["status"]
    left.markdown(f"### {run['kind'].capitalize()} · {run['model']} :{BADGES.get(status, 'gray')}-badge[{SIGNS.get(status, '')} {status}]")
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        if status not in ENDED and person.may("engineer"):
            st.button("Stop", icon=":material/stop:", key="stop run", on_click=_stop, args=(gateway, run["id"]))
        st.button("Close", icon=":material/close:", key="close run", on_click=st.query_params.clear)
    steps = "  →  ".join(
        f":{BADGES.get(one['status'], 'gray')}-badge[{SIGNS.get(one['status'], '')} {one['name']} {took(one)}]" for one in run.get("steps") or []
    )
    st.markdown(steps or "It waits for its turn: two runs at a time, one of a model.")
    reason = f" · {run['reason']}" if run.get("reason") else ""
    st.caption(f"Asked for by {run['actor']} {words.moment(run['created_at'])}{reason}{f' · {took(run)}' if run.get('started_at') else ''}")
    if run.get("error"):
        st.error(run["error"], icon=":material/error:")
    elif status == "succeeded" and outcome(run):
        st.success(outcome(run).capitalize() + ".", icon=":material/check_circle:")
        made.files(gateway, run)
    for one in (run.get("result") or {}).get("verdict", {}).get("rules", []):
        if not one["passed"]:
            st.warning(one["words"], icon=":material/gavel:")
    with st.expander("Log", icon=":material/terminal:", expanded=status == "failed"), notices.told("reading the log"):
        text = gateway.workflow_logs(run["id"])
        st.code(text[-20_000:] or "Nothing has been written yet.", language=None, height=320, wrap_lines=True)


def _stop(gateway: Gateway, run_id: str) -> None:
    try:
        gateway.stop_workflow(run_id)
        notices.after("The run is stopped.", ":material/stop:")
    except GatewayError as error:
        notices.after(error.words, ":material/error:")
