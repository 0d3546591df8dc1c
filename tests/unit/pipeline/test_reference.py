import numpy as np
import pytest

from services.pipeline import reference


def test_the_profile_describes_numbers_text_gaps_and_scores() -> None:
    columns = {
        "age": np.array([np.nan] * 10 + list(range(90)), dtype=np.float64),
        "role": np.array(["cook"] * 60 + ["clerk"] * 20 + [None] * 20, dtype=object),
    }
    found = reference.profile(columns, ("f",), np.zeros((100, 1)), np.linspace(0, 1, 100), ordered=False)
    age, role = found["columns"]["age"], found["columns"]["role"]
    assert age["missing"] == pytest.approx(0.1)
    assert sum(age["proportions"]) == pytest.approx(1)
    assert len(age["edges"]) == 9
    assert (age["min"], age["max"]) == (0, 89)
    assert role["categories"] == {"cook": 0.75, "clerk": 0.25}
    assert role["missing"] == pytest.approx(0.2)
    assert found["score"]["mean"] == pytest.approx(0.5)
    assert found["features"] == {}


def test_lists_are_described_by_the_features_made_of_them() -> None:
    found = reference.profile({"close": np.ones((50, 24))}, ("move",), np.arange(50.0)[:, None], np.zeros(50), ordered=True)
    assert found["columns"] == {}
    assert found["features"]["move"]["max"] == 49


def test_a_constant_or_empty_column_is_no_trouble() -> None:
    found = reference.profile(
        {"same": np.ones(30), "none": np.full(30, np.nan), "nil": np.full(30, None, dtype=object)}, (), np.zeros((30, 0)), np.zeros(30), ordered=False
    )
    assert found["columns"]["same"]["proportions"] == [0, 1]
    assert found["columns"]["none"]["missing"] == found["columns"]["nil"]["missing"] == 1


def test_the_curve_is_exact_at_its_points() -> None:
    """Of few values all are kept; of many, some, and the share up to each of these."""
    few = np.array([1.0] * 30 + [2.0] * 50 + [3.0] * 20 + [np.nan] * 5)
    many = np.random.default_rng(1).lognormal(size=5000)
    found = reference.profile({"few": few, "many": many}, (), np.zeros((105, 0)), np.zeros(105), ordered=False)["columns"]
    assert found["few"]["curve"] == {"values": [1, 2, 3], "cumulative": [0.3, 0.8, 1.0], "means": [1, 2, 3]}
    curve = found["many"]["curve"]
    assert len(curve["values"]) == reference.POINTS
    assert curve["cumulative"] == pytest.approx([(many <= value).mean() for value in curve["values"]])
    assert np.dot(np.diff(curve["cumulative"], prepend=0), curve["means"]) == pytest.approx(many.mean())
