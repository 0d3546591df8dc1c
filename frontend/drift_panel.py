"""The parts of the Monitoring page that show checks for drift and live performance."""

from typing import Any

import streamlit as st

from frontend import notices, person, runs, words
from frontend.charts import drift as charts
from frontend.charts import look
from frontend.gateway_client import Document, Gateway
from frontend.problems import GatewayError, NotOffered

VERDICTS = {"drift": ":red-badge[drift]", "ok": ":green-badge[no drift]", "too_few": ":gray-badge[too few rows]"}
HISTORY = 20
SHOWN = ("roc_auc", "rmse_ratio", "cost_per_row", "mae", "brier")
"""The first of them that there is begins the choice of what is drawn by day."""


def drift(gateway: Gateway, model: str) -> None:
    st.subheader("Drift", anchor=False)
    try:
        reports = gateway.drift(model, HISTORY)["reports"]
    except NotOffered:
        notices.nothing("The gateway of this platform has no drift reports, so there is nothing to show.", ":material/water_drop:")
        return
    except GatewayError as error:
        notices.show(error, "reading the drift reports")
        return
    _check_now(gateway, model)
    if not reports:
        notices.nothing("Drift has never been checked for this model. A check compares what it is asked with what it learned from.", ":material/water_drop:")
        return
    _newest(reports[0])
    if len(reports) > 1:
        with st.expander(f"The last {len(reports)} checks"):
            _history(reports)


def _check_now(gateway: Gateway, model: str) -> None:
    if person.may("analyst"):
        with st.container(horizontal=True):
            check = st.button("Check now", icon=":material/troubleshoot:", key="check drift")
            page = st.button("Evidently's page", icon=":material/description:", key="evidently", help="About the same rows; where Evidently is installed.")
        if check or page:
            try:
                run = gateway.check_drift(model) if check else gateway.evidently(model)
            except GatewayError as error:
                notices.show(error, "starting a check", retry=False)
                return
            st.session_state["drift run"] = (model, run["id"])
    watched = st.session_state.get("drift run")
    if watched and watched[0] == model:
        runs.watch(gateway, watched[1])


def _newest(report: Document) -> None:
    window, listed = report["window"], [*report["features"], *([report["score"]] if report["score"] else [])]
    drifted = [one for one in listed if one["verdict"] == "drift"]
    (st.warning if report["alarm"] else st.info)(
        f"**{report['words']}**  \nChecked {words.ago(report['created_at'])}, version {report['version']}, answers from {words.moment(window['from'])} "
        f"to {words.moment(window['to'])}.",
        icon=":material/warning:" if report["alarm"] else ":material/water_drop:",
    )
    measured = [one for one in listed if one["psi"] is not None]
    if not measured:
        return
    left, right = st.columns(2, gap="large")
    with left:
        limit = float(report["policy"].get("psi", 0.2))
        said = ", ".join(one["feature"] for one in drifted) or "none"
        look.show(charts.bars(measured, limit), f"Population stability index of each feature, limit {limit:g}; drifted: {said}.", "drift bars")
    with right:
        names = [one["feature"] for one in sorted(measured, key=lambda one: (one["verdict"] != "drift", -one["psi"]))]
        chosen = st.selectbox("Distribution of", names, key="drift feature")
        one = next(one for one in measured if one["feature"] == chosen)
        st.markdown(f"{VERDICTS[one['verdict']]} {one['words']}")
        look.show(charts.distributions(one), f"Distribution of {chosen}: what was learned from, and now.", "drift distribution")
        st.caption(_figures(one))


def _figures(one: Document) -> str:
    named = {"PSI": "psi", "KS": "ks", "moved by standard deviations": "wasserstein", "χ²": "chi2", "out of range": "out_of_range", "unseen": "unseen"}
    parts = [f"{label} {words.number(one[key], 3)}" for label, key in named.items() if one.get(key) is not None]
    chance = "" if one["p_adjusted"] is None else f" · p {one['p_adjusted']:.2g} after the correction for all tests"
    return f"{' · '.join(parts)} · missing {words.percent(one['missing'])}, was {words.percent(one['reference_missing'])}{chance}"


