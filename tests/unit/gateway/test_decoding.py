"""msgspec and pydantic agree about every payload: what is taken, what is made of it, and in which words it is refused."""

import json
import math
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from bentos import catalogue
from bentos.schemas import schema
from services.gateway.predictions.contracts import Contract, contract
from services.gateway.predictions.decoding import decoder
from services.kit.errors import Problem
from services.kit.http import invalid
from tests.gateway import SCHEMA, TinyInput

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Every(BaseModel):
    """All that has a fast form."""

    model_config = STRICT

    small: int = Field(ge=-5, lt=10)
    any: int
    ratio: float = Field(gt=0, le=1)
    signed: float | None
    yes: bool
    word: str = Field(min_length=1, max_length=3)
    code: str = Field("A1", pattern=r"^[A-Z][0-9]{1,2}$")
    grade: Literal[0, 1, 2]
    kind: Literal["a", "b c", "é"] | None = None
    series: list[float] = Field(default_factory=list, max_length=3)
    counts: list[Annotated[int, Field(ge=0)] | None] = Field(min_length=1)


EXAMPLE: dict[str, Any] = {"small": 1, "any": 2, "ratio": 0.5, "signed": None, "yes": True, "word": "é", "grade": 1, "counts": [1, None]}

MODELS: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {name: (schema(name).Input, schema(name).EXAMPLE) for name in catalogue.names()}
MODELS |= {"every": (Every, EXAMPLE), "tiny": (TinyInput, {"age": 41, "income": 1.5, "note": "x"})}


def outcome(decide: Any, body: bytes) -> Any:
    """What was made of the payload, or the whole problem document."""
    try:
        return repr(json.loads(decide(body)))  # in which -0.0 is not 0.0 and 1 is not 1.0
    except Problem as problem:
        return type(problem), problem.body("id")


def alone(model: type[BaseModel]) -> Any:
    adapter = TypeAdapter(model)

    def decide(body: bytes) -> bytes:
        try:
            return adapter.dump_json(adapter.validate_json(body))
        except ValidationError as error:
            raise invalid(error) from None

    return decide


def contract_of(model: type[BaseModel]) -> Contract:
    return contract("m", title="M", summary="", timeout=1, schema=type("S", (), {"Input": model, "Output": model, "Record": model, "EXAMPLE": {}}))  # type: ignore[arg-type]


def same(name: str, body: bytes) -> None:
    model = MODELS[name][0]
    expected = outcome(alone(model), body)
    assert outcome(lambda body: dumped(model, CONTRACTS[name].decode(body)), body) == expected


def dumped(model: type[BaseModel], row: object) -> bytes:
    return msgspec.json.encode(row) if isinstance(row, msgspec.Struct) else TypeAdapter(model).dump_json(row)


CONTRACTS = {name: contract_of(model) for name, (model, _) in MODELS.items()}

NUMBERS = ["-0", "-0.0", "1.0", "1e0", "1E2", "1e400", "-1e400", "1e-400", "5e-324", "NaN", "Infinity", "-Infinity", "01", "+1", "1.", ".5", "-", "0x1", "1_0"]
NUMBERS += [str(2**53 + 1), str(2**63), str(-(2**63) - 1), str(2**64), "1" + "0" * 400, "1" + "0" * 5000, "0.1" + "0" * 400 + "1", "9007199254740993.0"]
WORDS = ["true", "false", "True", "null", '"1"', '"true"', '""', '"\\u0000"', '"\\\\u0000"', '"\\ud800"', '"\\udfff\\ud800"', '"\\ud83d\\ude00"', '"a\nb"']
WORDS += [
    '"\u007f"',
    '"é"',
    '"\\u00e9"',
    '"ééé"',
    '"éééé"',
    '"A1\\n"',
    '"A123"',
    '"Ⅷ"',
    '"a',
    "'a'",
    "[]",
    "[1,]",
    "[null]",
    "[[1]]",
    "{}",
    "[1,2,3,4]",
    "nul",
    "",
]
VALUES = st.one_of(
    st.sampled_from(NUMBERS + WORDS),
    st.integers(-12, 12).map(str),
    st.integers().map(str),
    st.floats().map(repr),
    st.floats(0, 1).map(repr),
    st.text(max_size=5).map(json.dumps),
    st.lists(st.one_of(st.integers(-2, 5), st.none(), st.floats(allow_nan=False, allow_infinity=False)), max_size=4).map(json.dumps),
)


@st.composite
def bodies(draw: st.DrawFn, name: str) -> bytes:
    """The example with some of its fields changed, left out, repeated or added."""
    model, valid = MODELS[name]
    fields = {field: json.dumps(value) for field, value in valid.items()}
    for field in draw(st.lists(st.sampled_from(list(model.model_fields)), max_size=3)):
        fields[field] = draw(VALUES)
    for field in draw(st.lists(st.sampled_from(list(model.model_fields)), max_size=1)):
        fields.pop(field, None)
    parts = [f"{json.dumps(field)}:{value}" for field, value in fields.items()]
    if draw(st.booleans()):
        parts.append(f"{json.dumps(draw(st.sampled_from([*model.model_fields, 'extra', ''])))}:{draw(VALUES)}")
    parts = draw(st.permutations(parts)) if draw(st.booleans()) else parts
    before, after = draw(st.sampled_from(["", "", " ", "\n\t", "\ufeff", "\x00", "["])), draw(st.sampled_from(["", "", " \r\n", "x", "\x00", "}", ","]))
    return f"{before}{{{','.join(parts)}}}{after}".encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_every_payload_is_judged_as_by_pydantic(name: str, data: st.DataObject) -> None:
    same(name, data.draw(bodies(name)))


