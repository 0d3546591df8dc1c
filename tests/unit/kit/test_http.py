from typing import Annotated

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.requests import Request

from services.kit import errors, http


class Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    amount: Annotated[float, Field(ge=0)]
    password: Annotated[str, Field(min_length=5)] = "secret"


ADAPTER = TypeAdapter(list[Row])


@pytest.fixture
def client() -> AsyncClient:
    app = FastAPI()
    http.install(app)

    @app.post("/rows")
    async def rows(request: Request) -> int:
        return len(await http.read_json(request, ADAPTER, 20_000))

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError("the connection string is postgresql://user:secret@host")

    return AsyncClient(transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://test")


async def post(client: AsyncClient, body: str, kind: str = "application/json") -> dict[str, object]:
    answer = await client.post("/rows", content=body, headers={"Content-Type": kind})
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"] == answer.json()["request_id"]
        assert answer.json()["status"] == answer.status_code
    return {"code": answer.status_code, "body": answer.json()}


async def test_every_wrong_field_is_named_at_once(client: AsyncClient) -> None:
    answer = await post(client, '[{"amount": -1, "more": "x"}, {"amount": "1"}, {}]')
    assert answer["code"] == 422
    assert answer["body"]["errors"] == [  # type: ignore[index]
        {"field": "0.amount", "rule": "Input should be greater than or equal to 0", "value": -1},
        {"field": "0.more", "rule": "Extra inputs are not permitted", "value": "x"},
        {"field": "1.amount", "rule": "Input should be a valid number", "value": "1"},
        {"field": "2.amount", "rule": "Field required", "value": None},
    ]


async def test_a_secret_is_never_repeated(client: AsyncClient) -> None:
    answer = await post(client, '[{"amount": 1, "password": "1234"}]')
    assert answer["body"]["errors"][0]["value"] is None  # type: ignore[index]


async def test_the_list_of_errors_is_bounded_and_says_so(client: AsyncClient) -> None:
    answer = await post(client, "[" + ",".join(["{}"] * 1500) + "]")
    assert len(answer["body"]["errors"]) == http.SHOWN_ERRORS  # type: ignore[index]
    assert answer["body"]["detail"] == "1500 field errors, of which 1000 are listed: see `errors`."  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        ("", "application/json", 400),
        ("{", "application/json", 400),
        ("[" * 5000 + "]" * 5000, "application/json", 400),
        ('[{"amount": NaN}]', "application/json", 422),
        ('[{"amount": 1e999}]', "application/json", 422),
        ("[]", "text/plain", 415),
        (" " * 20_001, "application/json", 413),
        ("[]", "application/json; charset=utf-8", 200),
    ],
)
async def test_bad_bodies_are_the_clients_mistake(client: AsyncClient, body: str, kind: str, code: int) -> None:
    assert (await post(client, body, kind))["code"] == code


async def test_an_unexpected_error_tells_nothing_but_its_id(client: AsyncClient) -> None:
    answer = await client.get("/fails", headers={"X-Request-ID": "my-request-1"})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "my-request-1"
    assert "secret" not in answer.text


@pytest.mark.parametrize("given", ["short", "x" * 65, "has spaces in it", "newline\\n-in-it"])
async def test_an_ill_formed_request_id_is_replaced(client: AsyncClient, given: str) -> None:
    answer = await client.get("/nothing", headers={"X-Request-ID": given})
    assert answer.status_code == 404
    assert answer.headers["x-request-id"] not in ("", given)


def test_every_problem_has_its_own_status_and_title() -> None:
    kinds = errors.Problem.__subclasses__()
    assert len({kind.title for kind in kinds}) == len({kind.status for kind in kinds}) == len(kinds)
