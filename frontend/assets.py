"""Which assets are followed; administrators decide."""

import streamlit as st

from frontend import notices
from frontend.gateway_client import Document, Gateway
from frontend.problems import GatewayError


def manage(gateway: Gateway, listed: list[Document]) -> None:
    with st.container(horizontal=True):
        with st.popover("Add an asset", icon=":material/add:"):
            add(gateway, {one["symbol"] for one in listed})
        if listed:
            with st.popover("Remove an asset", icon=":material/delete:"):
                remove(gateway, listed)


def add(gateway: Gateway, there: set[str]) -> None:
    search = st.text_input("What Kraken offers", placeholder="BTC, ETH, USD …", key="asset search")
    try:
        found = gateway.offered_assets(search.strip())
    except GatewayError as error:
        notices.show(error, "asking what Kraken offers", retry=False)
        return
    names = {one["symbol"]: one["wsname"] for one in found["pairs"] if one["symbol"] not in there}
    if not names:
        st.caption("Nothing that is not followed already matches.")
        return
    with st.form("add asset", border=False):
        symbol = st.selectbox("Pair", list(names), format_func=lambda one: f"{names[one]}  ({one})")
        sent = st.form_submit_button("Add", icon=":material/add:", type="primary")
    if sent:
        try:
            made = gateway.add_asset(symbol)
        except GatewayError as error:
            notices.show(error, "adding the asset", retry=False, titles={"symbol": "Pair"})
            return
        notices.after(f"{made['symbol']} is followed; older candles are being fetched.")
        st.rerun()


def remove(gateway: Gateway, listed: list[Document]) -> None:
    by_symbol = {one["symbol"]: one for one in listed}
    symbol = st.selectbox("Asset", list(by_symbol), key="asset to remove")
    sure = st.checkbox(f"Its candles go too: {sum(one['candles'] for one in by_symbol[symbol]['intervals']):,} of them", key="asset sure")
    if st.button("Remove", icon=":material/delete:", disabled=not sure, type="primary"):
        try:
            gateway.remove_asset(by_symbol[symbol]["id"])
        except GatewayError as error:
            notices.show(error, "removing the asset", retry=False)
            return
        notices.after(f"{symbol} is no longer followed.")
        st.rerun()
