"""What a caller may send: each refusal names the field and the offending values."""

from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from bentos.crypto_price.schema import EXAMPLE, LOOKBACK, Input, Record

HOUR = 3600
SERIES = ("timestamp", "open", "high", "low", "close", "volume", "trades")


def refusals(**changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        Input.model_validate(deepcopy(EXAMPLE) | changes)
    return [(".".join(map(str, error["loc"])), error["msg"]) for error in caught.value.errors()]


def longer(candles: int) -> dict[str, Any]:
    """The example with candles appended that go on flat."""
    more = deepcopy(EXAMPLE)
    for _ in range(candles):
        more["timestamp"].append(more["timestamp"][-1] + HOUR)
        for name in SERIES[1:]:
            more[name].append(more["close"][-1] if name in ("open", "high", "low", "close") else 1)
    return more


def without(at: int) -> dict[str, Any]:
    row = longer(1)
    row["as_of"] += HOUR
    for name in SERIES:
        del row[name][at]
    return row


def test_the_example_comes_back_unchanged() -> None:
    assert Input.model_validate(EXAMPLE).model_dump() == EXAMPLE


def test_json_is_read_like_python() -> None:
    assert Input.model_validate_json(Input.model_validate(EXAMPLE).model_dump_json()).model_dump() == EXAMPLE


def test_running_candles_are_dropped() -> None:
    assert Input.model_validate(longer(1)).model_dump() == EXAMPLE
    assert Input.model_validate(longer(1) | {"as_of": EXAMPLE["as_of"] + HOUR - 1}).timestamp == EXAMPLE["timestamp"]


def test_only_the_newest_candles_are_kept() -> None:
    row = Input.model_validate(longer(5) | {"as_of": EXAMPLE["as_of"] + 5 * HOUR})
    assert row.timestamp == [opened + 5 * HOUR for opened in EXAMPLE["timestamp"]]
    assert all(len(getattr(row, name)) == LOOKBACK for name in SERIES)
    assert Input.model_validate(row.model_dump()) == row


def test_as_of_is_now_unless_given() -> None:
    row = Input.model_validate({name: value for name, value in EXAMPLE.items() if name != "as_of"})
    assert row.as_of >= EXAMPLE["as_of"]


def test_a_gap_names_the_open_times_around_it() -> None:
    with pytest.raises(ValidationError) as caught:
        Input.model_validate(without(10))
    (error,) = caught.value.errors()
    assert error["loc"] == ("timestamp",)
    assert "1 missing between 1767258000 (2026-01-01 09:00:00 UTC) and 1767265200 (2026-01-01 11:00:00 UTC)" in error["msg"]


def test_too_few_completed_candles() -> None:
    ((field, rule),) = refusals(as_of=EXAMPLE["as_of"] - 1)
    assert field == "timestamp"
    assert "24 candles completed at as_of 1767311999 (2026-01-01 23:59:59 UTC) are needed, here are 23" in rule


def test_times_off_the_grid_and_out_of_order() -> None:
    times = EXAMPLE["timestamp"]
    assert "1767225601 (item 0) should be a multiple of 3600" in refusals(timestamp=[times[0] + 1, *times[1:]])[0][1]
    assert "should rise" in refusals(timestamp=[times[1], times[0], *times[2:]])[0][1]
    assert "should rise" in refusals(timestamp=[times[0], times[0], *times[2:]])[0][1]
    assert "multiple of 86400" in refusals(interval=1440)[0][1]


@pytest.mark.parametrize("name", SERIES[1:])
def test_series_of_unequal_length(name: str) -> None:
    assert (name, "One value per open time is needed: 24, not 25") in refusals(**{name: [*EXAMPLE[name], EXAMPLE[name][-1]]})


@pytest.mark.parametrize(("name", "value", "words"), [("high", 1.0, "open should not be above high"), ("low", 1e9, "low should not be above open")])
def test_inconsistent_candles(name: str, value: float, words: str) -> None:
    found = refusals(**{name: [*EXAMPLE[name][:-1], value]})
    assert any(field == name and words in rule and f"{value}" in rule and "(item 23)" in rule for field, rule in found)


def test_a_close_outside_its_candle() -> None:
    assert refusals(close=[*EXAMPLE["close"][:-1], 1.0])[0][0] == "close"
    assert refusals(close=[*EXAMPLE["close"][:-1], 1e9])[0][0] == "close"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"asset": "btc usd"}, "asset"),
        ({"interval": 15}, "interval"),
        ({"interval": "60"}, "interval"),
        ({"as_of": 1_767_312_000_000}, "as_of"),
        ({"timestamp": [1_767_225_600_000] * LOOKBACK}, "timestamp.0"),
        ({"close": [0.0] * LOOKBACK}, "close.0"),
        ({"close": ["1"] * LOOKBACK}, "close.0"),
        ({"close": [float("nan")] * LOOKBACK}, "close.0"),
        ({"volume": [-1.0] * LOOKBACK}, "volume.0"),
        ({"trades": [1.5] * LOOKBACK}, "trades.0"),
        ({"close": EXAMPLE["close"][1:]}, "close"),
        ({"price": 1}, "price"),
    ],
)
def test_other_refusals_name_the_field(changes: dict[str, Any], field: str) -> None:
    assert field in [name for name, _ in refusals(**changes)]


def test_all_errors_come_at_once() -> None:
    fields = {name for name, _ in refusals(asset="", interval=5, close=[-1.0] * LOOKBACK, extra=1)}
    assert {"asset", "interval", "close.0", "extra"} <= fields


def test_fields_describe_themselves() -> None:
    for model in (Input, Record):
        for name, part in model.model_json_schema()["properties"].items():
            assert part.get("title"), name
            assert part.get("description"), name
