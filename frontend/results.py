"""What a batch has come to: figures, pictures, rows that failed, files to hand on."""

import streamlit as st

from frontend import answers, notices, words
from frontend.charts import look, many
from frontend.contracts import Contract
from frontend.csv_batch import BatchResult
from frontend.gateway_client import Gateway

MOST_SHOWN = 1000


def show(gateway: Gateway, contract: Contract, result: BatchResult) -> None:
    good, failed = result.good, result.failed
    st.subheader(f"Answers for {result.name}", anchor=False)
    first, second, third = st.columns(3)
    first.metric("Answered", f"{len(good):,}", border=True)
    second.metric("Not answered", f"{len(failed):,}", border=True)
    if contract.classifies and len(good):
        positive = contract.decisions[1]
        third.metric(f"“{positive}”", f"{(good['decision'] == positive).mean():.1%}", border=True)
    elif len(good):
        third.metric("Mean", words.number(float(good["prediction"].mean()), 6), border=True)
    if len(good):
        pictures(gateway, contract, result)
    if len(failed):
        st.markdown("**Rows that were not answered**")
        rows = [{"row": position + 1, "error": text} for position, text in zip(failed.index.tolist(), failed["error"].tolist(), strict=True)][:MOST_SHOWN]
        st.dataframe(
            rows,
            hide_index=True,
            column_config={
                "row": st.column_config.NumberColumn("Row", width="small", help="Without the header"),
                "error": st.column_config.TextColumn("What is wrong", width="large"),
            },
            height=words.tall(len(rows)),
            alt="Rows that failed, with their errors",
        )
    files(gateway, result)
    st.markdown("**Rows**")
    first_columns = [column for column in result.answered if column in ("decision", "probability", "risk_level", "prediction")]
    others = [column for column in result.table.columns if column not in first_columns]
    st.dataframe(result.table[[*first_columns, *others]].head(MOST_SHOWN), hide_index=True, height=320, alt="Questions and answers")
    if len(result.table) > MOST_SHOWN:
        st.caption(f"The first {MOST_SHOWN:,} rows; the file has all.")


def pictures(gateway: Gateway, contract: Contract, result: BatchResult) -> None:
    good = result.good
    if not contract.classifies:
        look.show(many.scores(good["prediction"].tolist(), "Forecast", percent=False), "Histogram of the forecasts.", "batch forecasts")
        return
    negative, positive = contract.decisions
    counts = {name: int((good["decision"] == name).sum()) for name in (negative, positive)}
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Decisions**")
        look.show(many.decisions(counts, positive), f"{negative}: {counts[negative]}, {positive}: {counts[positive]}.", "batch decisions")
    with right:
        st.markdown("**Probabilities**")
        threshold = answers.threshold_of(gateway, contract.model)
        look.show(
            many.scores(good["probability"].tolist(), f"Probability of “{positive}”", threshold=threshold),
            "Histogram of the probabilities.",
            "batch probabilities",
        )


def files(gateway: Gateway, result: BatchResult) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        stem = result.name.removesuffix(".csv")
        st.download_button(
            "Download CSV", result.table.to_csv(index=False), f"{stem}-answers.csv", "text/csv", icon=":material/download:", type="primary", on_click="ignore"
        )
        if result.batch:
            if st.button("Make the PDF", icon=":material/picture_as_pdf:"):
                with notices.told("making the report", retry=False), st.spinner("The report is made…"):
                    st.download_button(
                        "Download PDF",
                        gateway.batch_report(result.batch),
                        f"{stem}-report.pdf",
                        "application/pdf",
                        icon=":material/download:",
                        on_click="ignore",
                    )
            st.page_link("app_pages/history.py", label="These rows in the history", icon=":material/history:", query_params={"batch": result.batch})
