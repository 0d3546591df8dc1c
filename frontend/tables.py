"""Tables of which somebody chooses a row."""

from collections.abc import Sequence
from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")


def chosen(listed: Sequence[T], rows: list[dict[str, Any]], *, key: str, alt: str, columns: dict[str, Any], **look: Any) -> T | None:
    """Shows `rows`, one for each of `listed`, and returns the one that is chosen. `columns` and `look` are `st.dataframe`'s."""
    table = st.dataframe(rows, hide_index=True, key=key, on_select="rerun", selection_mode="single-row", column_config=columns, alt=alt, **look)
    places = table["selection"]["rows"]
    return listed[places[0]] if places and places[0] < len(listed) else None
