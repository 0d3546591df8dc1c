"""How trouble is told: what happened, what it means, what to do. Never a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import streamlit as st

from frontend.problems import Away, FieldProblem, GatewayError, NotOffered, SessionOver
from frontend.settings import settings


def session_over() -> NoReturn:
    st.warning(
        "You are not logged in, or your session has ended. What you had typed on this page is lost; everything that was answered is kept.",
        icon=":material/lock_clock:",
    )
    st.html(f'<a href="{settings().base_path}/auth/login" target="_self" style="color:inherit;font-weight:600">Log in again</a>')
    st.stop()
    raise AssertionError


@contextmanager
def told(doing: str, *, retry: bool = True, titles: dict[str, str] | None = None) -> Iterator[None]:
    """Shows what went wrong while `doing` ("listing the models") in place of the rest of the block. `titles` has the words for names of fields."""
    try:
        yield
    except SessionOver:
        session_over()
    except GatewayError as error:
        show(error, doing, retry=retry, titles=titles)


def show(error: GatewayError, doing: str, *, retry: bool = True, titles: dict[str, str] | None = None) -> None:
    if isinstance(error, NotOffered):
        st.info(
            f"This part is not offered by the gateway of this platform ({doing}). It appears here as soon as the gateway has it.",
            icon=":material/extension_off:",
        )
        return
    number = f"  \n:small[Request {error.request_id}]" if error.request_id else ""
    if isinstance(error, Away):
        st.warning(f"**{_capital(doing)} does not work at the moment.** {error.words} Nothing is lost; try again shortly.{number}", icon=":material/cloud_off:")
        if retry:
            st.button("Try again", key=f"retry {doing}", icon=":material/refresh:")
        return
    listed = "".join(f"\n- {_rule(one, titles or {})}" for one in error.errors[:12])
    more = f"\n- and {len(error.errors) - 12} more" if len(error.errors) > 12 else ""
    words = "Please correct this:" if listed and error.status == 422 else error.words
    st.error(f"{words}{listed}{more}{number}", icon=":material/error:")


def _rule(problem: FieldProblem, titles: dict[str, str]) -> str:
    given = "" if problem.value is None else f" (given: {str(problem.value)[:60]})"
    return f"**{titles.get(problem.field.split('.')[0], problem.field)}**: {problem.rule}{given}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def nothing(words: str, icon: str = ":material/inbox:") -> None:
    """An empty state: says what would be here and what to do about it."""
    with st.container(border=True):
        st.markdown(f"{icon}  {words}")


KEPT = "said after rerun"


def after(words: str, icon: str = ":material/check_circle:") -> None:
    """Says it on the run that follows, where `st.rerun` would wipe it away."""
    st.session_state[KEPT] = (words, icon)


def say_kept() -> None:
    if KEPT in st.session_state:
        words, icon = st.session_state.pop(KEPT)
        st.toast(words, icon=icon)
