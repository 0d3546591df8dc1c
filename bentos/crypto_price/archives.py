"""Reading OHLCVT archives: Kraken's own form without a header line, or one with a header line, plain or gzipped."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from bentos import tabular
from bentos.contract import BadData, Problem

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume", "trades")
ALIASES = {"time": "timestamp", "count": "trades"}
WHOLE = ("timestamp", "trades")
SUFFIX = re.compile(r"\.csv(\.gz)?$", re.IGNORECASE)
NAMED = re.compile(r"(?<![A-Z0-9])([A-Z0-9]{2,20})_(1|5|15|30|60|240|720|1440|10080|21600)(?!\d)")
"""`XBTUSD_60` wherever it stands in a file's name."""
PAIR = re.compile(r"(?<![A-Z0-9])[A-Z0-9]{5,12}(?![A-Z0-9])")


def read(path: Path) -> pd.DataFrame | None:
    """One archive's candles with asset and interval, indexed by line number; None when the file's columns are no candles'.

    Asset and interval come from the name, else from the first word in capitals and the commonest time step.
    Raises BadData for an unreadable file, missing values and text where numbers belong.
    """
    first = [ALIASES.get(name.strip().lower(), name.strip().lower()) for name in tabular.header(path)]
    bare = len(first) == len(COLUMNS) and _numeric(first[0])
    if not bare and not set(COLUMNS).issubset(first):
        return None
    frame = _numbers(path, _text(path, list(COLUMNS) if bare else first, header=not bare))
    asset, interval = _named(path, frame["timestamp"])
    frame.insert(0, "asset", asset)
    frame.insert(1, "interval", interval)
    return frame


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _text(path: Path, names: list[str], *, header: bool) -> pd.DataFrame:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            # Empty lines are kept while reading, so that a row's place gives its line number.
            frame = pd.read_csv(file, dtype=str, header=0 if header else None, names=names, usecols=COLUMNS, skip_blank_lines=False)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise BadData([Problem(path.name, f"cannot be read to its end: {error}")]) from None
    frame.index = pd.RangeIndex(1 + header, 1 + header + len(frame))
    frame = frame[list(COLUMNS)].dropna(how="all")
    if frame.empty:
        raise BadData([Problem(path.name, "has no candles")])
    return frame


def _numbers(path: Path, text: pd.DataFrame) -> pd.DataFrame:
    problems: list[Problem] = []
    columns: dict[str, pd.Series[float]] = {}
    for name in COLUMNS:
        values = pd.to_numeric(text[name], errors="coerce").astype("float64")
        finite = pd.Series(np.isfinite(values), index=text.index)
        problems += tabular.broken(name, f"value is missing in {path.name}", text[name].isna())
        problems += tabular.broken(name, f"not a number in {path.name}", text[name].notna() & ~finite)
        if name in WHOLE:
            problems += tabular.broken(name, f"not a whole number in {path.name}", finite & (values % 1 != 0))
        columns[name] = values
    if problems:
        raise BadData(problems)
    return pd.DataFrame(columns).astype(dict.fromkeys(WHOLE, "int64"))


def _named(path: Path, times: pd.Series[int]) -> tuple[str, int]:
    stem = SUFFIX.sub("", path.name)
    if match := NAMED.search(stem):
        return match[1], int(match[2])
    steps = np.diff(np.sort(times.to_numpy()))
    steps = steps[steps > 0]
    if not len(steps):
        raise BadData([Problem("interval", f"{path.name} has neither an interval in its name (such as XBTUSD_60.csv) nor two candles to tell it from")])
    sizes, counts = np.unique(steps, return_counts=True)
    pair = PAIR.search(stem)
    return (pair[0] if pair else re.sub(r"[^A-Z0-9]", "", stem.upper())[:20].ljust(2, "X")), int(sizes[counts.argmax()]) // 60
