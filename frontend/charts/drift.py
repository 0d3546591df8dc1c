"""What changed since a version learned, and how its answers did."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from frontend.charts.look import BLUE, GREY, ORANGE, SKY, VERMILLION, bare

COLOURS = {"drift": VERMILLION, "ok": SKY, "too_few": GREY}


def bars(features: Sequence[Mapping[str, Any]], limit: float) -> go.Figure:
    """The stability index of each feature, the largest first, with the limit of the policy."""
    listed = sorted((one for one in features if one["psi"] is not None), key=lambda one: -one["psi"])
    figure = bare(70 + 24 * len(listed), showlegend=False)
    figure.add_trace(
        go.Bar(
            x=[one["psi"] for one in listed],
            y=[one["feature"] for one in listed],
            orientation="h",
            marker={"color": [COLOURS[one["verdict"]] for one in listed], "pattern": {"shape": ["/" if one["verdict"] == "drift" else "" for one in listed]}},
            customdata=[one["words"] or one["verdict"] for one in listed],
            hovertemplate="%{y}: %{x:.3f}<br>%{customdata}<extra></extra>",
        )
    )
    figure.add_vline(x=limit, line={"color": ORANGE, "width": 2, "dash": "dash"}, annotation_text="limit", annotation_position="bottom right")
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="Population stability index", rangemode="tozero")
    return figure


def distributions(one: Mapping[str, Any]) -> go.Figure:
    """What was learned from beside what is asked now, in the bins that were kept."""
    kept = one["bins"]
    names = kept.get("names") or _ranges(kept.get("edges") or [])
    figure = bare(280, barmode="group", legend={"orientation": "h", "y": 1.12})
    for label, key, colour, shape in (("learned from", "reference", GREY, ""), ("now", "now", BLUE, "/")):
        figure.add_trace(
            go.Bar(x=names, y=kept[key], name=label, marker={"color": colour, "pattern": {"shape": shape}}, hovertemplate="%{x}: %{y:.1%}<extra></extra>")
        )
    figure.update_xaxes(title=one["feature"], type="category")
    figure.update_yaxes(title="Share of rows", tickformat=".0%")
    return figure


def _ranges(edges: Sequence[float]) -> list[str]:
    if not edges:
        return ["all"]
    return [f"below {edges[0]:.4g}", *(f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)), f"from {edges[-1]:.4g}"]


def days(listed: Sequence[Mapping[str, Any]], metric: str, title: str, holdout: Mapping[str, Any] | None) -> go.Figure:
    """A live figure by day of prediction with its interval, and the band of the hold-out."""
    there = [(one["day"], one["metrics"][metric]) for one in listed if metric in one["metrics"] and one["metrics"][metric]["value"] is not None]
    figure = bare(280, legend={"orientation": "h", "y": 1.12})
    if holdout and holdout.get("low") is not None:
        figure.add_hrect(y0=holdout["low"], y1=holdout["high"], fillcolor="rgba(140,154,166,0.25)", line_width=0, annotation_text="hold-out")
    figure.add_trace(
        go.Scatter(
            x=[day for day, _ in there],
            y=[one["value"] for _, one in there],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [(one["high"] if one["high"] is not None else one["value"]) - one["value"] for _, one in there],
                "arrayminus": [one["value"] - (one["low"] if one["low"] is not None else one["value"]) for _, one in there],
            },
            mode="markers+lines",
            line={"color": BLUE},
            marker={"size": 9},
            name="live",
            hovertemplate="%{x}: %{y:.4g}<extra></extra>",
        )
    )
    figure.update_yaxes(title=title)
    figure.update_xaxes(title="Day of prediction", type="category")
    return figure
