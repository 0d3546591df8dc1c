import numpy as np
import pytest

from bentos import catalogue, contract
from bentos.serving import intervals
from bentos.serving.answers import in_columns, in_rows
from tests.versions import POLICY


@pytest.mark.parametrize(
    ("probability", "decision", "risk_level"),
    [
        (0.0, "stays", "low"),
        (0.0999, "stays", "low"),
        (0.1, "stays", "medium"),
        (0.1999999, "stays", "medium"),
        (0.2, "leaves", "medium"),
        (0.31, "leaves", "high"),
    ],
)
def test_the_policy_decides(probability: float, decision: str, risk_level: str) -> None:
    scores, decisions, (found,) = in_rows("attrition", np.array([probability]), {}, POLICY)
    assert (scores, decisions) == ([probability], [decision])
    assert found == {"prediction": int(decision == "leaves"), "probability": probability, "decision": decision, "risk_level": risk_level}


def test_another_threshold_is_another_decision_for_the_same_probability() -> None:
    _, _, (found,) = in_rows("attrition", np.array([0.25]), {}, POLICY | {"threshold": 0.3})
    assert (found["decision"], found["risk_level"]) == ("stays", "medium")


def test_without_a_policy_nothing_is_decided() -> None:
    with pytest.raises(ValueError, match="attrition has no decision policy"):
        in_rows("attrition", np.array([0.25]), {}, None)
    with pytest.raises(ValueError, match="attrition has no decision policy"):
        in_columns("attrition", np.array([0.25]), {}, None)


@pytest.mark.parametrize("model", catalogue.names())
def test_answers_are_the_models_output(model: str) -> None:
    schema = contract.schema(model)
    row = schema.Input.model_validate(schema.EXAMPLE).model_dump()
    columns = contract.columns_of_rows([row, row], contract.kinds(schema.Input))
    _, _, answers = in_rows(model, np.array([0.25, 0.5]), columns, POLICY)
    assert len(answers) == 2
    for found in answers:
        assert set(schema.Output.model_validate(found).model_dump()) == set(found)


def test_bounds_are_null_for_a_version_without_intervals() -> None:
    schema = contract.schema("crypto_price")
    columns = contract.columns_of_rows([schema.Input.model_validate(schema.EXAMPLE).model_dump()], contract.kinds(schema.Input))
    scores = np.array([0.25])
    (without,), (within,) = (in_rows("crypto_price", scores, columns, None, shifts).answers for shifts in (None, dict.fromkeys(intervals.NAMES, 0.0)))
    assert [without[name] for name in intervals.NAMES] == [None] * 4
    assert [within[name] for name in intervals.NAMES] == [within["prediction"]] * 4
    table = in_columns("crypto_price", scores, columns, None).columns
    assert all(np.isnan(table[name]).all() for name in intervals.NAMES)  # type: ignore[call-overload]
