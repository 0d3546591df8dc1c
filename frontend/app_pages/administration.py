"""Accounts: roles, shutting out, removing."""

import streamlit as st

from frontend import navigation, notices, person, tables, words
from frontend.gateway_client import Document, Gateway
from frontend.problems import GatewayError

MOST_PAGES = 25


def everybody(gateway: Gateway) -> list[Document]:
    found: list[Document] = []
    cursor = ""
    for _ in range(MOST_PAGES):
        page = gateway.users(cursor)
        found += page["users"]
        cursor = page["next"] or ""
        if not cursor:
            break
    return found


def table(accounts: list[Document]) -> Document | None:
    rows = [
        {"username": one["username"], "role": one["role"], "state": "may log in" if one["active"] else "shut out", "since": words.wall(one["created_at"])}
        for one in accounts
    ]
    columns = {
        "username": "User name",
        "role": "Role",
        "state": "State",
        "since": st.column_config.DatetimeColumn("Since", format="localized"),
    }
    return tables.chosen(accounts, rows, key="users", alt="Accounts; choose one to change it", columns=columns)


def change(gateway: Gateway, account: Document) -> None:
    name = account["username"]
    own = name == person.session().username
    with st.container(border=True):
        st.markdown(f"### {name}")
        if own:
            st.caption("This is you. Of the last administrator, neither the role nor the account can be taken away.")
        left, middle, right = st.columns(3, gap="large")
        with left, st.form(f"role of {name}", border=False):
            role = st.selectbox("Role", navigation.ROLES, index=navigation.ROLES.index(account["role"]))
            if st.form_submit_button("Change role", icon=":material/badge:") and done(
                "changing the role", lambda: gateway.set_role(name, role), f"{name} is {role} now."
            ):
                st.rerun()
        with middle:
            st.markdown("**Access**" + ("" if account["active"] else " – shut out"))
            if account["active"]:
                if st.button("Shut out", icon=":material/block:", help="At once, also in sessions that are open. The account stays.") and done(
                    "shutting out", lambda: gateway.set_active(name, False), f"{name} is shut out."
                ):
                    st.rerun()
            elif st.button("Let in again", icon=":material/lock_open:", type="primary") and done(
                "letting in", lambda: gateway.set_active(name, True), f"{name} may log in again."
            ):
                st.rerun()
        with right:
            st.markdown("**Remove**")
            sure = st.text_input("Type the user name to remove the account", key=f"sure {name}", placeholder=name)
            if st.button(
                "Remove account", icon=":material/delete:", disabled=sure != name, help="Sessions and keys end at once; predictions keep the name."
            ) and done("removing the account", lambda: gateway.remove_user(name), f"{name} is removed."):
                st.rerun()


def done(doing: str, act: object, said: str) -> bool:
    try:
        act()  # type: ignore[operator]
    except GatewayError as error:
        notices.show(error, doing, retry=False)
        return False
    notices.after(said)
    return True


gateway = person.page("administration")
with notices.told("listing the accounts"):
    accounts = everybody(gateway)
    first, second, third = st.columns(3)
    first.metric("Accounts", len(accounts), border=True)
    second.metric("May log in", sum(one["active"] for one in accounts), border=True)
    third.metric("Administrators", sum(one["role"] == "admin" and one["active"] for one in accounts), border=True)
    if st.button("Create a user", icon=":material/person_add:"):
        st.switch_page("app_pages/create_user.py")
    account = table(accounts)
    if account:
        change(gateway, account)
    else:
        st.caption("Choose an account in the first column to change it.")
