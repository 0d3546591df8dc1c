"""Any schema becomes a form, and what the form gives fits the schema."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from streamlit.testing.v1 import AppTest

from frontend.forms import ABSENT, Field, fields, fine, start_of
from tests.frontend.documents import EXAMPLES, LOAN, OPENAPI, WINDOW

SCHEMAS = OPENAPI["components"]["schemas"]


def bounds(kind: Any, low: Any, wide: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(low, wide).map(lambda pair: {"minimum": pair[0], "maximum": pair[0] + pair[1]})


whole = st.integers(-10_000, 10_000)
numbers = st.one_of(st.just({}), bounds(float, st.floats(-1e6, 1e6), st.floats(0, 1e6))).map(lambda limits: {"type": "number"} | limits)
integers = st.one_of(st.just({}), bounds(int, whole, st.integers(0, 500))).map(lambda limits: {"type": "integer"} | limits)
choices = st.lists(st.one_of(st.text(min_size=1, max_size=8), whole), min_size=1, max_size=5, unique_by=str).map(lambda values: {"enum": values})
texts = st.integers(1, 60).map(lambda longest: {"type": "string", "maxLength": longest})
simple = st.one_of(numbers, integers, choices, texts, st.just({"type": "boolean"}))
parts = st.one_of(
    simple, simple.map(lambda part: {"anyOf": [part, {"type": "null"}]}), st.just({"type": "object"}), st.just({"type": "array", "items": {"type": "number"}})
)
schemas = st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), parts, min_size=1, max_size=5).map(
    lambda found: {"type": "object", "properties": found, "required": list(found)}
)


@given(schemas, st.data())
@settings(max_examples=200, deadline=None)
def test_every_schema_has_fields_and_a_start_that_a_widget_can_show(schema: dict[str, Any], data: st.DataObject) -> None:
    found = list(fields(schema, {}))
    assert [field.name for field in found] == list(schema["properties"])
    anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2))
    for field in found:
        start = start_of(field, {field.name: data.draw(anything)})
        if start is None or field.kind in ("json", "series", "boolean"):
            continue
        assert Draft202012Validator(schema["properties"][field.name]).is_valid(start)
        assert fine(field) > 0


def form(schema: dict, schemas: dict, given: dict) -> None:
    """Runs as a script of its own."""
    import streamlit as st

    from frontend import forms

    st.session_state["row"], st.session_state["wrong"] = forms.render(list(forms.fields(schema, schemas)), given, "form")


@given(schemas)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_schema_renders_and_gives_nothing_that_breaks_it(schema: dict[str, Any]) -> None:
    test = AppTest.from_function(form, args=(schema, {}, {}), default_timeout=20).run()
    assert not test.exception
    for name, value in test.session_state["row"].items():
        assert Draft202012Validator(schema["properties"][name]).is_valid(value)


@pytest.mark.parametrize(("schema", "example"), [(LOAN, EXAMPLES["loans"]), (WINDOW, EXAMPLES["prices"])])
def test_an_example_goes_through_the_form_unchanged(schema: dict[str, Any], example: dict[str, Any]) -> None:
    test = AppTest.from_function(form, args=(schema, SCHEMAS, example), default_timeout=20).run()
    assert not test.exception
    assert test.session_state["row"] == example
    assert test.session_state["wrong"] == []


def test_an_unknown_value_is_null_where_that_is_allowed_and_asked_for_where_not() -> None:
    test = AppTest.from_function(form, args=(LOAN, SCHEMAS, {}), default_timeout=20).run()
    assert test.session_state["row"] == {"score": None, "insured": False}
    assert len(test.session_state["wrong"]) == 5


def test_references_titles_units_ranges_and_defaults_are_read() -> None:
    found = {field.name: field for field in fields(LOAN, SCHEMAS)}
    assert found["income"].label == "Income (EUR a year)"
    assert (found["income"].minimum, found["income"].maximum) == (1, 1_000_000)
    assert found["grade"].choices == (1, 2, 3)
    assert found["grade"].title == "Grade"
    assert found["score"].nullable
    assert found["insured"].default is False
    assert not found["insured"].required
    assert found["income"].default is ABSENT


def test_exclusive_bounds_keep_the_bound_out_for_integers() -> None:
    (field,) = fields({"properties": {"n": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10}}}, {})
    assert (field.minimum, field.maximum) == (1, 9)


def test_a_union_of_several_types_is_written_as_json() -> None:
    (field,) = fields({"properties": {"n": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}}, {})
    assert isinstance(field, Field)
    assert field.kind == "json"
