import numpy as np
import pandas as pd
import pytest

from services.pipeline import target


def frame(rows: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(1)
    left = (random.random(rows) < 0.3).astype(int)
    age = random.normal(40, 5, rows) - 5 * left
    return pd.DataFrame({"age": age, "town": random.choice(["a", "b"], rows), "name": [f"person {i}" for i in range(rows)], "left": left})


def names(found: list[target.Problem]) -> list[str]:
    return [problem.column for problem in found]


def test_a_good_target() -> None:
    assert target.problems(frame(), "left", "classification") == []


def test_a_target_that_is_not_there_unknown_or_not_two_classes() -> None:
    rows = frame()
    assert "column is missing" in str(target.problems(rows.drop(columns="left"), "left", "classification")[0])
    rows["left"] = rows["left"].astype(float)
    rows.loc[[3, 5], "left"] = [np.nan, 2]
    unknown, strange = target.problems(rows, "left", "classification")
    assert str(unknown) == "left: must not be empty in 1 row (3)"
    assert "must be 0 or 1" in str(strange)
    rows["left"] = 0
    assert [problem.rule for problem in target.problems(rows, "left", "classification")] == ["at least 20 rows must be 1, 0 are"]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_ordinary_columns_give_nothing_away(task: str) -> None:
    """Also not a name that every row has for itself."""
    assert target.leaks(frame(), "left", ["age", "town", "name"], task) == []


def test_columns_that_hold_the_answer_are_named() -> None:
    rows = frame()
    rows["copy"] = 1 - rows["left"]
    rows["exit_interview"] = np.where(rows["left"] == 1, "held", None)
    rows["left_on"] = np.where(rows["left"] == 1, 2020.0, np.nan)
    assert names(target.leaks(rows, "left", ["age", "town", "copy", "exit_interview", "left_on"], "classification")) == ["copy", "exit_interview", "left_on"]
    rows["price"] = np.random.default_rng(2).normal(size=len(rows))
    rows["price_in_cents"] = 100 * rows["price"] + 3
    assert names(target.leaks(rows, "price", ["age", "town", "price_in_cents"], "regression")) == ["price_in_cents"]
