"""The way to the gateway: tokens, errors, log-in and cookies."""

import asyncio
import re
import threading
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from frontend import log_in, problems
from frontend.door import Door
from frontend.gateway_client import Gateway
from frontend.problems import Away, GatewayError, NotOffered, SessionOver
from frontend.sessions import COOKIE, SESSIONS, Sessions
from frontend.wire import Wire, wire
from tests.frontend.fake_gateway import PASSWORD, FakeGateway

HTML = {"Accept": "text/html"}


@pytest.fixture
def client(gateway: FakeGateway) -> Gateway:
    return Gateway(SESSIONS.log_in(wire(), "admin", PASSWORD))


class Browser:
    """Keeps cookies, follows nothing."""

    def __init__(self, app: Starlette) -> None:
        self._app = app
        self.cookies = httpx.Cookies()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._ask("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self._ask("POST", path, **options)

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://dashboard", cookies=self.cookies) as client:
                answer = await client.request(method, path, **options)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())


@pytest.fixture
def browser(gateway: FakeGateway) -> Browser:
    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("a page")

    return Browser(Starlette(routes=[*log_in.routes(""), Route("/{rest:path}", page)], middleware=[Middleware(Door, base="")]))


def enter(browser: Browser, **given: str) -> httpx.Response:
    return browser.post("/auth/login", data={"username": "admin", "password": PASSWORD} | given)


def test_a_token_that_ends_is_renewed_once_for_all_pages(client: Gateway, gateway: FakeGateway) -> None:
    client.session.ends = 0
    threads = [threading.Thread(target=client.me) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gateway.refreshes == 1


def test_a_token_that_the_gateway_has_forgotten_is_renewed(client: Gateway, gateway: FakeGateway) -> None:
    gateway.tokens.clear()
    assert client.me()["username"] == "admin"
    assert gateway.refreshes == 1


def test_a_session_that_was_ended_elsewhere_is_over(client: Gateway, gateway: FakeGateway) -> None:
    gateway.tokens.clear()
    gateway.refresh_tokens.clear()
    with pytest.raises(SessionOver):
        client.me()


def test_nobody_at_the_address_is_away() -> None:
    nobody = Wire("http://127.0.0.1:9", 1.0)
    with pytest.raises(Away, match="cannot be reached"):
        nobody.json("GET", "/health")
    nobody.close()


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (404, {"detail": "There is nothing at /x."}, NotOffered, "nothing at"),
        (404, {"detail": "There is no prediction 1."}, GatewayError, "no prediction"),
        (405, {}, NotOffered, "405"),
        (503, {"detail": "Control cannot be reached."}, Away, "Control"),
        (502, "<html>", Away, "502"),
        (422, {"detail": "1 field error", "errors": [{"field": "age", "rule": "too young", "value": 3}]}, GatewayError, "1 field"),
        (500, ["not an object"], GatewayError, "500"),
        (401, {"detail": "The access token is not valid."}, SessionOver, "access token"),
    ],
)
def test_errors_have_a_kind_and_words(status: int, body: Any, kind: type[GatewayError], words: str) -> None:
    answer = httpx.Response(status, text=body) if isinstance(body, str) else httpx.Response(status, json=body)
    found = problems.of_answer(answer)
    assert type(found) is kind
    assert words in found.words
    assert [one.field for one in found.errors] == (["age"] if status == 422 else [])


def test_an_answer_that_is_no_json_is_told(client: Gateway, gateway: FakeGateway) -> None:
    with pytest.raises(Away, match="could not be read"):
        wire().json("GET", "/predictions/x/report.pdf", headers={"Authorization": f"Bearer {client.session.access}"})


def test_logging_in_sets_a_cookie_that_scripts_cannot_read(browser: Browser) -> None:
    answer = enter(browser, next="/models?model=loans")
    assert (answer.status_code, answer.headers["location"]) == (303, "/models?model=loans")
    assert re.search(rf"{COOKIE}=.*HttpOnly.*SameSite=Lax", answer.headers["set-cookie"])
    assert "Secure" not in answer.headers["set-cookie"]
    assert browser.get("/models", headers=HTML).text == "a page"


def test_the_cookie_is_secure_behind_https(browser: Browser) -> None:
    answer = browser.post("/auth/login", data={"username": "admin", "password": PASSWORD}, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["set-cookie"]


def test_a_page_without_a_session_leads_to_the_log_in_and_back(browser: Browser) -> None:
    answer = browser.get("/history?model=loans", headers=HTML)
    assert answer.headers["location"] == "/auth/login?next=/history%3Fmodel%3Dloans"
    assert 'value="/history?model=loans"' in browser.get(answer.headers["location"]).text


@pytest.mark.parametrize("there", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "/x\r\nSet-Cookie: a=b", ""])
def test_the_way_back_stays_here(browser: Browser, there: str) -> None:
    assert enter(browser, next=there).headers["location"] == "/"


def test_a_wrong_password_is_told_and_the_name_is_kept(browser: Browser) -> None:
    answer = enter(browser, username='a"<b>', password="wrong")
    assert answer.status_code == 401
    assert "User name or password is wrong" in answer.text
    assert 'value="a&quot;&lt;b&gt;"' in answer.text


def test_forms_of_other_sites_are_refused(browser: Browser) -> None:
    answer = browser.post("/auth/login", data={"username": "admin", "password": PASSWORD}, headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_logging_out_ends_the_session_at_the_gateway_too(browser: Browser, gateway: FakeGateway) -> None:
    enter(browser)
    answer = browser.get("/auth/logout")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert not gateway.tokens
    assert browser.get("/", headers=HTML).status_code == 303


def test_a_session_survives_a_restart_of_the_dashboard(browser: Browser, gateway: FakeGateway) -> None:
    enter(browser)
    key = browser.cookies[COOKIE].partition(".")[0]
    SESSIONS.forget(key)
    answer = browser.get("/", headers=HTML)
    assert (answer.status_code, gateway.refreshes) == (200, 1)
    assert COOKIE in answer.headers["set-cookie"]
    assert SESSIONS.get(key) is not None


def test_a_session_that_is_over_leads_to_the_log_in_with_a_word(browser: Browser, gateway: FakeGateway) -> None:
    enter(browser)
    SESSIONS.forget(browser.cookies[COOKIE].partition(".")[0])
    gateway.refresh_tokens.clear()
    answer = browser.get("/", headers=HTML)
    assert answer.headers["location"].endswith("&ended=1")
    assert "Your session has ended" in browser.get(answer.headers["location"]).text


def test_a_gateway_that_is_away_leaves_the_door_open_for_a_notice(browser: Browser, gateway: FakeGateway) -> None:
    enter(browser)
    SESSIONS.forget(browser.cookies[COOKIE].partition(".")[0])
    gateway.away = {"/auth": 503}
    assert browser.get("/", headers=HTML).text == "a page"


def test_every_answer_has_security_headers(browser: Browser) -> None:
    for path in ("/auth/login", "/static/x.js", "/"):
        headers = browser.get(path, headers=HTML).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_sessions_are_bounded(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontend.sessions.MOST", 3)
    few = Sessions()
    made = [few.log_in(wire(), "admin", PASSWORD) for _ in range(5)]
    assert [few.get(one.id) is not None for one in made] == [False, False, True, True, True]
