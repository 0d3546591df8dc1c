"""Conformal intervals hold what they promise, and what is stored of them is checked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bentos.serving import artifact, intervals
from bentos.serving.artifact import Refused
from tests.versions import build

SHIFTS = {"lower_80": -1.0, "upper_80": 1.5, "lower_95": -2.0, "upper_95": 2.5}


def test_new_errors_lie_within_as_often_as_is_said() -> None:
    random = np.random.default_rng(7)
    within: dict[int, list[bool]] = {level: [] for level in intervals.LEVELS}
    for _ in range(400):
        errors = random.standard_t(3, 200) + 0.3  # heavy tails, and not around zero
        found, new = intervals.shifts(errors), random.standard_t(3) + 0.3
        for level in intervals.LEVELS:
            within[level].append(found[f"lower_{level}"] <= new <= found[f"upper_{level}"])
    assert np.mean(within[80]) == pytest.approx(0.80, abs=0.05)
    assert np.mean(within[95]) == pytest.approx(0.95, abs=0.03)


def test_the_ends_are_those_of_the_sorted_errors() -> None:
    found = intervals.shifts(np.arange(199.0)[::-1])
    assert found == {"lower_80": 19, "upper_80": 179, "lower_95": 4, "upper_95": 194}
    with pytest.raises(ValueError, match="99 errors are too few"):
        intervals.shifts(np.zeros(99))


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {},
        SHIFTS | {"upper_80": None},
        SHIFTS | {"upper_80": float("nan")},
        SHIFTS | {"upper_80": "1"},
        SHIFTS | {"upper_80": 3.0},
        SHIFTS | {"lower_99": -3.0},
    ],
)
def test_what_is_stored_is_checked(wrong: Any) -> None:
    assert intervals.problem(SHIFTS) is None
    assert intervals.problem(wrong) is not None


def test_a_version_with_broken_intervals_is_refused(tmp_path: Path) -> None:
    built = build(tmp_path / "version", "crypto_price")
    assert artifact.read(built.folder, "crypto_price", built.sha256).shifts
    path = built.folder / artifact.CONTRACT
    path.write_text(path.read_text().replace('"lower_80": -', '"lower_80": '))
    sums = built.folder / artifact.SUMS
    kept = [line for line in sums.read_text().splitlines() if not line.endswith(artifact.CONTRACT)]
    sums.write_text("\n".join([*kept, f"{artifact.digest(path)}  {artifact.CONTRACT}"]) + "\n")
    with pytest.raises(Refused, match="intervals: the bounds are not in order"):
        artifact.read(built.folder, "crypto_price", None)
