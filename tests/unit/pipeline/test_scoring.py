"""How a data set is divided, and what is said when its parts do not fit together."""

import itertools

import pandas as pd
import pytest

from services.pipeline.failure import Failure
from services.pipeline.gather import joined
from services.pipeline.scoring import ROW, Plan, edges


def plan(rows: int, parts: int) -> Plan:
    return Plan("4", "run", "0" * 64, None, None, rows, edges(rows, parts), learned=False)


def part(*rows: int) -> pd.DataFrame:
    return pd.DataFrame({ROW: rows, "prediction": [float(row) for row in rows]})


@pytest.mark.parametrize(("rows", "parts", "sizes"), [(10, 3, [3, 4, 3]), (10, 1, [10]), (2, 5, [1, 1]), (1, 1, [1]), (100_003, 2, [50_002, 50_001])])
def test_parts_are_of_about_the_same_size_and_never_empty(rows: int, parts: int, sizes: list[int]) -> None:
    found = edges(rows, parts)
    assert [end - begin for begin, end in itertools.pairwise(found)] == sizes
    assert (found[0], found[-1], plan(rows, parts).parts) == (0, rows, len(sizes))


def test_parts_are_joined_in_the_order_of_the_rows() -> None:
    whole = joined([part(2, 3), part(0, 1)], plan(4, 2))
    assert whole["prediction"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([part(0, 1)], "2 rows are missing (2, 3)"),
        ([part(0, 1), part(1, 2, 3)], "1 rows are answered more than once (1)"),
        ([part(0, 1), part(2, 3, 4)], "1 rows are of no data set (4)"),
        ([], "4 rows are missing (0, 1, 2, 3)"),
    ],
)
def test_rows_that_are_not_there_once_are_named(parts: list[pd.DataFrame], words: str) -> None:
    with pytest.raises(Failure, match="the 2 parts do not fit together") as failure:
        joined(parts, plan(4, 2))
    assert words in str(failure.value)
