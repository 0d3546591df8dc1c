"""What a stored answer stands on, whether it comes again, and its proof for an auditor."""

import streamlit as st

from frontend import notices, words
from frontend.gateway_client import Document, Gateway


def show(gateway: Gateway, prediction: str, key: str) -> None:
    found = gateway.lineage(prediction)
    version, policy = found["version"], found["policy"]
    verdict = version.get("verdict")
    gate = "not judged" if not verdict else "passed" if verdict["passed"] else "did not pass"
    lines = [
        f"Version **{version['version']}**, trained {words.moment(version['created_at'])} on {version['source']} data `{version['data_hash'][:16]}`",
        f"Code `{(found['code_revision'] or 'unknown')[:12]}` · files `{version['sha256'][:16]}` · gate **{gate}**",
        *_entry("In service", found["deployment"]),
    ]
    if policy:
        lines.append(f"Policy **{policy['version']}**, threshold {words.percent(policy['threshold'])}")
        lines += _entry("In force", found["policy_deployment"])
    st.markdown("  \n".join(lines))
    with st.container(horizontal=True):
        again = st.button("Answer it again", icon=":material/replay:", key=f"{key} again", help="The stored version and policy compute the stored input.")
        made = st.button("Make the proof", icon=":material/verified:", key=f"{key} proof", help="One file that an auditor checks without this platform.")
    if again:
        with notices.told("answering it again", retry=False), st.spinner("The version is fetched and answers…"):
            compare(gateway.reproduction(prediction))
    if made:
        with notices.told("making the proof", retry=False), st.spinner("The proof is made…"):
            content, name = gateway.proof(prediction), f"proof-{prediction}.zip"
            st.download_button("Download the proof", content, name, "application/zip", icon=":material/download:", type="primary", on_click="ignore")


def _entry(what: str, entry: Document | None) -> list[str]:
    return [] if entry is None else [f"{what} since {words.moment(entry['created_at'])} by **{entry['actor']}**: {entry['reason']}"]


def compare(found: Document) -> None:
    if found["exact"]:
        st.success(found["words"], icon=":material/check_circle:")
        return
    st.warning(found["words"], icon=":material/difference:")
    rows = [
        {"by": f"{run['engine']} ({run['way']})", **{name: str(value) for name, value in part.items()}} for run in found["runs"] for part in run["differences"]
    ]
    if rows:
        columns = {"by": "By", "field": "Field", "stored": "Stored", "reproduced": "Now"}
        st.dataframe(rows, hide_index=True, column_config=columns, alt="What differs from the stored answer")
