"""What all charts have in common: colours that everybody tells apart, on light and dark; never colour alone; words for who sees no picture."""

from typing import Any

import plotly.graph_objects as go
import streamlit as st

BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#8C9AA6"
LEVELS = {"low": BLUE, "medium": ORANGE, "high": VERMILLION}
SHADE = "rgba(0,114,178,0.18)"
FAINT = "rgba(0,114,178,0.10)"
CONFIG = {"displaylogo": False, "displayModeBar": False, "scrollZoom": False}
ZOOMABLE = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"], "scrollZoom": True}


def bare(height: int, **layout: Any) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(height=height, margin={"l": 8, "r": 8, "t": 24, "b": 8}, hoverlabel={"namelength": -1}, **layout)
    figure.update_xaxes(automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    return figure


def show(figure: go.Figure, words: str, key: str, *, zoom: bool = False) -> None:
    """`words` say what the picture shows, for screen readers."""
    st.plotly_chart(figure, key=key, config=ZOOMABLE if zoom else CONFIG, alt=words)
