"""Many cases from a CSV: preview, answers, what went wrong in which row, a summary to hand on."""

import io

import pandas as pd
import streamlit as st

from frontend import contracts, csv_batch, notices, person, results, words
from frontend.contracts import Contract
from frontend.forms import Field
from frontend.gateway_client import Gateway
from frontend.problems import GatewayError

RESULT = "batch result"
SHOWN = 20


def choose(found: dict[str, Contract]) -> Contract:
    """Models that take a whole series per row come last: nobody has these in a CSV."""
    names = sorted(found, key=lambda name: found[name].feed)
    return found[
        st.segmented_control("Model", names, default=names[0], format_func=lambda name: found[name].title, key="batch model", required=True) or names[0]
    ]


def template(contract: Contract) -> None:
    with st.popover("What the file must look like", icon=":material/help:"):
        st.markdown("A CSV in UTF-8 with a header; one column per field. An empty cell is *not known*, where that is allowed.")
        rows = [{"column": field.name, "meaning": f"{field.title}. {field.help}", "values": values(field)} for field in contract.inputs]
        st.dataframe(rows, hide_index=True, column_config={"column": "Column", "meaning": "Meaning", "values": "Values"}, alt="Columns of the file")
        if contract.example:
            text = pd.DataFrame([{field.name: contract.example.get(field.name) for field in contract.inputs}]).to_csv(index=False)
            st.download_button("Download an example", text, f"{contract.model}.csv", "text/csv", icon=":material/download:", on_click="ignore")


def values(field: Field) -> str:
    if field.choices:
        return ", ".join(map(str, field.choices))
    if field.minimum is not None and field.maximum is not None:
        return f"{words.number(field.minimum, 8)} to {words.number(field.maximum, 8)}"
    return str(field.kind)


def preview(content: bytes, contract: Contract) -> bool:
    """Whether the file can be sent at all; the gateway has the last word about every row."""
    try:
        head = pd.read_csv(io.BytesIO(content), nrows=SHOWN)
    except (ValueError, UnicodeDecodeError) as error:
        st.error(f"This file cannot be read as CSV: {str(error)[:200]}", icon=":material/error:")
        return False
    known = {field.name for field in contract.inputs}
    missing = [field.name for field in contract.inputs if field.required and field.name not in head.columns]
    unknown = [str(name) for name in head.columns if name not in known]
    st.dataframe(head, hide_index=True, height=words.tall(len(head)), alt="The first rows of the file")
    rows = max(0, content.rstrip(b"\n").count(b"\n"))
    st.caption(f"The first {len(head)} of about {rows:,} rows.")
    if missing:
        st.error(f"Columns are missing: {', '.join(f'`{name}`' for name in missing)}.", icon=":material/view_column:")
    if unknown:
        st.error(f"The model does not know these columns; take them out: {', '.join(f'`{name}`' for name in unknown)}.", icon=":material/view_column:")
    return not missing and not unknown


def run(gateway: Gateway, contract: Contract, name: str, content: bytes) -> None:
    bar = st.progress(0.0, text="Sending…")

    def told(part: float, text: str) -> None:
        bar.progress(part, text=text)

    try:
        st.session_state[RESULT] = csv_batch.run(gateway, contract.model, name, content, told)
    except GatewayError as error:
        notices.show(error, "the batch", titles=contract.titles)
    finally:
        bar.empty()


gateway = person.page("batch")
with notices.told("reading what the models take"):
    found = contracts.all_of(gateway)
    if found:
        contract = choose(found)
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        file = left.file_uploader("CSV file", type=["csv"], key=f"file {contract.model}")
        with right:
            template(contract)
        if file:
            content = file.getvalue()
            if preview(content, contract) and st.button("Predict all rows", icon=":material/play_arrow:", type="primary"):
                st.session_state.pop(RESULT, None)
                run(gateway, contract, file.name, content)
        kept = st.session_state.get(RESULT)
        if kept and kept.model == contract.model:
            results.show(gateway, contract, kept)
        elif not file:
            notices.nothing("Choose a file above. The button beside it says what must be in it, and has an example.", ":material/upload_file:")
