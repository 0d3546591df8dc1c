"""A version: its figures with intervals, its curves, what a threshold costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from frontend import words
from frontend.charts.look import BLUE, GREY, ORANGE, SHADE, SKY, VERMILLION, bare
from frontend.policies import Effect

SYMBOLS = {"baseline": "x", "champion": "diamond", "this": "circle"}


def metrics(names: Sequence[str], series: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """One small panel per metric; `series` has by legend name {metric: {value, low, high} or number}."""
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    titles = [f"{words.metric(name)} {'↓' if name in words.LOWER_IS_BETTER else '↑'}" for name in names]
    figure = make_subplots(rows=rows, cols=columns, subplot_titles=titles, horizontal_spacing=0.07, vertical_spacing=0.22)
    looks = (
        dict(zip(series, ((GREY, "x"), (ORANGE, "diamond"), (BLUE, "circle")), strict=False))
        if len(series) == 3
        else dict(zip(series, ((GREY, "x"), (BLUE, "circle")), strict=False))
    )
    for position, name in enumerate(names):
        for label, figures in series.items():
            value = figures.get(name)
            if value is None:
                continue
            point, low, high = (value, None, None) if isinstance(value, int | float) else (value.get("value"), value.get("low"), value.get("high"))
            if point is None:
                continue
            colour, symbol = looks[label]
            error = (
                {"type": "data", "symmetric": False, "array": [high - point], "arrayminus": [point - low], "thickness": 2, "width": 6}
                if low is not None and high is not None
                else None
            )
            figure.add_trace(
                go.Scatter(
                    x=[label],
                    y=[point],
                    error_y=error,
                    name=label,
                    mode="markers",
                    marker={"color": colour, "symbol": symbol, "size": 10},
                    showlegend=False,
                    hovertemplate=f"{label}: %{{y:.4g}}<extra></extra>",
                ),
                row=position // columns + 1,
                col=position % columns + 1,
            )
    figure.update_layout(height=60 + 190 * rows, margin={"l": 8, "r": 8, "t": 40, "b": 8})
    figure.update_annotations(font_size=13)
    figure.update_xaxes(type="category", range=[-0.6, len(series) - 0.4], tickfont={"size": 11})
    figure.update_yaxes(automargin=True, nticks=5)
    return figure


def calibration(bins: Sequence[Mapping[str, float]]) -> go.Figure:
    figure = bare(320, legend={"orientation": "h", "y": 1.08})
    top = max(max(one["predicted"], one["observed"]) for one in bins) * 1.08
    figure.add_trace(go.Scatter(x=[0, top], y=[0, top], mode="lines", line={"color": GREY, "dash": "dash"}, name="perfect", hoverinfo="skip"))
    figure.add_trace(
        go.Scatter(
            x=[one["predicted"] for one in bins],
            y=[one["observed"] for one in bins],
            customdata=[one["rows"] for one in bins],
            mode="lines+markers",
            line={"color": BLUE},
            marker={"size": 8},
            name="hold-out",
            hovertemplate="said %{x:.1%}, came true %{y:.1%} of %{customdata} rows<extra></extra>",
        )
    )
    figure.update_xaxes(title="Probability that the model gave", tickformat=".0%")
    figure.update_yaxes(title="Share that came true", tickformat=".0%")
    return figure


def curve(listed: Sequence[Effect], chosen: Effect, current: float | None, *, steps: bool) -> go.Figure:
    """Cost per case by threshold, with the one that counts now and the one that is tried."""
    figure = bare(300, legend={"orientation": "h", "y": 1.12})
    figure.add_trace(
        go.Scatter(
            x=[one.threshold for one in listed],
            y=[one.cost for one in listed],
            mode="lines",
            line={"color": BLUE, "shape": "vh" if steps else "linear"},
            fill="tozeroy",
            fillcolor=SHADE,
            name="cost per case on the hold-out",
            hovertemplate="threshold %{x:.1%}: cost %{y:.4g}<extra></extra>",
        )
    )
    if current is not None:
        figure.add_vline(x=current, line={"color": GREY, "width": 2, "dash": "dot"}, annotation_text="now", annotation_position="top left")
    figure.add_trace(
        go.Scatter(
            x=[chosen.threshold],
            y=[chosen.cost],
            mode="markers",
            marker={"color": VERMILLION, "size": 14, "symbol": "diamond"},
            name="this threshold",
            hovertemplate="cost %{y:.4g}<extra></extra>",
        )
    )
    figure.update_xaxes(title="Threshold", tickformat=".0%", range=[0, min(1.0, max(0.3, *(one.threshold for one in listed[:-1]), chosen.threshold) * 1.1)])
    figure.update_yaxes(title="Cost per case", rangemode="tozero")
    return figure


def bars(names: Sequence[str], values: Sequence[float], title: str) -> go.Figure:
    """Such as the importance of features: the first is the largest."""
    figure = bare(70 + 24 * len(names))
    figure.add_trace(go.Bar(x=list(values), y=list(names), orientation="h", marker={"color": SKY}, hovertemplate="%{y}: %{x:.4g}<extra></extra>"))
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title=title)
    return figure


def line(x: Sequence[float], y: Sequence[float], titles: tuple[str, str], *, diagonal: bool = False) -> go.Figure:
    """A curve of an evaluation, such as ROC."""
    figure = bare(320, showlegend=False)
    if diagonal:
        figure.add_trace(go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "dash": "dash"}, hoverinfo="skip"))
    figure.add_trace(go.Scatter(x=list(x), y=list(y), mode="lines", line={"color": BLUE, "width": 2}, hovertemplate="%{x:.3g}, %{y:.3g}<extra></extra>"))
    figure.update_xaxes(title=titles[0])
    figure.update_yaxes(title=titles[1])
    return figure


def errors(bins: Sequence[Mapping[str, float]]) -> go.Figure:
    """How far forecasts were off, beside those that say that nothing changes."""
    figure = bare(320, legend={"orientation": "h", "y": 1.08})
    edges = [(one["from"] + one["to"]) / 2 for one in bins]
    for name, key, colour, dash in (("this version", "rows", BLUE, "solid"), ("baseline", "baseline_rows", GREY, "dash")):
        figure.add_trace(go.Scatter(x=edges, y=[one[key] for one in bins], name=name, mode="lines", line={"color": colour, "dash": dash, "shape": "hvh"}))
    figure.update_xaxes(title="Error")
    figure.update_yaxes(title="Rows")
    return figure
