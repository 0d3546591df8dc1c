"""The trial of a version beside the one that serves: how it does, and what follows."""

from typing import Any

import streamlit as st

from frontend import notices, person, words
from frontend.charts import look, rollout
from frontend.gateway_client import Document, Gateway
from frontend.problems import GatewayError

MOST_SEGMENTS = 12
MARKS = {"passed": ":green[:material/check:]", "waits": ":gray[:material/hourglass_empty:]", "harm": ":red[:material/close:]"}


def show(gateway: Gateway, model: Document) -> None:
    try:
        found = gateway.shadow(model["name"])
    except GatewayError as error:
        if error.status != 404:
            raise
        notices.nothing("No version is being tried. A version that the gate passed can be: it then scores what the champion has answered, and nobody waits.")
        begin(gateway, model)
        return
    trial = found["trial"]
    if trial is None:
        notices.nothing(f"No version is being tried now. This is the last report on version {found['version']}.", ":material/history:")
        begin(gateway, model)
    else:
        standing(found, trial)
    report = found["report"]
    if report is None:
        st.caption("The first report comes some seconds after the first rows.")
    else:
        compared(model, found, report)
    if trial is not None:
        rules(found["judgement"])
        if person.may("engineer"):
            decide(gateway, model, found["version"])


def standing(found: Document, trial: Document) -> None:
    first, second, third, fourth = st.columns(4)
    first.metric("Tried", f"version {found['version']}", border=True)
    second.metric("Since", words.moment(trial["since"]), border=True)
    third.metric("Answers", f"{trial['canary_percent']} % of the callers" if trial["canary_percent"] else "nobody", border=True)
    fourth.metric("Scored in the shadow", f"{found['scored']:,}", border=True)
    rows = [
        {
            "version": one["version"],
            "rows": one["rows"],
            "failed": one["failed"],
            "mean": one["mean_score"],
            "p50": (one["latency_ms"] or {}).get("p50"),
            "p99": (one["latency_ms"] or {}).get("p99"),
        }
        for one in found["live"]
    ]
    st.markdown("**Live, in the last ten minutes**")
    columns = {"version": "Version", "rows": "Answered rows", "failed": "Failed rows", "mean": "Mean score", "p50": "p50, ms", "p99": "p99, ms"}
    st.dataframe(rows, hide_index=True, column_config=columns, alt="What each of the two versions answered lately")


def compared(model: Document, found: Document, report: Document) -> None:
    st.caption(f"Report of {words.moment(found['made_at'])} on {report['rows']:,} rows that both versions scored.")
    flips, score, latency = report["flips"], report["score"], report["latency"]
    cost = report["cost"]["known"] or report["cost"]["expected"]
    first, second, third, fourth = st.columns(4)
    if flips:
        first.metric("Decided otherwise", words.percent(flips["share"]), help=f"95 % interval {words.percent(flips['low'])} to {words.percent(flips['high'])}")
    if cost:
        kind = "known" if report["cost"]["known"] else "expected"
        interval = f"95 % interval of the change {cost['low']:+.4g} to {cost['high']:+.4g}, from {cost['rows']:,} rows"
        change = f"{cost['difference']:+.3g} ({kind})"
        second.metric("Cost of a row", words.number(cost["challenger"]), change, delta_color="inverse", help=interval)
    if latency:
        third.metric("Time for a row", f"{latency['challenger_us']['p50']:.0f} µs", f"{latency['ratio']:.2f} times", delta_color="off", delta_arrow="off")
    fourth.metric("Failed rows", report["errors"]["rows"])
    if score:
        told = f"Mean score {words.number(score['champion_mean'])} of what serves, {words.number(score['challenger_mean'])} of what is tried."
        look.show(rollout.scores(score["bins"]), told, f"shadow scores {model['name']}")
        st.caption(f"{told} PSI {words.number(score['psi'], 3)}, largest distance of the two distributions (KS) {words.number(score['ks'], 3)}.")
    if flips and report["segments"]:
        segments = report["segments"][:MOST_SEGMENTS]
        first_one = segments[0]
        told = f"Most rows decided otherwise: {first_one['feature']} {first_one['segment']}, {words.percent(first_one['share'])}."
        look.show(rollout.flips(segments, flips), told, f"shadow flips {model['name']}")
        st.caption(f"{told} The dashed line is all rows.")


def rules(judgement: Document | None) -> None:
    if judgement is None:
        return
    words_of = {"promote": "may serve", "wait": "has not shown enough yet", "withdraw": "does harm"}
    st.markdown(f"**By the catalogue's rules it {words_of[judgement['verdict']]}**")
    st.markdown("\n".join(f"- {MARKS[one['state']]} {one['words']}" for one in judgement["rules"]))


def begin(gateway: Gateway, model: Document) -> None:
    if not person.may("engineer") or not model.get("champion"):
        return
    versions = [one["version"] for one in gateway.versions(model["name"]) if not one.get("champion") and (one.get("verdict") or {}).get("passed")]
    if not versions:
        return
    with st.form(f"try {model['name']}", border=True):
        version = st.selectbox("Version to try", versions)
        reason = st.text_input("Reason", max_chars=500, placeholder="why it is tried")
        sent = st.form_submit_button("Try it in the shadow", icon=":material/science:", type="primary")
    if sent:
        _do(lambda: gateway.challenge(model["name"], str(version), "shadow", reason.strip(), None), f"Version {version} is tried.")


def decide(gateway: Gateway, model: Document, version: str) -> None:
    with st.form(f"decide {model['name']}", border=True):
        reason = st.text_input("Reason", max_chars=500, placeholder="why it is promoted, withdrawn or widened")
        percent = st.slider("Share of the callers, as a canary", 1, 100, 10, format="%d %%")
        left, middle, right = st.columns(3)
        promote = left.form_submit_button("Promote it", icon=":material/rocket_launch:", type="primary")
        canary = middle.form_submit_button("Let it answer these callers", icon=":material/alt_route:")
        withdraw = right.form_submit_button("Withdraw it", icon=":material/undo:")
    why = reason.strip()
    if promote:
        _do(lambda: gateway.promote(model["name"], version, why, False), f"Version {version} serves.")
    elif canary:
        _do(lambda: gateway.challenge(model["name"], version, "canary", why, percent), f"Version {version} answers {percent} % of the callers.")
    elif withdraw:
        _do(lambda: gateway.withdraw(model["name"], why), f"Version {version} is no longer tried.")


def _do(change: Any, done: str) -> None:
    try:
        change()
    except GatewayError as error:
        notices.show(error, "deciding", retry=False, titles={"reason": "Reason"})
        return
    notices.after(done)
    st.rerun()
