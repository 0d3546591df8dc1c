"""Forecasts of an asset: the next one, and the past ones against what came."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from frontend import notices, words
from frontend.charts import look, market
from frontend.gateway_client import Document, Gateway
from frontend.problems import GatewayError

PAST = 200
NUMBERS = ("prediction", "naive", "lower_80", "upper_80", "lower_95", "upper_95", "actual")


def frame(listed: list[Document]) -> pd.DataFrame:
    """By the time that each is for, rising; of several for the same candle the newest."""
    table = pd.DataFrame(listed, columns=["forecast_for", "created_at", "model_version", *NUMBERS])
    for name in NUMBERS:
        table[name] = pd.to_numeric(table[name])
    table = table.sort_values(["forecast_for", "created_at"]).drop_duplicates("forecast_for", keep="last")
    table["time"] = pd.to_datetime(table["forecast_for"], unit="s", utc=True).dt.tz_convert(words.zone().key).dt.tz_localize(None)
    return table.reset_index(drop=True)


def newest(gateway: Gateway, symbol: str, interval: int) -> pd.DataFrame | None:
    """The last few, for the picture of the candles; the picture is good without them too."""
    try:
        table = frame(gateway.forecasts(symbol, interval, 20)["forecasts"])
    except GatewayError:
        return None
    return table[table["actual"].isna()].dropna(subset=["lower_80", "upper_80", "lower_95", "upper_95"])


def ask(gateway: Gateway, symbol: str, interval: int) -> None:
    st.subheader("Forecast", anchor=False)
    key = f"forecast {symbol} {interval}"
    if st.button("Forecast the next candle", icon=":material/online_prediction:", type="primary"):
        try:
            with st.spinner("The model answers…"):
                st.session_state[key] = gateway.forecast(symbol, interval)
        except GatewayError as error:
            notices.show(error, "asking for a forecast", retry=False)
            return
        st.rerun()  # the candles above show it too
    answer = st.session_state.get(key)
    if not answer:
        st.caption("Asks the model with the newest candles that are kept. Like every prediction it is recorded.")
        return
    told(answer)


def told(answer: Mapping[str, Any]) -> None:
    value, naive = float(answer["prediction"]), float(answer["naive"])
    first, second, third, fourth = st.columns(4)
    first.metric("Close expected", words.number(value, 8), f"{value - naive:+.4g} against the last close", border=True)
    second.metric("Of the candle at", words.moment(answer["forecast_for"]), border=True)
    third.metric("80 % band", band(answer, 80), border=True)
    fourth.metric("95 % band", band(answer, 95), border=True)
    st.caption(f"Version {answer['model_version']} · prediction `{answer['prediction_id']}` · usual error {words.number(float(answer['typical_move']), 4)}")


def band(answer: Mapping[str, Any], level: int) -> str:
    low, high = answer.get(f"lower_{level}"), answer.get(f"upper_{level}")
    return "–" if low is None or high is None else f"{words.number(float(low), 6)} – {words.number(float(high), 6)}"


def past(gateway: Gateway, symbol: str, interval: int) -> None:
    st.subheader("Past forecasts against what came", anchor=False)
    with notices.told("reading past forecasts"):
        found = gateway.forecasts(symbol, interval, PAST)
        table = frame(found["forecasts"])
        known = table[table["actual"].notna()]
        coverage = found.get("coverage")
        if coverage:
            first, second, third, fourth = st.columns(4)
            first.metric(
                "Within the 80 % band",
                words.percent(coverage["within_80"]),
                border=True,
                help=f"Of {coverage['n']} forecasts whose candle has come; 80 % are promised.",
            )
            second.metric("Within the 95 % band", words.percent(coverage["within_95"]), border=True, help="95 % are promised.")
            third.metric("Mean absolute error", words.number(float(coverage["mae"]), 5), border=True)
            fourth.metric("Of the naive forecast", words.number(float(coverage["naive_mae"]), 5), border=True, help="Which says that nothing changes.")
        if known.empty:
            notices.nothing(
                "No forecast of this asset has met its candle yet. Ask for one, and look again when the candle has closed.", ":material/query_stats:"
            )
            return
        look.show(market.against_truth(known), f"{len(known)} past forecasts with bands, and what came.", "past forecasts", zoom=True)
        if coverage and coverage["n"] < 30:
            st.caption(f"Only {coverage['n']} forecasts have met their candle: shares of so few say little.")
