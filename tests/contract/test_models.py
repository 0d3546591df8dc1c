"""What every model folder promises (bentos/contract.py), tried on each entry of the catalogue."""

import subprocess
import sys
from functools import cache
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from scipy.stats import ks_2samp
from sklearn.base import clone

from bentos import catalogue, contract
from bentos.contract import Examples, Floats
from bentos.serving import intervals

ROWS = 1500
SOME = 200
"""Examples that are sent through JSON."""

pytestmark = pytest.mark.parametrize("model", catalogue.names())


@cache
def frame_of(model: str, drift: float = 0.0, seed: int = 7) -> pd.DataFrame:
    return contract.data(model).synthetic(ROWS, seed, drift)


@cache
def examples_of(model: str, drift: float = 0.0) -> Examples:
    return contract.train(model).examples(frame_of(model, drift))


def rows_of(model: str, examples: Examples) -> list[dict[str, Any]]:
    """The examples as a client sends them, checked by `Input` and dumped again."""
    schema = contract.schema(model)
    rows = contract.rows_of_columns(examples.columns, contract.kinds(schema.Input))
    return [row.model_dump() for row in TypeAdapter(list[schema.Input]).validate_python(rows)]  # type: ignore[name-defined]


def matrix_of_rows(model: str, rows: list[dict[str, Any]]) -> Floats:
    return contract.features(model).matrix(contract.columns_of_rows(rows, contract.kinds(contract.schema(model).Input)))


def identical(one: Floats, other: Floats) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def test_request_schema_is_strict_and_documented(model: str) -> None:
    schema = contract.schema(model)
    for part in (schema.Input, schema.Record):
        assert {key: part.model_config.get(key) for key in ("strict", "extra", "allow_inf_nan")} == {"strict": True, "extra": "forbid", "allow_inf_nan": False}
    for part in (schema.Input, schema.Record, schema.Output):
        properties = part.model_json_schema()["properties"]
        silent = [name for name, about in properties.items() if not about.get("title") or not about.get("description")]
        assert not silent, f"{part.__name__} fields without title or description: {silent}"


def test_example_is_accepted_and_variations_are_not(model: str) -> None:
    schema = contract.schema(model)
    schema.Input.model_validate(schema.EXAMPLE)
    with pytest.raises(ValidationError, match="unheard_of"):
        schema.Input.model_validate(schema.EXAMPLE | {"unheard_of": 1})
    required = [name for name, field in schema.Input.model_fields.items() if field.is_required()]
    assert required
    with pytest.raises(ValidationError) as missing:
        schema.Input.model_validate({})
    assert {error["loc"][0] for error in missing.value.errors()} == set(required)
    assert set(schema.EXAMPLE) == set(schema.Input.model_fields)


def test_example_becomes_a_finite_row(model: str) -> None:
    schema = contract.schema(model)
    row = schema.Input.model_validate(schema.EXAMPLE).model_dump()
    assert np.isfinite(matrix_of_rows(model, [row])).all()


def test_class_names_are_the_models_own(model: str) -> None:
    def classes(name: str) -> set[str]:
        schema = contract.schema(name)
        return {part.__name__ for part in (schema.Input, schema.Output)}

    assert not classes(model) & {"Input", "Output", "Record"}
    for other in catalogue.names():
        assert other == model or not classes(model) & classes(other)


def test_answer_has_the_fields_of_the_task(model: str) -> None:
    entry, output = catalogue.load().models[model], contract.schema(model).Output
    fields = output.model_fields
    if entry.decisions is None:
        assert fields["prediction"].annotation is float
        return
    assert set(fields) == {"prediction", "probability", "decision", "risk_level"}
    assert set(get_args(fields["decision"].annotation)) == {entry.decisions.negative, entry.decisions.positive}
    assert get_args(fields["prediction"].annotation) == (0, 1)
    assert get_args(fields["risk_level"].annotation) == ("low", "medium", "high")


def test_regression_answers_from_the_raw_output(model: str) -> None:
    if catalogue.load().models[model].task != "regression":
        pytest.skip("only a regression makes its own answers")
    examples = examples_of(model).take(np.arange(SOME))
    shifts = {"shifts": dict.fromkeys(intervals.NAMES, 0.5)} if intervals.has(model) else {}
    fields = contract.features(model).answer(np.zeros(len(examples)), examples.columns, **shifts)  # type: ignore[attr-defined]
    output: type[BaseModel] = contract.schema(model).Output
    assert set(fields) == set(output.model_fields)
    for row in contract.rows_of_columns(fields, contract.kinds(output)):
        output.model_validate(row)


def test_intervals_are_shifts_of_the_score(model: str) -> None:
    if not intervals.has(model):
        assert not set(intervals.NAMES) & set(contract.schema(model).Output.model_fields)
        pytest.skip("this model has no intervals")
    examples, features = examples_of(model).take(np.arange(SOME)), contract.features(model)
    scores = np.linspace(-1, 1, SOME)
    answered = features.answer(scores, examples.columns, {"lower_80": -0.25})  # type: ignore[attr-defined]
    assert np.allclose(features.score_of(answered["prediction"], examples.columns), scores)  # type: ignore[attr-defined]
    assert np.allclose(features.score_of(answered["lower_80"], examples.columns), scores - 0.25)  # type: ignore[attr-defined]


