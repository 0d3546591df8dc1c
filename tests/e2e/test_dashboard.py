"""What people do in the browser, from log-in to log-out, each journey as its person."""

import csv
import io
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from bentos.schemas import schema
from tests.e2e.conftest import Platform
from tests.e2e.platforms import laptop_only

CHROMIUM = Path("/usr/bin/chromium")
MODEL, TITLE = "attrition", "Employee attrition"
PASSWORD = "a password for e2e"
SECONDS = 30_000

pytestmark = [laptop_only, pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium: apt install chromium")]


@pytest.fixture(scope="module")
def urls(platform: Platform) -> dict[str, str]:
    services = json.loads(platform.modelyard("status", "--json").stdout)["services"]
    return {name: str(services[name]["url"]) for name in ("gateway", "frontend")}


@pytest.fixture(scope="module")
def admin(platform: Platform, urls: dict[str, str]) -> Iterator[httpx.Client]:
    """Makes one user of each role, and asks the gateway what the pages have done."""
    token = platform.modelyard("token").stdout.strip()
    with httpx.Client(base_url=urls["gateway"], headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        for role in ("viewer", "analyst", "engineer", "admin"):
            made = client.post("/auth/signup", json={"username": f"e2e-{role}", "password": PASSWORD, "role": role})
            assert made.status_code in (201, 409), made.text
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-background-networking"])
        yield opened
        opened.close()


@contextmanager
def person(browser: Browser, urls: dict[str, str], role: str, password: str = PASSWORD) -> Iterator[Page]:
    """Somebody who has just logged in. No page may show a fault of ours, whatever the journey."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, locale="en-GB", timezone_id="Europe/Paris")
    context.set_default_timeout(SECONDS)
    page = context.new_page()
    try:
        page.goto(urls["frontend"])
        page.get_by_label("User name").fill(role if "-" in role else f"e2e-{role}")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()
        heading(page, "Home")
        yield page
        expect(page.get_by_text("which is our fault")).to_have_count(0)
    except Exception:
        shots = os.environ.get("MODELYARD_SCREENSHOTS")
        if shots:
            page.screenshot(path=str(Path(shots) / f"failed-{role}.png"), full_page=True)
        raise
    finally:
        context.close()


def heading(page: Page, title: str) -> None:
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible(timeout=SECONDS)


def settled(page: Page) -> None:
    """Until no script runs."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=SECONDS)


def go(page: Page, title: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()
    heading(page, title)
    settled(page)


def choose(page: Page, title: str) -> None:
    page.get_by_test_id("stMain").get_by_role("radio", name=title, exact=True).or_(
        page.get_by_test_id("stMain").get_by_role("button", name=title, exact=True)
    ).first.click()
    settled(page)


def button(page: Page, name: str) -> Locator:
    """Also in a popover, which is outside of the page's main part."""
    return page.get_by_role("button", name=re.compile(rf"(^|\s){re.escape(name)}$")).first


def table(rows: int) -> bytes:
    text = io.StringIO()
    example: dict[str, Any] = schema(MODEL).EXAMPLE
    writer = csv.DictWriter(text, list(example))
    writer.writeheader()
    writer.writerows([example] * rows)
    writer.writerow(example | {"age": "old"})
    return text.getvalue().encode()


def test_log_in_predict_explain_history(browser: Browser, urls: dict[str, str], admin: httpx.Client) -> None:
    with person(browser, urls, "analyst") as page:
        go(page, "Predict")
        choose(page, TITLE)
        button(page, "Fill in an example").click()
        settled(page)
        button(page, "Predict").click()
        expect(page.get_by_role("heading", name=re.compile("^(Leaves|Stays)"))).to_be_visible()
        newest = admin.get("/predict/history", params={"username": "e2e-analyst", "limit": 1}).json()["predictions"][0]
        assert newest["model"] == MODEL
        assert newest["input"] == schema(MODEL).EXAMPLE
        expect(page.get_by_text(newest["prediction_id"])).to_be_visible()
        expect(page.get_by_text("The bars lead from").first).to_be_visible()
        page.get_by_role("tab", name="As curl").click()
        expect(page.get_by_text("X-API-Key").first).to_be_visible()
        page.reload()
        heading(page, "Predict")  # the cookie outlives the page
        go(page, "History")
        page.goto(f"{urls['frontend']}/history?prediction={newest['prediction_id']}")
        heading(page, "History")
        expect(page.get_by_text(newest["request_id"])).to_be_visible()
        expect(page.get_by_role("tab", name="Outcome")).to_be_visible()


def test_upload_batch_and_download(browser: Browser, urls: dict[str, str], admin: httpx.Client) -> None:
    with person(browser, urls, "analyst") as page:
        go(page, "Batch")
        choose(page, TITLE)
        page.locator("input[type=file]").set_input_files({"name": "staff.csv", "mimeType": "text/csv", "buffer": table(40)})
        button(page, "Predict all rows").click()
        expect(page.get_by_role("heading", name="Answers for staff.csv")).to_be_visible()
        metrics = page.get_by_test_id("stMetric")
        expect(metrics.filter(has_text="Not answered")).to_contain_text("1")
        expect(metrics.filter(has_text="Answered").first).to_contain_text("40")
        with page.expect_download() as download:
            button(page, "Download CSV").click()
        rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
        assert len(rows) == 41
        assert len({row["prediction_id"] for row in rows if row["prediction_id"]}) == 40
        assert "age" in rows[40]["error"]


def test_train_see_steps_promote_and_roll_back(browser: Browser, urls: dict[str, str], admin: httpx.Client) -> None:
    before = admin.get(f"/models/{MODEL}").json()["champion"]["version"]
    with person(browser, urls, "engineer") as page:
        go(page, "Training")
        page.get_by_text("More", exact=True).click()
        page.get_by_role("spinbutton", name="Rows").or_(page.get_by_role("textbox", name="Rows")).first.fill("1500")
        page.get_by_role("textbox", name="Reason").first.fill("a journey in the browser")
        page.get_by_role("combobox", name=re.compile("Model")).first.click()
        page.get_by_role("option", name=TITLE).click()
        button(page, "Start").click()
        expect(page.get_by_text("ingest").first).to_be_visible()
        expect(page.get_by_text("succeeded").first).to_be_visible(timeout=240_000)
        newest = admin.get(f"/models/{MODEL}").json()["latest_version"]
        assert newest != before
        if admin.get(f"/models/{MODEL}").json()["champion"]["version"] == newest:  # it passed its gate, and serves already
            assert admin.post(f"/models/{MODEL}/rollback", json={"reason": "so that the page can promote it"}).status_code == 200
        page.goto(f"{urls['frontend']}/models?model={MODEL}")
        heading(page, "Models")
        settled(page)
        admin_promotes_by_page(page, admin, newest)
        button(page, "Roll back").click()
        page.get_by_placeholder("what is wrong").fill("the journey ends")
        button(page, "Roll back now").click()
        champion_is(admin, before)


def admin_promotes_by_page(page: Page, admin: httpx.Client, version: str) -> None:
    """The newest version is the first row; the table is a canvas, whose first column chooses."""
    canvas = page.get_by_test_id("stDataFrame").filter(has=page.locator("canvas")).nth(1)
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 18, box["y"] + 52)
    settled(page)
    button(page, "Promote").click()
    page.get_by_placeholder("why this version").fill("a journey in the browser")
    insist = page.get_by_text("Insist, although the gate said no")
    if insist.count():
        insist.click()
    button(page, "Promote now").click()
    champion_is(admin, version)


def champion_is(admin: httpx.Client, version: str) -> None:
    deadline = time.monotonic() + 20
    while admin.get(f"/models/{MODEL}").json()["champion"]["version"] != version:
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_add_asset_and_see_its_chart(browser: Browser, urls: dict[str, str], admin: httpx.Client) -> None:
    with person(browser, urls, "admin") as page:
        go(page, "Crypto")
        button(page, "Add an asset").click()
        page.get_by_role("textbox", name="What Kraken offers").fill("XBTUSD")
        page.get_by_role("textbox", name="What Kraken offers").press("Enter")
        settled(page)
        button(page, "Add").click()
        expect(page.get_by_test_id("stMetric").filter(has_text="XBT").first).to_be_visible()
        expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=60_000)


def test_a_created_user_has_the_pages_of_the_role_and_no_others(browser: Browser, urls: dict[str, str], admin: httpx.Client) -> None:
    name = f"eva-{os.getpid()}"
    with person(browser, urls, "admin") as page:
        go(page, "Create user")
        page.get_by_role("textbox", name="User name").fill(name)
        page.get_by_role("textbox", name="First password").fill(PASSWORD)
        button(page, "Create user").click()
        expect(page.get_by_text("has an account with the role")).to_be_visible()
    with person(browser, urls, name) as page:
        links = page.get_by_test_id("stSidebarNav").get_by_role("link")
        assert [text.strip().rpartition("\n")[2] for text in links.all_inner_texts()] == ["Home", "Predict", "History", "Crypto", "Models", "Status", "Account"]
        for hidden in ("administration", "create_user", "batch", "training", "monitoring"):
            page.goto(f"{urls['frontend']}/{hidden}")
            expect(page.get_by_text("Page not found")).to_be_visible()
            expect(page.get_by_role("heading", name="Home", level=1)).to_have_count(1)
        page.goto(urls["frontend"])
        heading(page, "Home")
        go(page, "Predict")
        choose(page, TITLE)
        button(page, "Fill in an example").click()
        settled(page)
        button(page, "Predict").click()
        expect(page.get_by_role("heading", name=re.compile("^(Leaves|Stays)"))).to_be_visible()
        page.get_by_role("link", name="Log out").click()
        expect(page.get_by_text("You are logged out.")).to_be_visible()
        page.goto(f"{urls['frontend']}/predict")
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
    admin.delete(f"/auth/users/{name}").raise_for_status()


def test_the_cookie_is_out_of_reach_of_scripts_and_the_policy_holds(browser: Browser, urls: dict[str, str], admin: httpx.Client) -> None:
    refused: list[str] = []
    with person(browser, urls, "viewer") as page:
        page.on("console", lambda message: refused.append(message.text) if "Content Security Policy" in message.text else None)
        (cookie,) = [one for one in page.context.cookies() if one["name"] == "modelyard_session"]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        assert "modelyard_session" not in page.evaluate("document.cookie")
        for title in ("Predict", "History", "Models", "Status", "Account"):
            go(page, title)
    assert not refused
