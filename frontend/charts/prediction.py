"""One answer: how likely, and why."""

from typing import Any

import plotly.graph_objects as go

from frontend import words
from frontend.charts.look import BLUE, GREY, LEVELS, VERMILLION, bare

MOST_REASONS = 12


def gauge(probability: float, threshold: float | None, level: str | None) -> go.Figure:
    """The probability on a half circle, with the threshold at which the decision turns."""
    figure = bare(190)
    colour = LEVELS.get(level or "", BLUE)
    mark = {"line": {"color": "#7B8794", "width": 4}, "thickness": 0.9, "value": threshold * 100} if threshold is not None else {}
    figure.add_trace(
        go.Indicator(
            mode="gauge+number",
            value=probability * 100,
            number={"suffix": " %", "valueformat": ".1f", "font": {"size": 34}},
            gauge={
                "axis": {"range": [0, 100], "tickvals": [0, 25, 50, 75, 100], "ticksuffix": " %", "tickfont": {"size": 11}},
                "bar": {"color": colour, "thickness": 0.62},
                "bgcolor": "rgba(140,154,166,0.18)",
                "borderwidth": 0,
                "threshold": mark,
            },
        )
    )
    figure.update_layout(margin={"l": 30, "r": 30, "t": 18, "b": 4})
    return figure


def shown_value(part: dict[str, Any]) -> str:
    unit = f" {part['unit']}" if part.get("unit") and part.get("value") is not None else ""
    return f"{words.plain(part.get('value'))}{unit}"


def reasons(explanation: dict[str, Any], positive: str) -> go.Figure:
    """Contributions of the fields, the largest above; what lies beyond MOST_REASONS is one bar."""
    parts = explanation["contributions"]
    first, rest = parts[:MOST_REASONS], parts[MOST_REASONS:]
    names = [f"{part['title']} = {_short(shown_value(part))}" for part in first]
    values = [float(part["contribution"]) for part in first]
    if rest:
        names.append(f"the other {len(rest)}")
        values.append(sum(float(part["contribution"]) for part in rest))
    figure = bare(90 + 26 * len(names), showlegend=False, bargap=0.28)
    figure.add_trace(
        go.Bar(
            x=values,
            y=names,
            orientation="h",
            marker={
                "color": [VERMILLION if value > 0 else BLUE for value in values],
                "pattern": {"shape": ["" if value > 0 else "/" for value in values], "fillmode": "overlay", "fgcolor": "white", "fgopacity": 0.4, "size": 6},
            },
            text=[f"{value:+.3g}" for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}<br>%{x:+.4g}<extra></extra>",
        )
    )
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.3 * (high - low or 1.0)
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(
        nticks=5, range=[low - room, high + room], title={"text": f"← less · {_scale(explanation['scale'], positive)} · more →", "font": {"size": 12}}
    )
    return figure


def _scale(scale: str, positive: str) -> str:
    return {"probability": f"probability of “{positive}”", "log-odds": f"log-odds of “{positive}”"}.get(scale, "forecast")


def _short(text: str) -> str:
    return text if len(text) <= 26 else f"{text[:25]}…"


def in_words(explanation: dict[str, Any]) -> str:
    """The same for who cannot see it."""
    told = [f"{part['title']} ({shown_value(part)}) {float(part['contribution']):+.3g}" for part in explanation["contributions"][:5]]
    return f"Bar chart of what moved the answer, from {float(explanation['base_value']):.4g} to {float(explanation['output']):.4g}: {'; '.join(told)}."
