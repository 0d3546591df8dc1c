"""Prices: candles, volume, indicators, forecasts with their bands."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from frontend.charts.look import BLUE, FAINT, GREY, ORANGE, PURPLE, SHADE, SKY, VERMILLION, bare

INDICATORS = ("Average of 20", "Average of 50", "Bollinger bands", "RSI of 14")


def frame(candles: Sequence[Mapping[str, Any]], zone: str) -> pd.DataFrame:
    """Prices are decimal strings on the wire; a picture needs no more than floats."""
    table = pd.DataFrame(candles, columns=["timestamp", "open", "high", "low", "close", "volume", "trades"])
    table["time"] = pd.to_datetime(table["timestamp"], unit="s", utc=True).dt.tz_convert(zone).dt.tz_localize(None)  # plotly shows what stands there
    for name in ("open", "high", "low", "close", "volume"):
        table[name] = table[name].astype(float)
    return table


def rsi(close: "pd.Series[float]", length: int = 14) -> "pd.Series[float]":
    """Wilder's relative strength index, 0 to 100."""
    move = close.diff()
    gain = move.clip(lower=0).ewm(alpha=1 / length, min_periods=length).mean()
    loss = (-move.clip(upper=0)).ewm(alpha=1 / length, min_periods=length).mean()
    return 100 - 100 / (1 + gain / loss)


def candles(table: pd.DataFrame, wanted: Sequence[str], forecasts: pd.DataFrame | None = None) -> go.Figure:
    """`forecasts`: time, prediction, lower_80, upper_80, lower_95, upper_95 of what has not come yet, or has."""
    with_rsi = "RSI of 14" in wanted
    heights = [0.66, 0.17, 0.17] if with_rsi else [0.8, 0.2]
    figure = make_subplots(rows=len(heights), cols=1, shared_xaxes=True, vertical_spacing=0.03, row_heights=heights)
    rising = table["close"] >= table["open"]
    figure.add_trace(
        go.Candlestick(
            x=table["time"],
            open=table["open"],
            high=table["high"],
            low=table["low"],
            close=table["close"],
            name="price",
            increasing={"line": {"color": BLUE, "width": 1}, "fillcolor": BLUE},
            decreasing={"line": {"color": ORANGE, "width": 1}, "fillcolor": ORANGE},
        ),
        row=1,
        col=1,
    )
    for name, length, colour in (("Average of 20", 20, SKY), ("Average of 50", 50, PURPLE)):
        if name in wanted:
            figure.add_trace(
                go.Scatter(x=table["time"], y=table["close"].rolling(length).mean(), name=name, line={"color": colour, "width": 1.5}), row=1, col=1
            )
    if "Bollinger bands" in wanted:
        middle, spread = table["close"].rolling(20).mean(), table["close"].rolling(20).std()
        band(figure, table["time"], middle - 2 * spread, middle + 2 * spread, "Bollinger bands", "rgba(140,154,166,0.15)")
    if forecasts is not None and len(forecasts):
        band(figure, forecasts["time"], forecasts["lower_95"], forecasts["upper_95"], "95 % band", FAINT)
        band(figure, forecasts["time"], forecasts["lower_80"], forecasts["upper_80"], "80 % band", SHADE)
        figure.add_trace(
            go.Scatter(
                x=forecasts["time"], y=forecasts["prediction"], name="forecast", mode="markers", marker={"color": VERMILLION, "size": 7, "symbol": "diamond"}
            ),
            row=1,
            col=1,
        )
    figure.add_trace(
        go.Bar(
            x=table["time"], y=table["volume"], name="volume", marker={"color": [BLUE if up else ORANGE for up in rising], "opacity": 0.6}, showlegend=False
        ),
        row=2,
        col=1,
    )
    if with_rsi:
        figure.add_trace(
            go.Scatter(x=table["time"], y=rsi(table["close"]), name="RSI of 14", line={"color": PURPLE, "width": 1.5}, showlegend=False), row=3, col=1
        )
        for level in (30, 70):
            figure.add_hline(y=level, line={"color": GREY, "width": 1, "dash": "dot"}, row=3, col=1)
        figure.update_yaxes(title_text="RSI", range=[0, 100], row=3, col=1)
    figure.update_layout(height=560, margin={"l": 8, "r": 8, "t": 24, "b": 8}, legend={"orientation": "h", "y": 1.06}, hovermode="x unified", bargap=0.1)
    figure.update_xaxes(rangeslider_visible=False)
    figure.update_yaxes(title_text="Price", automargin=True, row=1, col=1)
    figure.update_yaxes(title_text="Volume", automargin=True, row=2, col=1)
    return figure


def band(figure: go.Figure, x: Any, low: Any, high: Any, name: str, colour: str) -> None:
    """Drawn as bars where it is but one point: an area needs two."""
    if len(x) == 1:
        middle, half = (float(low.iloc[0]) + float(high.iloc[0])) / 2, (float(high.iloc[0]) - float(low.iloc[0])) / 2
        error = {"type": "data", "array": [half], "thickness": 3 if "80" in name else 1.5, "width": 8 if "80" in name else 5, "color": BLUE}
        figure.add_trace(go.Scatter(x=x, y=[middle], error_y=error, mode="markers", marker={"size": 1, "color": BLUE}, name=name))
        return
    figure.add_trace(go.Scatter(x=x, y=high, line={"width": 0}, showlegend=False, hoverinfo="skip", mode="lines"))
    figure.add_trace(go.Scatter(x=x, y=low, line={"width": 0}, fill="tonexty", fillcolor=colour, name=name, hoverinfo="skip", mode="lines"))


def against_truth(table: pd.DataFrame) -> go.Figure:
    """Past forecasts with their bands, and what came."""
    figure = bare(380, legend={"orientation": "h", "y": 1.1}, hovermode="x unified")
    band(figure, table["time"], table["lower_95"], table["upper_95"], "95 % band", FAINT)
    band(figure, table["time"], table["lower_80"], table["upper_80"], "80 % band", SHADE)
    figure.add_trace(
        go.Scatter(x=table["time"], y=table["prediction"], name="forecast", mode="lines+markers", line={"color": BLUE, "width": 1.5}, marker={"size": 5})
    )
    figure.add_trace(go.Scatter(x=table["time"], y=table["actual"], name="what came", mode="markers", marker={"color": VERMILLION, "size": 8, "symbol": "x"}))
    figure.update_yaxes(title="Price")
    return figure
