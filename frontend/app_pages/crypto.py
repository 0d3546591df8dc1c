"""Prices, the forecast for the next candle, and how good the last ones were."""

import time

import streamlit as st

from frontend import assets, forecasts, notices, person, words
from frontend.charts import look, market
from frontend.gateway_client import Document, Gateway

INTERVALS = {60: "1 hour", 1440: "1 day"}
SPANS = {"2 days": 2, "1 week": 7, "1 month": 30, "3 months": 90, "1 year": 365, "all": 0}
MOST = 2000
STALE_CANDLES = 2
FETCHING = ("waiting", "running")


def price(gateway: Gateway, asset: Document) -> None:
    first, second, third = st.columns(3)
    first.metric(
        asset.get("wsname") or asset["symbol"], words.number(float(asset["price"]), 8) if asset.get("price") else "–", help=f"In {asset['quote']}.", border=True
    )
    second.metric("Price seen", words.ago(asset.get("price_at")), border=True, help="When this price was seen.")
    third.metric("Candles kept", f"{sum(one['candles'] for one in asset['intervals']):,}", border=True)
    state = asset["backfill"]["state"]
    if state in FETCHING:
        fetching(gateway, asset["symbol"], sum(one["candles"] for one in asset["intervals"]))
    elif state == "failed":
        st.warning(f"Older candles could not be fetched: {asset['backfill'].get('error')}", icon=":material/cloud_off:")


@st.fragment(run_every="2s")
def fetching(gateway: Gateway, symbol: str, drawn: int) -> None:
    """Looks again by itself; with more candles than the page has `drawn`, or no more to come, the page is drawn anew."""
    with notices.told("looking how far the back-fill is"):
        asset = next((one for one in gateway.assets() if one["symbol"] == symbol), None)
        there = sum(one["candles"] for one in asset["intervals"]) if asset else drawn
        if asset is None or asset["backfill"]["state"] not in FETCHING or there > drawn:
            st.rerun()
        total, done = asset["backfill"].get("total") or 0, asset["backfill"].get("done") or 0
        text = f"Older candles are being fetched: {done:,} of {total:,}." if total else "Older candles are about to be fetched."
        st.progress(min(1.0, done / total) if total else 0.0, text=text)


def stale(asset: Document, interval: int, seconds: float | None) -> None:
    if seconds is not None and seconds > STALE_CANDLES * interval * 60:
        st.warning(
            f"The newest candle is {words.span(seconds)} old: the exchange has not been reached since. Everything here is that old.", icon=":material/schedule:"
        )
    gaps = sum(one["gaps"] for one in asset["intervals"] if one["interval"] == interval)
    if gaps:
        st.caption(f"{gaps} gap{'s' if gaps != 1 else ''} in the candles: the exchange had no trade then, or they are still being fetched.")


def chart(gateway: Gateway, asset: Document) -> None:
    first, second, third = st.columns([2, 4, 4], vertical_alignment="bottom")
    interval = first.segmented_control("Candles of", list(INTERVALS), default=60, format_func=INTERVALS.__getitem__, key="crypto interval", required=True) or 60
    span = second.segmented_control(
        "Back",
        [name for name, days in SPANS.items() if (interval == 60) == (name in ("2 days", "1 week", "1 month")) or name in ("1 month", "3 months")],
        default="1 week" if interval == 60 else "3 months",
        key=f"crypto span {interval}",
        required=True,
    )
    wanted = third.multiselect("Indicators", market.INDICATORS, default=["Average of 20"], key="crypto indicators")
    days = SPANS[span or "1 month"]
    with notices.told("reading the candles"):
        found = gateway.candles(asset["symbol"], interval, int(time.time()) - days * 86400 if days else None, MOST)
        stale(asset, interval, found.get("stale_seconds"))
        if not found["candles"]:
            notices.nothing(
                "No candle is kept for these days yet. Older ones are fetched in the background; look again in a minute.", ":material/candlestick_chart:"
            )
            return
        table = market.frame(found["candles"], words.zone().key)
        coming = forecasts.newest(gateway, asset["symbol"], interval)
        begin, closed = words.moment(int(table.iloc[0]["timestamp"])), words.number(float(table.iloc[-1]["close"]), 8)
        said = f"Candles of {asset['symbol']}: {len(table)} from {begin} on; the last one closed at {closed}."
        look.show(market.candles(table, wanted, coming), said, "candles", zoom=True)
        forecasts.ask(gateway, asset["symbol"], interval)
        forecasts.past(gateway, asset["symbol"], interval)


gateway = person.page("crypto")
with notices.told("listing the assets"):
    listed = gateway.assets()
    if person.may("admin"):
        assets.manage(gateway, listed)
    if not listed:
        notices.nothing(
            "No asset is followed yet." + (" Add one with the button above." if person.may("admin") else " An administrator adds them here."),
            ":material/currency_bitcoin:",
        )
    else:
        by_symbol = {one["symbol"]: one for one in listed}
        chosen = st.pills(
            "Asset",
            list(by_symbol),
            default=listed[0]["symbol"],
            format_func=lambda symbol: by_symbol[symbol].get("wsname") or symbol,
            key="crypto asset",
            required=True,
        )
        asset = by_symbol[chosen or listed[0]["symbol"]]
        price(gateway, asset)
        chart(gateway, asset)
