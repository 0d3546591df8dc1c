"""Arguments of steps, and what is made of their last words."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from services.control.workflows.schemas import Run, StepRecord
from services.control.workflows.steps import STEPS, Incomplete, arguments, in_words, result_of


def run(**more: Any) -> Run:
    nothing = dict.fromkeys(("result", "error", "started_at", "finished_at"))
    plain = {"id": UUID(int=1), "kind": "train", "model": "attrition", "parameters": {}, "reason": "weekly", "actor": "ada", "status": "running", "steps": []}
    return Run.model_validate(nothing | plain | {"created_at": datetime(2026, 11, 21, tzinfo=UTC)} | more)


def test_a_step_without_what_it_needs_says_so() -> None:
    with pytest.raises(Incomplete, match="validate needs run_id, which no earlier step gave"):
        arguments(STEPS["train"][1], run())


def test_the_pipeline_knows_every_argument() -> None:
    """The two sides meet at the command line: each step's words are parsed by the pipeline's own parser."""
    from services.pipeline.arguments import parser

    parameters = {"source": "files", "data_dir": "/data", "rows": 600, "seed": 3, "drift": 0.5, "partitions": 2}
    given = run(parameters=parameters, steps=[StepRecord(name="ingest", result={"run_id": "r"}), StepRecord(name="register", result={"version": "7"})])
    for kind, steps in STEPS.items():
        parsed = {step.verb: parser().parse_args(arguments(step, given)) for step in steps}
        assert [one.verb for one in parsed.values()] == [step.verb for step in steps], kind
        if kind == "train":
            assert (parsed["promote"].version, parsed["promote"].reason) == ("7", "weekly")
        if kind == "predict":
            assert parsed["predict"].key == str(given.id)


@pytest.mark.parametrize(
    ("line", "result"), [('{"a": 1}', {"a": 1}), ("", None), ("done", None), ("[1]", None), ('{"a": NaN}', None), ('{"a": "\\u0000"}', None)]
)
def test_a_result_is_a_json_object_that_can_be_stored(line: str, result: dict[str, Any] | None) -> None:
    assert result_of(line) == result


def test_failures_in_words() -> None:
    assert in_words("train", 1, None, "") == "train ended with exit code 1: it said nothing"
    assert in_words("train", -9, None, "fold 3 of 5") == "train was killed by signal 9: fold 3 of 5"
    assert in_words("ingest", 2, None, "unknown model") == "ingest ended with exit code 2: unknown model"
    assert in_words("validate", 2, {"problems": [{"column": "age", "rule": "is missing", "rows": [1, 2], "count": 2}]}, "") == (
        "validate found bad data: age: is missing in 2 rows (1, 2)"
    )
