"""Two versions on the same rows: where they decide differently, and how their scores lie."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from frontend import words
from frontend.charts.look import BLUE, GREY, ORANGE, bare


def flips(segments: Sequence[dict[str, Any]], overall: dict[str, Any]) -> go.Figure:
    """Share of rows decided otherwise, with 95 % intervals; the line is that of all rows."""
    shown = list(reversed(segments))
    names = [f"{one['feature']}: {one['segment']}" for one in shown]
    error = {
        "type": "data",
        "symmetric": False,
        "array": [100 * (one["high"] - one["share"]) for one in shown],
        "arrayminus": [100 * (one["share"] - one["low"]) for one in shown],
    }
    figure = bare(70 + 26 * len(shown), showlegend=False)
    figure.add_trace(
        go.Scatter(
            x=[100 * one["share"] for one in shown],
            y=names,
            error_x=error,
            mode="markers",
            marker={"color": BLUE, "size": 9},
            customdata=[one["rows"] for one in shown],
            hovertemplate="%{y}: %{x:.1f} % of %{customdata} rows<extra></extra>",
        )
    )
    figure.add_vline(x=100 * overall["share"], line={"color": GREY, "dash": "dash"})
    figure.update_xaxes(title="Decided otherwise, %", rangemode="tozero")
    return figure


def scores(bins: Sequence[dict[str, Any]]) -> go.Figure:
    """Rows in the tenths of the champion's scores."""
    names = [_between(one["from"], one["to"]) for one in bins]
    figure = bare(280, barmode="group", legend={"orientation": "h", "y": 1.15})
    for name, key, colour, pattern in (("serves", "champion", ORANGE, ""), ("is tried", "challenger", BLUE, "/")):
        figure.add_trace(go.Bar(x=names, y=[one[key] for one in bins], name=name, marker={"color": colour, "pattern": {"shape": pattern}}))
    figure.update_yaxes(title="Rows")
    figure.update_xaxes(title="Score", type="category")
    return figure


def _between(low: float | None, high: float | None) -> str:
    if low is None:
        return f"below {words.number(high, 3)}"
    return f"from {words.number(low, 3)}" if high is None else f"{words.number(low, 3)} – {words.number(high, 3)}"
