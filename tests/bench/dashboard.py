"""`python -m tests.bench.dashboard URL USER PASSWORD`: how long each page takes until it can be used, alone and with twenty sessions at once."""

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Browser, Page, async_playwright
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from frontend.navigation import PAGES

Say = Callable[[str], None]

CHROMIUM = Path("/usr/bin/chromium")
TITLES = {entry.title: "" if entry.name == "home" else entry.name for entry in PAGES}
PEOPLE = 20
TURNS = 3
MOST_SECONDS = 1.0
PATIENCE_MS = 30_000
IDLE = """() => document.querySelector('[data-testid="stApp"]')?.getAttribute('data-test-script-state') === 'notRunning'
    && !document.querySelector('[data-testid="stSkeleton"], [data-stale="true"]')"""


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-background-networking"])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def person(browser: Browser, url: str, username: str, password: str) -> AsyncIterator[Page]:
    """Somebody who has logged in."""
    context = await browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    try:
        page = await context.new_page()
        await page.goto(url)
        await page.get_by_label("User name").fill(username)
        await page.get_by_label("Password").fill(password)
        await page.get_by_role("button", name="Log in").click()
        await _usable(page, "Home")
        yield page
    finally:
        await context.close()


async def _usable(page: Page, title: str) -> None:
    """Nothing is computed any more, and nothing is still to be drawn."""
    await page.get_by_role("heading", name=title, level=1, exact=True).wait_for()
    await page.wait_for_function(IDLE)


async def _by_menu(page: Page, title: str) -> float:
    began = time.perf_counter()
    await page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()
    await _usable(page, title)
    return time.perf_counter() - began


async def _anew(page: Page, url: str, title: str) -> float:
    """The whole dashboard loaded again, as by the address bar."""
    began = time.perf_counter()
    await page.goto(f"{url}/{TITLES[title]}")
    await _usable(page, title)
    return time.perf_counter() - began


async def alone(url: str, username: str, password: str) -> dict[str, dict[str, float]]:
    """By page {menu, reload}: the median of TURNS visits in seconds, after a first one that fills the caches."""
    async with browsing() as browser, person(browser, url, username, password) as page:
        for title in TITLES:
            await _anew(page, url, title)
        menu: dict[str, list[float]] = {title: [] for title in TITLES}
        reload: dict[str, list[float]] = {title: [] for title in TITLES}
        for _ in range(TURNS):
            for title in TITLES:
                menu[title].append(await _by_menu(page, title))
            for title in TITLES:
                reload[title].append(await _anew(page, url, title))
    return {title: {"menu": statistics.median(menu[title]), "reload": statistics.median(reload[title])} for title in TITLES}


async def together(url: str, username: str, password: str, people: int) -> dict[str, Any]:
    """{people, pages, errors, p50, most}: that many sessions ask for one page after the other, all at the same time; seconds until a page is complete.

    They speak Streamlit's own messages: twenty browsers would be what keeps two cores busy. One log-in for all: the gateway takes ten of a name in a minute.
    """
    taken: list[float] = []
    errors: list[str] = []

    async def journey(browserless: aiohttp.ClientSession) -> None:
        address = f"{url.replace('http', 'ws', 1)}/_stcore/stream"
        async with browserless.ws_connect(address, protocols=("streamlit",), origin=url, max_msg_size=0) as socket:
            for title, path in TITLES.items():
                began = time.perf_counter()
                await socket.send_bytes(BackMsg(rerun_script=ClientState(page_name=path)).SerializeToString())
                errors.extend(f"{title}: {words}" for words in await _complete(socket, title))
                taken.append(time.perf_counter() - began)

    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browserless:  # which takes cookies of an IP address too
        form = {"username": username, "password": password, "next": "/"}
        async with browserless.post(f"{url}/auth/login", data=form, allow_redirects=False) as answer:
            if answer.status != HTTPStatus.SEE_OTHER:
                raise RuntimeError(f"the dashboard refused the log-in with {answer.status}")
        await asyncio.gather(*(journey(browserless) for _ in range(people)))
    return {"people": people, "pages": len(taken), "errors": errors, "p50": statistics.median(taken), "most": max(taken)}


async def _complete(socket: aiohttp.ClientWebSocketResponse, title: str) -> list[str]:
    """Reads until the script has run. Returns what is wrong with the page."""
    faults = ["the page has another heading"]
    async for message in socket:
        told = ForwardMsg.FromString(message.data)
        element = told.delta.new_element
        if element.HasField("heading") and element.heading.body == title:
            faults.pop(0)
        elif element.HasField("exception"):
            faults.append(element.exception.message)
        elif element.HasField("alert") and element.alert.format == Alert.ERROR:
            faults.append(element.alert.body)
        elif told.WhichOneof("type") == "script_finished":
            return faults if told.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY else [*faults, "the script did not end well"]
    return [*faults, "the connection was closed"]


def run(url: str, username: str, password: str, say: Say, people: int = PEOPLE) -> dict[str, Any]:
    """Both, with a line for each figure."""
    pages = asyncio.run(alone(url, username, password))
    for title, seconds in pages.items():
        say(f"dashboard {title:15} usable after {seconds['menu']:.2f} s from the menu, {seconds['reload']:.2f} s when all is loaded again")
    crowd = asyncio.run(together(url, username, password, people))
    say(f"dashboard {people} sessions at once: {crowd['pages']} pages, {len(crowd['errors'])} errors, p50 {crowd['p50']:.2f} s, at most {crowd['most']:.2f} s")
    for error in crowd["errors"]:
        say(f"  {error}")
    return {"pages": pages, "together": crowd}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dashboard", description=__doc__)
    parser.add_argument("url", help="of the dashboard")
    parser.add_argument("username", help="with the role admin, who has every page")
    parser.add_argument("password")
    parser.add_argument("--people", type=int, default=PEOPLE, help="at once (default: %(default)s)")
    given = parser.parse_args()
    found = run(given.url, given.username, given.password, lambda line: print(line, flush=True), given.people)
    late = [title for title, seconds in found["pages"].items() if seconds["menu"] > MOST_SECONDS]
    return 1 if late or found["together"]["errors"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
