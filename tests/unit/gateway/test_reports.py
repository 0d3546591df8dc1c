"""Reports say what they were given, whatever that is, on pages that nothing runs out of."""

import hashlib
import json
from typing import Any
from uuid import UUID

import pytest

from bentos import catalogue, contract
from services.gateway.predictions.contracts import of_catalogue
from services.gateway.reports import batch, documents, page, prediction, process, style, version
from services.kit.errors import Problem, TooManyRequests
from tests.pdfs import pages, words

EXPLANATION = {
    "scale": "probability",
    "output_title": "Probability of leaving",
    "base_value": 0.1,
    "output": 0.4,
    "method": "linear",
    "contributions": [{"field": f"f{i}", "title": f"Field {i}", "unit": None, "value": i, "contribution": (-1) ** i / (i + 1)} for i in range(30)],
}


def prediction_document(**more: Any) -> dict[str, Any]:
    return {
        "title": "Tiny",
        "summary": "Does it work?",
        "model": "tiny",
        "model_version": "3",
        "policy_version": 2,
        "created_at": "2026-11-21T20:01:02.5+00:00",
        "username": "ann",
        "request_id": "r" * 32,
        "output": {"prediction": 1, "probability": 0.4, "decision": "leaves", "risk_level": "high"},
        "decision": "leaves",
        "prediction_id": str(UUID(int=7)),
        "batch_id": None,
        "inputs": [{"title": "Age", "value": 41, "unit": "years"}, {"title": "Income", "value": None, "unit": "euros"}],
        "outputs": [],
        "probability_words": "probability of leaving",
        "threshold": 0.25,
        "explanation": EXPLANATION,
        "unexplained": "",
        "fingerprint": "f" * 64,
    } | more


def drawn(module: Any, document: dict[str, Any]) -> bytes:
    return page.drawn(*module.story(document), "2026-11-21 20:02 UTC")


def test_a_prediction_on_paper() -> None:
    pdf = drawn(prediction, prediction_document())
    said = words(pdf)
    for wanted in (
        "Tiny",
        "Leaves",
        "2026-11-21 20:01:02 UTC",
        "ann",
        "41 years",
        "not known",
        "40.0 %",
        "Field 0",
        "20 further fields",
        "+1.0000",
        "f" * 64,
    ):
        assert wanted in said, wanted
    assert "Page 1 of 1" in said
    assert pages(pdf) == 1


def test_a_prediction_without_reasons_says_why() -> None:
    said = words(drawn(prediction, prediction_document(explanation=None, unexplained="The runner is away.", threshold=None)))
    assert "The runner is away." in said
    assert "threshold" not in said


def test_hostile_texts_are_texts() -> None:
    long = "<b>&amp;</i> </para> 日本語 Žlutý " + "x" * 5000
    many = [{"title": long, "value": long, "unit": long} for _ in range(60)]
    contributions = [{"field": "f", "title": long, "unit": None, "value": long, "contribution": value} for value in (1e300, -1e300, 1e-300)]
    document = prediction_document(title=long, summary=long, username=long, inputs=many, explanation=EXPLANATION | {"contributions": contributions})
    pdf = drawn(prediction, document)
    assert "<b>&amp;</i> </para> ??? Žlutý" in words(pdf).replace("\n", " ")
    assert pages(pdf) > 3


def test_letters_that_the_typeface_lacks() -> None:
    assert style.printable("Škoda – 5 € ≤ µs Łódź \x00\n日") == "Škoda – 5 € <= µs ?ódz  ?"
    assert len(style.printable("x" * 10_000)) == style.LONGEST_TEXT + 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (True, "yes"),
        (1234567, "1\u00a0234\u00a0567"),
        (0.25, "0.25"),
        (351000.0, "351\u00a0000"),
        (1234.5, "1\u00a0234.50"),
        (2e-7, "2e-07"),
        ("x", "x"),
    ],
)
def test_numbers_are_for_people(value: Any, shown: str) -> None:
    assert style.number(value) == shown


