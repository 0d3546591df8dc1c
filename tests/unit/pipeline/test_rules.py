from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from services.pipeline import rules


class Person(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    age: int = Field(ge=16, le=80)
    wage: float | None = Field(gt=0)
    role: Literal["clerk", "cook"]
    code: str = Field(pattern="^[A-Z]{2}$")


def people(rows: int = 100) -> pd.DataFrame:
    frame = pd.DataFrame({"age": np.full(rows, 30), "wage": np.full(rows, 9.5), "role": ["cook"] * rows, "code": ["AB"] * rows, "spare": [1] * rows})
    frame.index = pd.RangeIndex(2, rows + 2)
    return frame


def test_a_sound_frame_has_no_problem() -> None:
    frame = people()
    frame["age"] = frame["age"].astype("float64")  # whole numbers of a column that once had gaps
    frame.loc[3, "wage"] = np.nan
    problems, sound = rules.check(frame, Person)
    assert problems == []
    assert sound.all()


def test_every_broken_rule_is_named_with_its_lines() -> None:
    frame = people()
    frame["age"] = frame["age"].astype("float64")
    frame.loc[[5, 9], "age"] = [12, 13]
    frame.loc[6, "age"] = 30.5
    frame.loc[7, "age"] = np.nan
    frame.loc[8, "wage"] = np.inf
    frame.loc[10, "wage"] = 0
    frame.loc[11, "role"] = "pilot"
    frame.loc[12, "code"] = None
    frame.loc[13, "code"] = "abc"
    problems, sound = rules.check(frame, Person)
    found = {(problem.column, tuple(problem.rows)): problem.rule for problem in problems}
    assert found == {
        ("age", (5, 9)): "must be greater than or equal to 16, found 12",
        ("age", (6,)): "must be a valid integer, found 30.5",
        ("age", (7,)): "must not be empty",
        ("wage", (8,)): "must be a finite number, found inf",
        ("wage", (10,)): "must be greater than 0, found 0.0",
        ("role", (11,)): "must be 'clerk' or 'cook', found 'pilot'",
        ("code", (12,)): "must not be empty",
        ("code", (13,)): "must match pattern '^[A-Z]{2}$', found 'abc'",
    }
    assert np.flatnonzero(~sound).tolist() == list(range(3, 12))


def test_a_missing_column_is_one_problem_and_does_not_hide_the_others() -> None:
    frame = people().drop(columns="role")
    frame.loc[4, "age"] = 99
    problems, sound = rules.check(frame, Person)
    assert [str(problem) for problem in problems] == ["role: column is missing", "age: must be less than or equal to 80, found 99 in 1 row (4)"]
    assert not sound.any()


def test_many_lines_are_counted_and_twenty_shown() -> None:
    frame = people(50_000)
    frame["role"] = "pilot"
    problems, _ = rules.check(frame, Person)
    assert [(problem.count, problem.rows) for problem in problems] == [(50_000, list(range(2, 22)))]
