"""Many answers at once: a batch, or the latest of a model."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from frontend.charts.look import BLUE, GREY, ORANGE, VERMILLION, bare


def decisions(counts: Mapping[str, int], positive: str) -> go.Figure:
    figure = bare(220, showlegend=False, bargap=0.45)
    names = list(counts)
    total = sum(counts.values()) or 1
    figure.add_trace(
        go.Bar(
            x=[counts[name] for name in names],
            y=names,
            orientation="h",
            marker={"color": [VERMILLION if name == positive else BLUE for name in names]},
            text=[f"{counts[name]:,} ({counts[name] / total:.1%})" for name in names],
            textposition="auto",
            hovertemplate="%{y}: %{x:,}<extra></extra>",
        )
    )
    figure.update_xaxes(title="Rows")
    return figure


def scores(values: Sequence[float], title: str, *, threshold: float | None = None, percent: bool = True) -> go.Figure:
    figure = bare(260, showlegend=False, bargap=0.04)
    bins = {"start": 0.0, "end": 1.0, "size": 0.025} if percent else None
    figure.add_trace(
        go.Histogram(x=list(values), xbins=bins, nbinsx=None if percent else 40, marker={"color": BLUE}, hovertemplate="%{x}: %{y} rows<extra></extra>")
    )
    if threshold is not None:
        figure.add_vline(x=threshold, line={"color": ORANGE, "width": 3, "dash": "dash"}, annotation_text="threshold")
    figure.update_xaxes(title=title, tickformat=".0%" if percent else None, range=[0, 1] if percent else None)
    figure.update_yaxes(title="Rows")
    return figure


def latency(times: Sequence[object], milliseconds: Sequence[float], versions: Sequence[str]) -> go.Figure:
    """One point per answer, with a colour and a sign per version."""
    figure = bare(280, legend={"orientation": "h", "y": 1.12})
    for position, version in enumerate(sorted(set(versions))):
        mine = [index for index, one in enumerate(versions) if one == version]
        figure.add_trace(
            go.Scatter(
                x=[times[index] for index in mine],
                y=[milliseconds[index] for index in mine],
                mode="markers",
                name=f"version {version}",
                marker={
                    "size": 6,
                    "color": (BLUE, ORANGE, VERMILLION, GREY)[position % 4],
                    "symbol": ("circle", "diamond", "square", "x")[position % 4],
                    "opacity": 0.75,
                },
                hovertemplate="%{x}<br>%{y:.1f} ms<extra></extra>",
            )
        )
    figure.update_layout(showlegend=True)
    figure.update_yaxes(title="ms", rangemode="tozero")
    return figure
