"""Who looks at this page. Nothing here is cached across people."""

import time

import streamlit as st

from frontend import navigation, notices
from frontend.gateway_client import Gateway
from frontend.problems import GatewayError, SessionOver
from frontend.sessions import COOKIE, SESSIONS, Session

SESSION = "session"
ASKED = "role asked at"
ROLE_SECONDS = 5.0


def session() -> Session:
    """Ends the run with a way to log in when there is none."""
    if SESSION not in st.session_state:
        st.session_state[SESSION] = (st.context.cookies.get(COOKIE) or "").partition(".")[0]
    found = SESSIONS.get(st.session_state[SESSION])
    if found is None:
        notices.session_over()
    return found


def gateway() -> Gateway:
    return Gateway(session())


def role() -> str:
    """As the gateway has it now. While it is away the last one counts: it decides what is shown, not what is allowed."""
    person = session()
    if time.monotonic() - st.session_state.get(ASKED, -ROLE_SECONDS) >= ROLE_SECONDS:
        try:
            person.role = str(Gateway(person).me()["role"])
        except SessionOver:
            SESSIONS.forget(person.id)
            notices.session_over()
        except GatewayError:
            pass
        st.session_state[ASKED] = time.monotonic()
    return person.role


def may(least: str) -> bool:
    return navigation.may(session().role, least)


def page(name: str) -> Gateway:
    """What every page begins with: its heading, and the gateway as this person. Ends the run of somebody whom it is not for."""
    entry = navigation.entry(name)
    if not may(entry.role):
        st.error(f"This page is for the role {entry.role} or a higher one; you are {session().role}. An administrator can change that.", icon=":material/lock:")
        st.stop()
    st.title(entry.title, anchor=False)
    st.caption(entry.words)
    return gateway()
