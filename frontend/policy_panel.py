"""The decision policy: what its threshold costs, what another one would, and changing it."""

import streamlit as st

from frontend import contracts, ledger_panel, notices, person, policies, words
from frontend.charts import look
from frontend.charts import model as charts
from frontend.gateway_client import Document, Gateway
from frontend.problems import GatewayError

LATEST = 500


def show(gateway: Gateway, model: Document) -> None:
    policy = model["policy"]
    costs, levels = policy["costs"], policy["risk_levels"]
    first, second, third, fourth = st.columns(4)
    first.metric("Policy", policy["version"], border=True)
    second.metric("Threshold", words.percent(policy["threshold"]), border=True)
    third.metric("A missed case costs", words.number(costs["missed_positive"]), border=True)
    fourth.metric("A false alarm costs", words.number(costs["false_alarm"]), border=True)
    contract = contracts.all_of(gateway).get(model["name"])
    negative, positive = contract.decisions if contract else ("negative", "positive")
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.markdown("**Try another threshold**")
        tried = (
            st.slider(
                "Threshold", 0.5, 99.5, round(policy["threshold"] * 100, 1), step=0.1, format="%.1f %%", key=f"threshold {model['name']} {policy['version']}"
            )
            / 100
        )
        missed = st.number_input(
            "Cost of a missed case",
            min_value=0.0,
            value=float(costs["missed_positive"]),
            step=1.0,
            format="%g",
            key=f"missed {model['name']} {policy['version']}",
            help=f"Of saying “{negative}” where “{positive}” would have been right.",
        )
        alarm = st.number_input(
            "Cost of a false alarm",
            min_value=0.0,
            value=float(costs["false_alarm"]),
            step=1.0,
            format="%g",
            key=f"alarm {model['name']} {policy['version']}",
            help=f"Of saying “{positive}” where “{negative}” would have been right.",
        )
    weights = {"missed_positive": missed, "false_alarm": alarm}
    with right:
        measured(gateway, model, tried, weights, (negative, positive))
        lately(gateway, model, tried, negative, positive)
    if person.may("engineer"):
        change(gateway, model, tried, weights, levels)


def measured(gateway: Gateway, model: Document, tried: float, weights: dict[str, float], decisions: tuple[str, str]) -> None:
    """What the threshold does to the hold-out of the version that serves."""
    now, metrics = float(model["policy"]["threshold"]), model.get("metrics") or {}
    champion = next((one for one in gateway.versions(model["name"]) if one.get("champion")), {})
    points = policies.sampled((champion.get("metrics") or {}), (champion.get("policy") or model["policy"])["costs"])
    groups = policies.groups(metrics)
    if points:
        listed = policies.weighed(points, weights)
        chosen, before = policies.at(listed, tried), policies.at(listed, now)
        said = f"On the hold-out of version {champion['version']}, which has not learned from it."
    elif groups:
        listed = policies.curve(groups, weights)
        chosen, before = policies.effect(groups, tried, weights), policies.effect(groups, now, weights)
        said = f"From {len(groups)} groups of the champion's {sum(group.rows for group in groups):,} hold-out rows: between two groups nothing changes."
    else:
        return
    one, two, three = st.columns(3)
    one.metric(decisions[0].capitalize(), words.percent(1 - chosen.flagged))
    two.metric(decisions[1].capitalize(), words.percent(chosen.flagged))
    three.metric("Cost per case", words.number(chosen.cost, 3), delta(chosen.cost, before.cost), delta_color="inverse")
    told = f"Cost per case by threshold; {words.number(chosen.cost, 3)} at {words.percent(tried)}."
    look.show(charts.curve(listed, chosen, now, steps=not points), told, f"cost {model['name']}")
    st.caption(said)


def delta(cost: float, now: float) -> str | None:
    return f"{cost - now:+.3g} against now" if abs(cost - now) > 0.002 * now else None  # less is the slider's rounding


def lately(gateway: Gateway, model: Document, threshold: float, negative: str, positive: str) -> None:
    """What the threshold would have done to the latest answers; their outcome is another question."""
    if not person.may("analyst"):
        return
    scores = sorted(float(one["score"]) for one in gateway.history(model=model["name"], limit=LATEST)["predictions"] if one["score"] is not None)
    if scores:
        share = policies.share_at(scores, threshold)
        st.markdown(
            f"Of the latest {len(scores)} predictions it would say **{positive}** to {words.percent(share)} and **{negative}** to {words.percent(1 - share)}."
        )


def change(gateway: Gateway, model: Document, threshold: float, costs: dict[str, float], levels: Document) -> None:
    with st.expander("Make it the policy", icon=":material/edit:"), st.form(f"policy {model['name']}", border=False):
        left, right = st.columns(2)
        medium = left.number_input("Medium risk from … times the threshold", min_value=0.0, value=float(levels["medium"]), step=0.1, format="%g")
        high = right.number_input("High risk from … times the threshold", min_value=0.0, value=float(levels["high"]), step=0.1, format="%g")
        reason = st.text_input("Reason", max_chars=500, placeholder="why the policy changes; the ledger keeps it")
        sent = st.form_submit_button(f"Use a threshold of {words.percent(threshold)} and these costs", icon=":material/check:", type="primary")
        if not sent:
            return
        try:
            done = gateway.set_policy(model["name"], reason.strip(), threshold=threshold, costs=costs, risk_levels={"medium": medium, "high": high})
        except GatewayError as error:
            notices.show(error, "changing the policy", retry=False, titles={"reason": "Reason", "costs": "Costs", "risk_levels": "Risk levels"})
            return
        notices.after(f"{model['title']} decides by the new policy. {ledger_panel.followed(done)}")
        st.rerun()
