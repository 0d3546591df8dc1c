"""How a model does in service: traffic, latency, live quality, drift."""

import statistics

import streamlit as st

from frontend import contracts, drift_panel, notices, person, words
from frontend.charts import look, many
from frontend.contracts import Contract
from frontend.gateway_client import Document, Gateway
from frontend.settings import settings

LATEST = 500
FAILURES = {
    "refused": "refused: the runner was full, or the rows were wrong",
    "late": "late: no answer before the deadline",
    "unreached": "not reached: asked again at another replica where there is one",
    "broken": "the connection broke",
    "garbage": "the answer was not understood",
}


def choose(found: dict[str, Contract]) -> Contract:
    names = list(found)
    return found[
        st.segmented_control("Model", names, default=names[0], format_func=lambda name: found[name].title, key="monitoring model", required=True) or names[0]
    ]


def traffic(gateway: Gateway, contract: Contract) -> None:
    with notices.told("reading the latest answers"):
        rows: list[Document] = gateway.history(model=contract.model, limit=LATEST)["predictions"]
        if not rows:
            notices.nothing("This model has not been asked yet: ask it on the page **Predict**.", ":material/monitoring:")
            return
        times = sorted(float(one["latency_ms"]) for one in rows)
        newest, oldest = words.time_of(rows[0]["created_at"]), words.time_of(rows[-1]["created_at"])
        first, second, third, fourth = st.columns(4)
        first.metric("Answers looked at", f"{len(rows)}", border=True, help=f"The latest, at most {LATEST}, from the audit.")
        second.metric("Within", words.span((newest - oldest).total_seconds()) if newest and oldest and len(rows) > 1 else "–", border=True)
        third.metric(
            "Median latency", f"{statistics.median(times):.1f} ms", border=True, help="From a request's arrival at the gateway to the beginning of its commit."
        )
        fourth.metric("95 % are faster than", f"{times[min(len(times) - 1, int(len(times) * 0.95))]:.1f} ms", border=True)
        left, right = st.columns(2, gap="large")
        with left:
            st.markdown("**Latency of each answer**")
            look.show(
                many.latency(
                    [words.wall(one["created_at"]) for one in rows], [float(one["latency_ms"]) for one in rows], [str(one["model_version"]) for one in rows]
                ),
                "Latency of the latest answers by time and version.",
                "latency",
            )
        with right:
            st.markdown("**What it answered**")
            scores = [float(one["score"]) for one in rows if one["score"] is not None]
            look.show(
                many.scores(scores, f"Probability of “{contract.decisions[1]}”" if contract.classifies else "Forecast", percent=contract.classifies),
                "Histogram of the latest scores.",
                "scores",
            )


def errors(gateway: Gateway, model: str) -> None:
    """Of calls and not of requests: a call carries the rows of all who asked meanwhile."""
    st.subheader("Errors", anchor=False)
    with notices.told("asking for errors"):
        found = gateway.traffic(model)
        calls: dict[str, int] = found["calls"]
        total, failed = sum(calls.values()), {name: count for name, count in calls.items() if name != "answered" and count}
        if not total:
            notices.nothing("The gateway has not called this model's runner since it began.", ":material/call:")
            return
        first, second, third = st.columns(3)
        first.metric("Calls to the runner", f"{total:,}", border=True, help=f"Since the gateway began, {words.moment(found['since'])}.")
        second.metric("Without an answer", words.percent(sum(failed.values()) / total), border=True)
        third.metric("Rows answered", f"{sum(found['rows'].values()):,}", border=True)
        if failed:
            rows = [{"outcome": FAILURES.get(name, name), "calls": count} for name, count in failed.items()]
            st.dataframe(rows, hide_index=True, column_config={"outcome": "What happened instead", "calls": "Calls"}, alt="Calls without an answer")


def replicas(gateway: Gateway, model: str) -> None:
    st.subheader("Replicas", anchor=False)
    with notices.told("asking control for the replicas"):
        listed = gateway.model(model).get("replicas") or []
        if not listed:
            notices.nothing("No runner has reported within the last minute.", ":material/dns:")
            return
        rows = [
            {
                "replica": one["replica"],
                "version": one["version"],
                "engine": one["engine"],
                "seen": words.ago(one["reported_at"]),
                "refused": len(one.get("refused") or []),
            }
            for one in listed
        ]
        st.dataframe(
            rows,
            hide_index=True,
            column_config={"replica": "Replica", "version": "Version", "engine": "Engine", "seen": "Last report", "refused": "Versions it refused"},
            alt="Replicas of the runner",
        )
        if len({one["version"] for one in listed}) > 1:
            st.warning("Replicas serve different versions. After a promotion this lasts about a second.", icon=":material/difference:")


def links() -> None:
    own = settings()
    if own.grafana_url or own.mlflow_url:
        with st.container(horizontal=True):
            if own.grafana_url:
                st.link_button("Grafana: errors, load, alerts", own.grafana_url, icon=":material/monitoring:")
            if own.mlflow_url:
                st.link_button("MLflow: runs and artifacts", own.mlflow_url, icon=":material/science:")
    else:
        st.caption("Errors and load over time are in Grafana, where it is installed.")


gateway = person.page("monitoring")
with notices.told("reading what the models take"):
    found = contracts.all_of(gateway)
    if found:
        contract = choose(found)
        traffic(gateway, contract)
        errors(gateway, contract.model)
        replicas(gateway, contract.model)
        drift_panel.drift(gateway, contract.model)
        drift_panel.performance(gateway, contract.model)
        links()
