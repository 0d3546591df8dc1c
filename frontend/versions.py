"""The versions of a model side by side, one in detail, and putting it into service."""

from typing import Any

import streamlit as st

from frontend import ledger_panel, notices, person, tables, words
from frontend.charts import look
from frontend.charts import model as charts
from frontend.gateway_client import Document, Gateway
from frontend.problems import GatewayError, NotOffered

IMPORTANT = ("roc_auc", "average_precision", "brier", "cost_per_row", "rmse_ratio", "r2", "mae", "rmse", "direction")
"""Shown as pictures, in this order, of those that a version has; the table has all."""


def show(gateway: Gateway, model: Document) -> None:
    listed = gateway.versions(model["name"])
    if not listed:
        training = " Start one on the page **Training**." if person.may("engineer") else ""
        notices.nothing(f"This model has no version yet: it has never been trained.{training}", ":material/model_training:")
        return
    chosen = table(listed)
    champion = next((one for one in listed if one.get("champion")), None)
    version = chosen or champion or listed[0]
    detail(gateway, model, version, champion)


def holdout(version: Document | None) -> Document:
    return dict(((version or {}).get("metrics") or {}).get("holdout") or {})


def table(listed: list[Document]) -> Document | None:
    names = [name for name in IMPORTANT if name in holdout(listed[0]).get("metrics", {})][:3]
    rows = [
        {
            "version": one["version"],
            "state": "serves"
            if one.get("champion")
            else "passed the gate"
            if (one.get("verdict") or {}).get("passed")
            else "did not pass"
            if one.get("verdict")
            else "not judged",
            "made": words.wall(one["created_at"]),
            "source": one.get("source"),
            "engine": one.get("engine"),
        }
        | {name: (holdout(one).get("metrics", {}).get(name) or {}).get("value") for name in names}
        for one in listed
    ]
    columns: dict[str, Any] = {
        "version": "Version",
        "state": "State",
        "made": st.column_config.DatetimeColumn("Made", format="localized"),
        "source": "Data",
        "engine": "Engine",
    }
    figures = {name: st.column_config.NumberColumn(words.metric(name), format="%.2f" if name in ("mae", "rmse", "mse") else "%.4f") for name in names}
    return tables.chosen(listed, rows, key="versions table", alt="Versions, newest first; choose one to see it below", columns=columns | figures)


def detail(gateway: Gateway, model: Document, version: Document, champion: Document | None) -> None:
    badge = ":green-badge[:material/check: serves]" if version.get("champion") else ""
    left, right = st.columns([3, 2], vertical_alignment="center")
    left.markdown(f"### Version {version['version']} {badge}")
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        if version.get("mlflow_url"):
            st.link_button("MLflow", version["mlflow_url"], icon=":material/science:")
        report(gateway, model, version)
        promote(gateway, model, version)
    remarks = (version.get("metrics") or {}).get("remarks") or []
    for remark in remarks:
        st.warning(remark if isinstance(remark, str) else str(remark), icon=":material/info:")
    figures, curves, groups, gate = st.tabs(["Figures", "Curves", "Groups", "Gate"], key="part", bind="query-params")
    with figures:
        compare(version, champion)
    if curves.open:
        with curves:
            pictures(gateway, model, version)
    with groups:
        by_group(version)
    with gate:
        rules(version)


def compare(version: Document, champion: Document | None) -> None:
    own = holdout(version)
    measured, baseline = own.get("metrics", {}), own.get("baseline", {})
    if not measured:
        notices.nothing("This version has no stored figures.", ":material/query_stats:")
        return
    other = champion if champion and champion["version"] != version["version"] else None
    label = f"version {version['version']}"
    series: dict[str, Document] = (
        {"baseline": baseline} | ({f"champion {other['version']}": holdout(other).get("metrics", {})} if other else {}) | {label: measured}
    )
    names = [name for name in IMPORTANT if name in measured][:8]
    look.show(
        charts.metrics(names, series),
        "Metrics with their 95 % intervals beside the baseline; the table below has the numbers.",
        f"metrics {version['version']}",
    )
    rows = [
        {"metric": words.metric(name), "value": interval(value), "baseline": words.number(baseline.get(name))}
        | ({"champion": interval(holdout(other).get("metrics", {}).get(name))} if other else {})
        for name, value in measured.items()
    ]
    st.dataframe(
        rows,
        hide_index=True,
        column_config={"metric": "Metric", "value": f"{label.capitalize()}, 95 % interval", "champion": "Champion, 95 % interval", "baseline": "Baseline"},
        alt="All metrics",
    )
    st.caption(
        f"On {own.get('rows', 0):,} hold-out rows that the version has not learned from; trained on {version.get('source')} data. "
        "↑ higher is better, ↓ lower is better. The baseline is the answer that needs no model."
    )


def interval(value: Any) -> str:
    if not isinstance(value, dict):
        return words.number(value) if isinstance(value, int | float) else "–"
    ends = f"  ({words.number(value['low'])} to {words.number(value['high'])})" if value.get("low") is not None else ""
    return f"{words.number(value.get('value'))}{ends}"


