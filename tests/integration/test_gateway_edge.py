"""What browsers are told, smaller answers, and a description that works without a network."""

import re

import pytest
from pydantic import ValidationError

from services.gateway.access import Role
from services.gateway.settings import Settings
from tests.gateway import EXAMPLE, Gateway, started

HERE, ELSEWHERE = "https://app.example.com", "https://evil.example.com"


async def test_every_answer_has_the_headers_that_browsers_heed(gateway: Gateway) -> None:
    ann = await gateway.user("ann")
    for method, path, body, headers in (
        ("GET", "/livez", None, {}),
        ("GET", "/nothing", None, {}),
        ("GET", "/models", None, {}),
        ("POST", "/predict/tiny", EXAMPLE, ann),
        ("POST", "/predict/tiny", {}, ann),
        ("GET", "/docs", None, {}),
    ):
        found = (await gateway.client.request(method, path, json=body, headers=headers | {"Origin": HERE})).headers
        assert (found["X-Content-Type-Options"], found["Referrer-Policy"]) == ("nosniff", "no-referrer"), path
        assert found["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert not {"Strict-Transport-Security", "Access-Control-Allow-Origin"} & {name.title() for name in found}


async def test_https_is_insisted_on_outside_a_laptop(database_url: str) -> None:
    secret = "x" * 40
    async with started(database_url, environment="production", jwt_secret=secret, control_token=secret) as gateway:
        assert "max-age=" in (await gateway.client.get("/livez")).headers["Strict-Transport-Security"]


async def test_listed_origins_are_let_in_and_no_others(database_url: str) -> None:
    async with started(database_url, cors_origins=f"{HERE}, http://localhost:3000") as gateway:
        ann = await gateway.user("ann")
        asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
        for origin, allowed in ((HERE, True), ("http://localhost:3000", True), (ELSEWHERE, False)):
            for path in ("/predict/tiny", "/models"):
                before = await gateway.client.options(path, headers={"Origin": origin} | asks)
                assert (before.status_code == 204, before.headers.get("Access-Control-Allow-Origin")) == (allowed, origin if allowed else None)
            for method, path, body in (("POST", "/predict/tiny", EXAMPLE), ("POST", "/predict/tiny", {}), ("GET", "/auth/users/me", None)):
                answer = await gateway.client.request(method, path, json=body, headers=ann | {"Origin": origin})
                assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
                assert answer.headers["Vary"].endswith("Origin")
        assert "X-Request-ID" in (await gateway.client.get("/livez", headers={"Origin": HERE})).headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("given", ["app.example.com", "https://app.example.com/", "https://app.example.com/path", "ftp://x"])
def test_an_origin_is_not_an_address(given: str) -> None:
    with pytest.raises(ValidationError, match="is not of the form"):
        Settings(database_url="postgresql://x", cors_origins=given)


async def test_large_answers_are_made_smaller_and_small_ones_are_not(gateway: Gateway) -> None:
    ann = await gateway.user("ann", Role.analyst)
    gateway.control.answers["GET /models"] = (200, {"models": [{"name": f"model {number}"} for number in range(2000)], "next": None})
    plain = await gateway.client.get("/models", headers=ann | {"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    for coding in ("gzip", "zstd"):
        answer = await gateway.client.get("/models", headers=ann | {"Accept-Encoding": coding})
        assert (answer.headers["Content-Encoding"], answer.headers["Vary"], answer.headers["ETag"]) == (coding, "Accept-Encoding", plain.headers["ETag"])
        assert answer.json() == plain.json()
        assert answer.num_bytes_downloaded < len(plain.content) / 5
    assert "Content-Encoding" not in (await gateway.client.get("/auth/users/me", headers=ann)).headers
    assert "Content-Encoding" not in (await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=ann)).headers
    exported = await gateway.client.get("/predict/history/export", headers=ann)
    assert (exported.headers.get("Content-Encoding") in ("gzip", "zstd"), exported.text.count("\n")) == (True, 2)


async def test_the_description_needs_nobody_elses_server(gateway: Gateway) -> None:
    page = (await gateway.client.get("/docs")).text
    addresses = re.findall(r"""(?:src|href|url)[=:] ?["']([^"']+)["']""", page)
    assert len(addresses) == 4
    for address in addresses:
        assert "://" not in address
        answer = await gateway.client.get(f"/{address}")
        assert (answer.status_code, len(answer.content) > 500) == (200, True), address
        assert address.endswith(".png") or "utf-8" in answer.headers.get("Content-Type", "") or address == "openapi.json"
    assert (await gateway.client.get("/docs/nothing.js")).status_code == 422
