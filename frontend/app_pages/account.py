"""The own account: password, API keys, session."""

import streamlit as st

from frontend import notices, person, words
from frontend.gateway_client import Gateway
from frontend.problems import GatewayError
from frontend.settings import settings

SHOWN = "key shown once"
MIN_PASSWORD = 12


def me(gateway: Gateway) -> None:
    with notices.told("reading your account"):
        own = gateway.me()
        first, second, third = st.columns(3)
        first.metric("User name", own["username"], border=True)
        second.metric(
            "Role",
            own["role"],
            border=True,
            help="viewer: read and predict. analyst: also batches, reasons, outcomes. engineer: also train and promote. admin: also users and assets.",
        )
        third.metric("Since", words.moment(own["created_at"]), border=True)


def password(gateway: Gateway) -> None:
    with st.form("password", clear_on_submit=True):
        current = st.text_input("Current password", type="password", autocomplete="current-password")
        new = st.text_input("New password", type="password", autocomplete="new-password", help=f"At least {MIN_PASSWORD} characters.")
        again = st.text_input("New password again", type="password", autocomplete="new-password")
        sent = st.form_submit_button("Change password", icon=":material/key:", type="primary")
    st.caption("Your other sessions end with it; API keys stay.")
    if not sent:
        return
    if len(new) < MIN_PASSWORD or new != again:
        st.error(
            f"The new password needs at least {MIN_PASSWORD} characters." if len(new) < MIN_PASSWORD else "The two new passwords differ.",
            icon=":material/error:",
        )
        return
    with notices.told("changing your password", retry=False):
        gateway.change_password(current, new)
        st.success("Your password is changed.", icon=":material/check_circle:")


def add_key(gateway: Gateway) -> None:
    with st.form("new key", clear_on_submit=True):
        left, right = st.columns([2, 1])
        name = left.text_input("What is the key for?", max_chars=80, placeholder="nightly scoring")
        days = right.number_input("Valid for days", min_value=1, max_value=3650, value=None, placeholder="no end", step=1)
        sent = st.form_submit_button("Make a key", icon=":material/add:", type="primary")
    if sent and not name.strip():
        st.error("Say what the key is for: you will want to know it when you look at the list.", icon=":material/error:")
    elif sent:
        with notices.told("making a key", retry=False):
            st.session_state[SHOWN] = gateway.add_api_key(name.strip(), None if days is None else int(days))
    if SHOWN in st.session_state:
        made = st.session_state[SHOWN]
        with st.container(border=True):
            st.markdown(f":material/key: **{made['name']}** – copy the key now. It is shown this once and cannot be looked up later.")
            st.code(made["key"], language=None)
            st.button("I have copied it", icon=":material/done:", on_click=lambda: st.session_state.pop(SHOWN))


def keys(gateway: Gateway) -> None:
    with notices.told("listing your keys"):
        listed = gateway.api_keys()
        if not listed:
            notices.nothing("You have no API key. A program that asks for predictions sends one as `X-API-Key`.", ":material/key_off:")
        for key in listed:
            with st.container(border=True):
                left, right = st.columns([5, 1], vertical_alignment="center")
                used = f"used {words.ago(key['last_used_at'])}" if key["last_used_at"] else "never used"
                ends = f"until {words.moment(key['expires_at'])}" if key["expires_at"] else "no end"
                left.markdown(f"**{key['name']}** `my_{key['prefix']}_…`  \n:small[made {words.moment(key['created_at'])} · {used} · {ends}]")
                right.button("Revoke", key=f"revoke {key['id']}", icon=":material/delete:", on_click=revoke, args=(gateway, key))


def revoke(gateway: Gateway, key: dict[str, str]) -> None:
    try:
        gateway.revoke_api_key(key["id"])
        notices.after(f"The key {key['name']} no longer works.")
    except GatewayError as error:
        notices.after(error.words, ":material/error:")


gateway = person.page("account")
me(gateway)
left, right = st.columns([2, 3], gap="large")
with left:
    st.subheader("Password", anchor=False)
    password(gateway)
    st.subheader("Session", anchor=False)
    st.markdown("Logging out ends this session everywhere at once.")
    st.html(f'<a href="{settings().base_path}/auth/logout" target="_self" style="color:inherit">Log out</a>')
with right:
    st.subheader("API keys", anchor=False)
    add_key(gateway)
    keys(gateway)
