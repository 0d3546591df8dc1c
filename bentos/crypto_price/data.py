"""Where the candles come from: archives of an exchange, or the documented relation."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bentos.contract import BadData, Problem
from bentos.crypto_price import archives
from bentos.crypto_price.schema import INTERVALS
from bentos.crypto_price.synthetic import synthetic

__all__ = ["files", "synthetic"]

log = logging.getLogger(__name__)


def files(paths: Sequence[Path]) -> pd.DataFrame:
    """All hourly and daily archives together, an asset's archives in the order of their first candles; candles that have not ended are dropped.

    Files that hold no candles, or candles of other intervals, are passed over as long as one remains.
    """
    problems: list[Problem] = []
    passed_over: list[str] = []
    parts: list[pd.DataFrame] = []
    for path in sorted(paths):
        if not archives.SUFFIX.search(path.name):
            continue
        try:
            frame = archives.read(path)
        except BadData as bad:
            problems += bad.problems
            continue
        if frame is None:
            passed_over.append(f"{path.name} has other columns")
        elif (interval := frame["interval"].iloc[0]) not in INTERVALS:
            passed_over.append(f"{path.name} has candles of {interval} minutes")
        else:
            parts.append(frame)
    if problems:
        raise BadData(problems)
    if not parts:
        found = "; ".join(passed_over) or "there is no .csv or .csv.gz file"
        raise BadData([Problem("files", f"no archive of hourly or daily candles ({', '.join(archives.COLUMNS)}): {found}")])
    for reason in passed_over:
        log.info("passed over: %s", reason)
    parts.sort(key=lambda part: (part["asset"].iloc[0], part["interval"].iloc[0], part["timestamp"].iloc[0]))
    frame = pd.concat(parts)
    return frame[frame["timestamp"] + frame["interval"] * 60 <= time.time()]