def _history(reports: list[Document]) -> None:
    rows = [
        {"at": words.wall(one["created_at"]), "version": one["version"], "rows": one["window"]["rows"], "alarm": one["alarm"], "words": one["words"]}
        for one in reports
    ]
    at = st.column_config.DatetimeColumn("Checked", format="localized")
    columns: dict[str, Any] = {"at": at, "version": "Version", "rows": "Rows", "alarm": "Alarm", "words": "Found"}
    st.dataframe(rows, hide_index=True, column_config=columns, alt="The last checks for drift, newest first")


def performance(gateway: Gateway, model: str) -> None:
    st.subheader("Live performance", anchor=False)
    try:
        reports = gateway.performance(model)["reports"]
    except NotOffered:
        notices.nothing("The gateway of this platform does not measure live performance.", ":material/flag:")
        return
    except GatewayError as error:
        notices.show(error, "reading live performance")
        return
    if not reports or not reports[0]["versions"]:
        notices.nothing(
            "No outcome has been measured. Record what really happened on the page **History**, or send it to `POST /predictions/outcomes`; then check.",
            ":material/flag:",
        )
        return
    report = reports[0]
    st.caption(f"{report['rows']} outcomes of {report['answered']} answers in {report['days']} days, measured {words.ago(report['created_at'])}.")
    numbers = [one["version"] for one in report["versions"]]
    chosen = st.segmented_control("Version", numbers, default=numbers[0], key="live version", required=True) or numbers[0]
    _version(next(one for one in report["versions"] if one["version"] == chosen))


def _version(version: Document) -> None:
    verdict = version["drift"]
    (st.warning if verdict["verdict"] == "drift" else st.info)(verdict["words"], icon=":material/flag:")
    if not version["metrics"]:
        return
    rows = [_line(name, one, version["holdout"].get(name)) for name, one in version["metrics"].items()]
    columns = {"metric": "Metric", "live": "Live", "interval": "95 % interval", "holdout": "Hold-out"}
    names = [name for name in (*SHOWN, *version["metrics"]) if name in version["metrics"]]
    left, right = st.columns(2, gap="large")
    with left:
        st.dataframe(rows, hide_index=True, column_config=columns, alt="Live figures with intervals beside the hold-out")
        if version["confusion"]:
            one = version["confusion"]
            st.caption(f"Decisions: {one['hits']} hits, {one['missed']} missed, {one['false_alarms']} false alarms, {one['passed']} rightly passed.")
    with right:
        metric = st.selectbox("By day of prediction", list(dict.fromkeys(names)), format_func=words.metric, key="live metric")
        look.show(charts.days(version["days"], metric, words.metric(metric), version["holdout"].get(metric)), f"{words.metric(metric)} by day.", "live days")
    with st.expander("By segment"):
        st.dataframe(
            [_segment(one, metric) for one in version["segments"]],
            hide_index=True,
            column_config={"field": "Field", "segment": "Segment", "rows": "Outcomes", "value": words.metric(metric), "interval": "95 % interval"},
            alt=f"{words.metric(metric)} by segment",
        )


def _line(name: str, one: Document, holdout: Any) -> dict[str, str]:
    return {
        "metric": words.metric(name),
        "live": words.number(one["value"]),
        "interval": _interval(one),
        "holdout": words.number((holdout or {}).get("value")),
    }


def _segment(one: Document, metric: str) -> dict[str, Any]:
    found = one["metrics"].get(metric)
    shown = {"value": "too few", "interval": ""} if found is None else {"value": words.number(found["value"]), "interval": _interval(found)}
    return {"field": one["field"], "segment": one["segment"], "rows": one["rows"], **shown}


def _interval(one: Document) -> str:
    return "–" if one["low"] is None else f"{words.number(one['low'])} to {words.number(one['high'])}"