def test_a_batch_of_a_regression_has_no_decisions() -> None:
    histogram = [{"from": float(place), "to": place + 1.0, "rows": place} for place in range(20)]
    document = {
        "batch_id": str(UUID(int=1)),
        "title": "Prices",
        "summary": "Where?",
        "model": "prices",
        "model_versions": ["4"],
        "policy_versions": [],
        "created_at": "2026-11-21T20:01:02+00:00",
        "username": "ann",
        "rows": 190,
        "failed": {"count": 60, "positions": list(range(50))},
        "decisions": {},
        "scores": {"min": 0.5, "mean": 12.0, "max": 19.5},
        "histogram": histogram,
        "threshold": None,
        "score_words": "prediction",
    }
    said = words(drawn(batch, document))
    assert "Prices: batch of 190 rows" in said
    assert "and further ones" in said.replace("\n", " ")
    assert "Decisions" not in said
    empty = words(drawn(batch, document | {"rows": 1, "histogram": [], "scores": None, "failed": {"count": 0, "positions": []}}))
    assert "There is no score to show." in empty


def test_a_version_with_nothing_but_a_name() -> None:
    found = {"version": "9", "created_at": None, "champion": False, "source": "files", "engine": "linear", "data_hash": "d", "sha256": "s"}
    document = {"title": "Tiny", "summary": "?", "owner": "us", "ledger": [], "limits": [], "version": found | {"metrics": {}, "policy": None, "verdict": None}}
    said = words(drawn(version, document))
    for wanted in (
        "Tiny, version 9",
        "This version was registered without any.",
        "The gate has not judged this version yet.",
        "This version has never served.",
    ):
        assert wanted in said


def test_the_limits_come_from_the_models_card() -> None:
    assert documents.limits("no_such_model") == []
    cards = {model: documents.limits(model) for model in catalogue.names()}
    assert any("granted loans only" in line for line in cards["credit_scoring"])
    assert not any("`" in line for lines in cards.values() for line in lines)


@pytest.mark.parametrize("model", catalogue.names())
def test_fields_are_in_the_schemas_order_and_words(model: str) -> None:
    schema = contract.schema(model)
    found = documents._in_words(schema.EXAMPLE | {"of_an_older_schema": 1}, schema.Input)
    titles = [field.title for field in schema.Input.model_fields.values()]
    assert [one["title"] for one in found] == [*titles, "Of an older schema"]
    assert documents._probability(of_catalogue()[model]).startswith("probability")


def test_unix_seconds_are_shown_as_times() -> None:
    schema = contract.schema("crypto_price")
    found = {one["title"]: one["value"] for one in documents._in_words(schema.EXAMPLE, schema.Input)}
    assert found["As of"] == "2026-01-02 00:00"
    assert found["Open times"][0] == "2026-01-01 00:00"


def test_the_fingerprint_can_be_made_by_anybody() -> None:
    row = {
        "prediction_id": "p",
        "model": "m",
        "model_version": "1",
        "policy_version": None,
        "input": {"b": 1.5, "a": "é"},
        "output": {},
        "username": "not in it",
    }
    text = '{"input":{"a":"é","b":1.5},"model":"m","model_version":"1","output":{},"policy_version":null,"prediction_id":"p"}'
    assert documents.fingerprint(row) == hashlib.sha256(text.encode()).hexdigest()
    assert json.loads(text)["input"] == row["input"]


async def test_the_process_draws_it_and_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = process.Reports()
    assert pages(await reports.draw("prediction", prediction_document())) == 1
    with pytest.raises(Problem, match="could not be made"):
        await reports.draw("prediction", {})
    monkeypatch.setattr(process, "MEMORY", 20 * 2**20)
    with pytest.raises(Problem, match="could not be made"):
        await reports.draw("prediction", prediction_document())
    reports._waiting = process.MOST_WAITING
    with pytest.raises(TooManyRequests):
        await reports.draw("prediction", prediction_document())