def test_a_model_of_candles_takes_what_is_stored_of_them(model: str) -> None:
    if catalogue.load().models[model].feed is None:
        pytest.skip("nothing is collected for this model")
    fields = contract.schema(model).Input.model_json_schema()["properties"]
    assert set(fields) == {"asset", "interval", "as_of", "timestamp", "open", "high", "low", "close", "volume", "trades"}
    assert fields["timestamp"]["minItems"] > 0
    assert {"prediction", "naive", "forecast_for"} <= set(contract.schema(model).Output.model_fields)


def test_matrix_is_finite_contiguous_and_as_wide_as_its_names(model: str) -> None:
    features = contract.features(model)
    assert len(set(features.FEATURES)) == len(features.FEATURES)
    for drift in (0.0, 1.0):
        examples = examples_of(model, drift)
        matrix = features.matrix(examples.columns)
        assert matrix.shape == (len(examples), len(features.FEATURES))
        assert matrix.dtype == np.float64
        assert matrix.flags.c_contiguous
        assert np.isfinite(matrix).all()


def test_columns_are_the_fields_of_a_request(model: str) -> None:
    assert list(examples_of(model).columns) == list(contract.schema(model).Input.model_fields)


def test_serving_and_training_make_the_same_matrix(model: str) -> None:
    examples = examples_of(model).take(np.linspace(0, len(examples_of(model)) - 1, SOME).astype(int))
    trained = contract.features(model).matrix(examples.columns)
    assert identical(matrix_of_rows(model, rows_of(model, examples)), trained)


def test_row_alone_gives_what_it_gives_in_a_batch(model: str) -> None:
    rows = rows_of(model, examples_of(model).take(np.arange(SOME)))
    batch = matrix_of_rows(model, rows)
    different = [i for i, row in enumerate(rows) if not identical(matrix_of_rows(model, [row]), batch[i : i + 1])]
    assert not different
    assert identical(matrix_of_rows(model, rows[:7]), batch[:7])


def test_synthetic_data_depends_on_the_seed_alone(model: str) -> None:
    again = contract.data(model).synthetic(ROWS, 7, 0.0)
    pd.testing.assert_frame_equal(again, frame_of(model))
    assert not again.equals(frame_of(model, seed=8))
    assert len(again) == ROWS


def test_drift_makes_another_population(model: str) -> None:
    usual, drifted = (examples_of(model, drift).columns for drift in (0.0, 1.0))

    def newest(values: Any) -> Floats:
        return np.asarray(values, dtype=np.float64).reshape(len(values), -1)[:, -1]

    numeric = [name for name, values in usual.items() if values.dtype != object]
    apart = {name: ks_2samp(newest(usual[name]), newest(drifted[name]), method="asymp", nan_policy="omit").statistic for name in numeric}
    assert max(apart.values()) > 0.15, apart


@pytest.mark.parametrize("drift", [0.0, 0.5, 1.0])
def test_synthetic_data_is_valid(model: str, drift: float) -> None:
    schema, train = contract.schema(model), contract.train(model)
    frame = frame_of(model, drift)
    fields = contract.kinds(schema.Record)
    assert set(frame.columns) == {*fields, train.TARGET}
    assert train.problems(frame) == []
    rows = contract.rows_of_columns(contract.columns_of_frame(frame, fields), fields)
    TypeAdapter(list[schema.Record]).validate_python(rows)  # type: ignore[name-defined]


def test_examples_fit_each_other(model: str) -> None:
    examples = examples_of(model)
    for part in (*examples.columns.values(), examples.truth, examples.baseline, examples.groups):
        assert len(part) == len(examples)
    if catalogue.load().models[model].task == "classification":
        assert set(np.unique(examples.target)) == {0.0, 1.0}
        assert np.array_equal(examples.target, examples.truth)
    if examples.time is not None:
        assert (np.diff(examples.time) >= 0).all()


def test_estimator_learns_the_same_from_the_same(model: str) -> None:
    train, examples = contract.train(model), examples_of(model)
    matrix = contract.features(model).matrix(examples.columns)
    classifies = catalogue.load().models[model].task == "classification"

    def scores(estimator: Any) -> Floats:
        fitted = estimator.fit(matrix, examples.target)
        answers: Floats = fitted.predict_proba(matrix)[:, 1] if classifies else fitted.predict(matrix)
        return answers

    estimator = train.estimator(3)
    first = scores(clone(estimator))
    assert np.isfinite(first).all()
    assert first.std() > 0
    assert np.array_equal(first, scores(train.estimator(3)))


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [("schema", ("numpy", "pandas", "sklearn")), ("features", ("pandas", "sklearn"))],
)
def test_imports_stay_light(model: str, module: str, unwanted: tuple[str, ...]) -> None:
    program = f"import sys, bentos.{model}.{module}; print(*sorted({{'numpy', 'pandas', 'sklearn'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert not set(result.stdout.split()) & set(unwanted)