@pytest.mark.parametrize("name", MODELS)
def test_every_odd_value_in_every_field(name: str) -> None:
    model, valid = MODELS[name]
    for field in model.model_fields:
        for value in NUMBERS + WORDS:
            parts = [f"{json.dumps(other)}:{value if other == field else json.dumps(valid.get(other, 1))}" for other in model.model_fields]
            same(name, f"{{{','.join(parts)}}}".encode())


@settings(max_examples=300, deadline=None)
@given(body=st.one_of(st.binary(max_size=40), st.sampled_from([b"[" * 100_000, b'{"any":' * 5000, b"", b"\xff\xfe{}", b'{"word":"\xff"}', b'{"\xff":1}'])))
@example(body=b'{"small":1,"any":2,"ratio":0.5,"signed":null,"yes":true,"word":"\xed\xa0\x80","grade":1,"counts":[1]}')
@example(body=b'{"small":1,"any":2,"ratio":0.5,"signed":null,"yes":true,"word":"a","grade":1,"counts":' + b"[" * 2000)
def test_bytes_that_are_no_such_object(body: bytes) -> None:
    same("every", body)


@settings(max_examples=300, deadline=None)
@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_their_last_bit(number: float) -> None:
    row = CONTRACTS["every"].decode(json.dumps(EXAMPLE | {"signed": number}).encode())
    assert math.copysign(1, row.signed) == math.copysign(1, number)  # type: ignore[attr-defined]
    assert row.signed == number == json.loads(CONTRACTS["every"].encode(row))["signed"]  # type: ignore[attr-defined]


def test_fields_are_encoded_in_the_order_of_the_schema_with_their_defaults() -> None:
    body = json.dumps(dict(reversed(EXAMPLE.items()))).encode()
    encoded = CONTRACTS["every"].encode(CONTRACTS["every"].decode(body))
    assert list(json.loads(encoded).items()) == list(Every.model_validate(EXAMPLE).model_dump().items())


def test_what_has_a_fast_form() -> None:
    fast = {name for name, contract in CONTRACTS.items() if contract.fast is not None}
    assert fast == {"attrition", "credit_scoring", "every", "tiny"}
    assert contract("tiny", title="", summary="", timeout=1, schema=SCHEMA).fast is not None


class Checked(BaseModel):
    model_config = STRICT
    age: int

    @field_validator("age")
    @classmethod
    def odd(cls, value: int) -> int:
        return value


class Lax(BaseModel):
    model_config = ConfigDict(extra="forbid")
    age: int


class Open(BaseModel):
    model_config = ConfigDict(strict=True)
    age: int


class Stripped(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", str_strip_whitespace=True)
    note: str


class Aliased(BaseModel):
    model_config = STRICT
    age: int = Field(alias="Age")


class After(BaseModel):
    model_config = STRICT
    age: Annotated[int, AfterValidator(abs)]


class LaxField(BaseModel):
    model_config = STRICT
    age: int = Field(strict=False)


class Pattern(BaseModel):
    model_config = STRICT
    note: str = Field(pattern=r"^\d+$")


class Flags(BaseModel):
    model_config = STRICT
    flag: Literal[True]


class Choice(BaseModel):
    model_config = STRICT
    value: int | str


class Multiple(BaseModel):
    model_config = STRICT
    value: int = Field(multiple_of=5)


class Beyond(BaseModel):
    model_config = STRICT
    value: int = Field(ge=2**70)


class Nested(BaseModel):
    model_config = STRICT
    inner: Open


@pytest.mark.parametrize("model", [Checked, Lax, Open, Stripped, Aliased, After, LaxField, Pattern, Flags, Choice, Multiple, Beyond, Nested])
def test_what_pydantic_decides_alone(model: type[BaseModel]) -> None:
    assert decoder(model) is None


def test_rows_that_are_no_json() -> None:
    tiny = CONTRACTS["tiny"]
    assert json.loads(tiny.encode(tiny.decode_python({"age": "41", "income": "1.5"}, lax=True))) == {"age": 41, "income": 1.5, "note": "none"}
    with pytest.raises(Problem) as refused:
        tiny.decode_python({"age": "41", "income": math.nan})
    assert [error["field"] for error in refused.value.errors or []] == ["age", "income"]


def test_a_text_that_postgresql_cannot_keep_is_named() -> None:
    tiny = CONTRACTS["tiny"]
    with pytest.raises(Problem) as refused:
        tiny.encode(tiny.decode(b'{"age": 1, "note": "a\\u0000b"}'))
    assert [error["field"] for error in refused.value.errors or []] == ["note"]
    assert json.loads(tiny.encode(tiny.decode(b'{"age": 1, "note": "a\\\\u0000b"}')))["note"] == "a\\u0000b"
