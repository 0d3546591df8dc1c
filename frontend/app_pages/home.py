"""What state the platform is in, and what this person can do."""

import streamlit as st

from frontend import contracts, navigation, notices, person, words
from frontend.gateway_client import Document, Gateway

SIGNS = {
    "ok": (":material/check_circle:", "green", "Everything answers."),
    "degraded": (":material/warning:", "orange", "Something is away; the rest goes on."),
    "down": (":material/error:", "red", "The database is away."),
}
CARDS = 3


def state(gateway: Gateway) -> None:
    with notices.told("asking for the state of the platform"):
        health = gateway.health()
        icon, colour, said = SIGNS.get(str(health.get("status")), SIGNS["degraded"])
        away = [f"{name}: {part.get('words', '')}" for name, part in parts(health).items() if not part.get("ok")]
        st.markdown(f":{colour}[{icon} **{said}**]{'  ' + ' '.join(away) if away else ''}")


def parts(health: Document) -> dict[str, Document]:
    return {"Database": health.get("database", {}), "Control": health.get("control", {})} | {
        f"Runner of {name}": part for name, part in health.get("runners", {}).items()
    }


def models(gateway: Gateway) -> None:
    st.subheader("Models", anchor=False)
    with notices.told("listing the models"):
        listed = gateway.models()
        if not listed:
            notices.nothing("No model is in the catalogue yet.")
        for start in range(0, len(listed), CARDS):
            for column, model in zip(st.columns(CARDS), listed[start : start + CARDS], strict=False):
                with column, st.container(border=True, height="stretch"):
                    card(model)


def card(model: Document) -> None:
    st.markdown(f"**{model['title']}**")
    st.caption(model.get("summary", ""))
    champion = model.get("champion")
    if champion:
        st.markdown(f":green-badge[:material/check: version {champion['version']}] :small[since {words.moment(champion.get('since'))}]")
    else:
        st.markdown(":orange-badge[:material/hourglass_empty: not trained yet]")
    with st.container(horizontal=True):
        if st.button("Predict", key=f"predict {model['name']}", icon=":material/psychology:", type="primary"):
            st.switch_page("app_pages/predict.py", query_params={"model": model["name"]})
        if st.button("Versions", key=f"models {model['name']}", icon=":material/deployed_code:"):
            st.switch_page("app_pages/models.py", query_params={"model": model["name"]})


def recent(gateway: Gateway) -> None:
    st.subheader("Your latest predictions", anchor=False)
    with notices.told("reading your history"):
        found = gateway.history(username=person.session().username, limit=5)["predictions"]
        if not found:
            notices.nothing("You have not asked anything yet. Choose a model above, press **Predict**, and fill its form with the example.")
            return
        rows = [
            {
                "time": words.wall(one["created_at"]),
                "model": contracts.title(gateway, one["model"]),
                "answer": one.get("decision") or words.number(one.get("score"), 7),
                "probability": one.get("score") if one.get("decision") else None,
                "version": one["model_version"],
            }
            for one in found
        ]
        st.dataframe(
            rows,
            hide_index=True,
            placeholder="",
            column_config={
                "time": st.column_config.DatetimeColumn("Time", format="localized"),
                "model": "Model",
                "answer": "Answer",
                "probability": st.column_config.NumberColumn("Probability", format="percent"),
                "version": "Version",
            },
            alt="Your latest predictions",
        )


def tasks() -> None:
    st.subheader("What you can do here", anchor=False)
    listed = [entry for entry in navigation.visible(person.session().role) if entry.name != "home"]
    columns = st.columns(CARDS)
    for position, entry in enumerate(listed):
        with columns[position % CARDS]:
            st.page_link(entry.file, label=f"**{entry.title}**", icon=entry.icon)
            st.caption(entry.words)


gateway = person.page("home")
state(gateway)
models(gateway)
recent(gateway)
tasks()
