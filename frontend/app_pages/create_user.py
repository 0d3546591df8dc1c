"""An account for somebody."""

import secrets

import streamlit as st

from frontend import navigation, notices, person
from frontend.gateway_client import Gateway

MADE = "account made"
MEANS = {
    "viewer": "reads everything but others' predictions, and asks for single ones",
    "analyst": "also batches, reasons, outcomes, exports, and everybody's history",
    "engineer": "also trains, promotes, rolls back and changes policies",
    "admin": "also accounts and crypto assets",
}


def form(gateway: Gateway) -> None:
    with st.form("create user"):
        username = st.text_input("User name", max_chars=63, help="Small letters, digits, dot, hyphen and underscore; 2 to 63 of them.")
        role = st.radio("Role", navigation.ROLES, captions=[MEANS[role] for role in navigation.ROLES])
        password = st.text_input("First password", type="password", autocomplete="new-password", help="At least 12 characters. Leave it empty and one is made.")
        sent = st.form_submit_button("Create user", icon=":material/person_add:", type="primary")
    if not sent:
        return
    st.session_state.pop(MADE, None)
    chosen = password or secrets.token_urlsafe(15)
    with notices.told("making the account", retry=False, titles={"username": "User name", "password": "First password"}):
        made = gateway.sign_up(username.strip(), chosen, role)
        st.session_state[MADE] = (made["username"], made["role"], None if password else chosen)


def told() -> None:
    if MADE not in st.session_state:
        notices.nothing("Who gets the account should change the password on the page **Account** at the first log-in.", ":material/info:")
        return
    username, role, password = st.session_state[MADE]
    with st.container(border=True):
        st.markdown(f":material/check_circle: **{username}** has an account with the role **{role}**.")
        if password:
            st.markdown("Hand over this password; it is shown this once.")
            st.code(password, language=None)
        st.page_link("app_pages/administration.py", label="All accounts", icon=":material/manage_accounts:")


gateway = person.page("create_user")
left, right = st.columns([3, 2], gap="large")
with left:
    form(gateway)
with right:
    told()
