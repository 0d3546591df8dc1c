"""The entry: which pages this person has."""

from pathlib import Path

import streamlit as st

from frontend import navigation, notices, person
from frontend.settings import settings

HERE = Path(__file__).parent

st.set_page_config(page_title="Modelyard", page_icon=str(HERE / "icon.png"), layout="wide")
st.logo(str(HERE / "logo.svg"), size="large", icon_image=str(HERE / "icon.png"))
sections: dict[str, list[st.Page]] = {}
for entry in navigation.visible(person.role()):
    page = st.Page(entry.file, title=entry.title, icon=entry.icon, url_path=entry.name, default=entry.name == "home")
    sections.setdefault(entry.section, []).append(page)
chosen = st.navigation(sections)
with st.sidebar:
    who = person.session()
    st.caption(f":material/account_circle: {who.username} · {who.role}")
    st.html(f'<a href="{settings().base_path}/auth/logout" target="_self" style="color:inherit;opacity:.8;font-size:.9rem">Log out</a>')
notices.say_kept()
chosen.run()