def pictures(gateway: Gateway, model: Document, version: Document) -> None:
    bins = (version.get("metrics") or {}).get("calibration") or []
    left, right = st.columns(2, gap="large")
    shown = 0
    if bins:
        with left:
            st.markdown("**Calibration**")
            look.show(
                charts.calibration(bins),
                "Calibration: given probability against the share that came true, in groups of the hold-out.",
                f"calibration {version['version']}",
            )
        shown += 1
    try:
        whole = gateway.version(model["name"], version["version"])
    except NotOffered:
        whole = {}
    metrics = whole.get("metrics") or version.get("metrics") or {}
    curves = whole.get("curves") or metrics.get("curves") or {}
    if curves.get("roc"):
        with (left, right)[shown % 2]:
            st.markdown("**ROC curve**")
            points = curves["roc"]
            figure = charts.line([one["false_alarms"] for one in points], [one["found"] for one in points], ("False alarms", "Positives found"), diagonal=True)
            look.show(figure, "ROC curve on the hold-out.", f"roc {version['version']}")
        shown += 1
    if curves.get("errors"):
        with (left, right)[shown % 2]:
            st.markdown("**Errors**")
            look.show(charts.errors(curves["errors"]), "How far forecasts were off on the hold-out, beside the baseline.", f"errors {version['version']}")
        shown += 1
    important = (whole.get("importance") or metrics.get("importance") or [])[:12]
    if important:
        with (left, right)[shown % 2]:
            st.markdown("**Importance**")
            names = [short(str(one.get("title") or one["feature"])) for one in important]
            figure = charts.bars(names, [float(one["loss"]) for one in important], "Loss of quality when it is shuffled")
            look.show(figure, f"Importance, the largest first: {', '.join(names[:5])}.", f"importance {version['version']}")
        shown += 1
    if not shown:
        notices.nothing("The evaluation of this version has no curves.", ":material/show_chart:")


def short(text: str) -> str:
    return text if len(text) <= 34 else f"{text[:33]}…"


def by_group(version: Document) -> None:
    """The same figures for parts of the hold-out: a model that is good for all may be bad for some."""
    found = (version.get("metrics") or {}).get("groups") or {}
    if not found:
        notices.nothing("This model's evaluation knows no groups.", ":material/groups:")
        return
    names = [name for name in IMPORTANT if all(name in figures for figures in found.values())][:4] or list(next(iter(found.values())))[:4]
    rows = [{"group": group} | {name: interval(figures.get(name)) for name in names} for group, figures in found.items()]
    st.dataframe(rows, hide_index=True, column_config={"group": "Group"} | {name: words.metric(name) for name in names}, alt="Figures by group")
    st.caption("Figures of each group of the hold-out, with 95 % intervals: small groups have wide ones.")


def rules(version: Document) -> None:
    verdict = version.get("verdict")
    if not verdict:
        notices.nothing("The gate has not judged this version yet.", ":material/gavel:")
        return
    if verdict.get("passed"):
        st.success("The gate lets this version serve.", icon=":material/gavel:")
    else:
        st.error("The gate does not let this version serve; an engineer may insist.", icon=":material/gavel:")
    st.markdown("\n".join(f"- {':green[:material/check:]' if one['passed'] else ':red[:material/close:]'} {one['words']}" for one in verdict.get("rules", [])))


def report(gateway: Gateway, model: Document, version: Document) -> None:
    with st.popover("Report", icon=":material/picture_as_pdf:"):
        st.caption("The card of this version: data, figures, curves, limits.")
        if st.button("Make the PDF", key=f"report {version['version']}"):
            with notices.told("making the report", retry=False), st.spinner("The report is made…"):
                content = gateway.version_report(model["name"], version["version"])
                st.download_button(
                    "Download PDF",
                    content,
                    f"{model['name']}-{version['version']}.pdf",
                    "application/pdf",
                    icon=":material/download:",
                    type="primary",
                    on_click="ignore",
                )


def promote(gateway: Gateway, model: Document, version: Document) -> None:
    if version.get("champion") or not person.may("engineer"):
        return
    with st.popover("Promote", icon=":material/rocket_launch:", type="primary"):
        passed = bool((version.get("verdict") or {}).get("passed"))
        st.markdown(f"Version {version['version']} serves within about a second; no request is lost.")
        with st.form(f"promote {version['version']}", border=False):
            reason = st.text_input("Reason", max_chars=500, placeholder="why this version")
            force = False if passed else st.checkbox("Insist, although the gate said no", help="The ledger keeps the verdict beside your name.")
            sent = st.form_submit_button("Promote now", icon=":material/rocket_launch:", type="primary")
        if sent:
            try:
                done = gateway.promote(model["name"], version["version"], reason.strip(), force)
            except GatewayError as error:
                notices.show(error, "promoting", retry=False, titles={"reason": "Reason"})
                return
            notices.after(f"Version {version['version']} of {model['title']} serves. {ledger_panel.followed(done)}")
            st.rerun()
