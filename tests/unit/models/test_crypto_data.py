"""Archives as exchanges publish them, and what is refused about them."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bentos.contract import BadData
from bentos.crypto_price import data, train
from bentos.crypto_price.schema import Record

FIRST = 1_600_000_000 // 86_400 * 86_400
COLUMNS = "timestamp,open,high,low,close,volume,trades"


def lines(count: int = 40, step: int = 3600, first: int = FIRST) -> list[str]:
    return [f"{first + i * step},{100 + i},{103 + i},{99 + i},{101 + i},2.5,7" for i in range(count)]


def write(path: Path, rows: list[str], header: str | None = COLUMNS) -> Path:
    text = "\n".join([*([header] if header else []), *rows]) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def refused(*paths: Path) -> str:
    with pytest.raises(BadData) as caught:
        data.files(paths)
    return "\n".join(map(str, caught.value.problems))


@pytest.mark.parametrize("header", [None, COLUMNS, "time,open,high,low,close,vwap,volume,count"])
@pytest.mark.parametrize("name", ["XBTUSD_60.csv", "kraken_XBTUSD_60.csv.gz", "new-XBTUSD_60_2021Q3.csv"])
def test_forms_of_an_archive(tmp_path: Path, name: str, header: str | None) -> None:
    rows = [row.replace(",2.5,", ",100.5,2.5,") for row in lines()] if header and "vwap" in header else lines()
    frame = data.files([write(tmp_path / name, rows, header)])
    assert list(frame.columns) == list(Record.model_fields)
    assert set(frame["asset"]) == {"XBTUSD"}
    assert set(frame["interval"]) == {60}
    assert frame.index[0] == (2 if header else 1)
    assert frame.iloc[0].tolist()[2:] == [FIRST, 100, 103, 99, 101, 2.5, 7]
    assert train.problems(frame) == []


def test_interval_and_asset_without_a_telling_name(tmp_path: Path) -> None:
    frame = data.files([write(tmp_path / "ADAUSD_Daily.csv", lines(step=86_400)), write(tmp_path / "holdout.csv", lines())])
    assert frame.groupby("asset")["interval"].first().to_dict() == {"ADAUSD": 1440, "HOLDOUT": 60}


def test_parts_of_one_asset_follow_each_other(tmp_path: Path) -> None:
    late = write(tmp_path / "a_XBTUSD_60.csv", lines(first=FIRST + 40 * 3600))
    early = write(tmp_path / "b_XBTUSD_60.csv", lines())
    frame = data.files([late, early])
    assert train.problems(frame) == []
    assert len(train.examples(frame)) == 80 - 24


def test_the_running_candle_is_dropped(tmp_path: Path) -> None:
    this_hour = int(pd.Timestamp.now("UTC").floor("h").timestamp())
    frame = data.files([write(tmp_path / "XBTUSD_60.csv", lines(first=this_hour - 39 * 3600))])
    assert len(frame) == 39
    assert frame["timestamp"].max() == this_hour - 3600


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    good = write(tmp_path / "XBTUSD_60.csv", lines())
    others = [write(tmp_path / "XBTUSD_15.csv", lines(step=900)), write(tmp_path / "people.csv", ["1,2"], "age,income"), tmp_path / "README.md"]
    assert len(data.files([good, *others])) == 40
    words = refused(*others)
    assert "XBTUSD_15.csv has candles of 15 minutes" in words
    assert "people.csv has other columns" in words


def test_values_that_are_no_numbers_are_listed_with_their_lines(tmp_path: Path) -> None:
    rows = lines()
    rows[3] = rows[3].replace("103", "much").replace("106", "much")
    rows[5] = rows[5].replace(",2.5,", ",,")
    rows[7] += ".5"
    words = refused(write(tmp_path / "XBTUSD_60.csv", rows))
    assert "high: not a number in XBTUSD_60.csv in 1 row (5)" in words
    assert "volume: value is missing in XBTUSD_60.csv in 1 row (7)" in words
    assert "trades: not a whole number in XBTUSD_60.csv in 1 row (9)" in words


def test_unreadable_files(tmp_path: Path) -> None:
    whole = write(tmp_path / "XBTUSD_60.csv.gz", lines(4000)).read_bytes()
    cut = tmp_path / "ETHUSD_60.csv.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    empty = tmp_path / "LTCUSD_60.csv"
    empty.touch()
    words = refused(cut, empty, write(tmp_path / "ADAUSD_60.csv", []), tmp_path / "XRPUSD_60.csv")
    for name in ("ETHUSD_60.csv.gz", "LTCUSD_60.csv", "ADAUSD_60.csv", "XRPUSD_60.csv"):
        assert name in words
    assert "no .csv" in refused()


def test_synthetic_candles_are_reproducible_and_sound() -> None:
    frame = data.synthetic(3000, 5, 0)
    pd.testing.assert_frame_equal(frame, data.synthetic(3000, 5, 0))
    assert not frame["close"].equals(data.synthetic(3000, 6, 0)["close"])
    assert len(frame) == 3000
    assert list(frame.columns) == list(Record.model_fields)
    assert train.problems(frame) == []
    gaps = frame[frame["asset"] == "ALPHAUSD"]["timestamp"].diff().dropna() != 3600
    assert 0 < gaps.sum() < 20
    Record.model_validate(frame.iloc[0].to_dict())


def test_drift_makes_the_market_louder_and_turns_its_sign() -> None:
    def moves(drift: float) -> tuple[float, float]:
        series = data.synthetic(12_000, 5, drift)
        returns = np.diff(np.log(series[series["asset"] == "ALPHAUSD"]["close"].to_numpy()))
        return float(returns.std()), float(np.corrcoef(returns[1:], returns[:-1])[0, 1])

    (calm, reverting), (loud, going_on) = moves(0), moves(1)
    assert loud > 2 * calm
    assert reverting < -0.15
    assert going_on > 0.05
