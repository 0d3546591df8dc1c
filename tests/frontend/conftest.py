"""Pages as Streamlit runs them, against the small gateway."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from frontend import settings as settings_module
from frontend import wire as wire_module
from frontend.sessions import SESSIONS
from frontend.wire import wire
from tests.frontend.fake_gateway import PASSWORD, FakeGateway
from tests.frontend.serving import serving

APP = Path(__file__).resolve().parents[2] / "frontend/app.py"
Open = Callable[..., AppTest]

# Every AppTest is a Streamlit that starts, and reads what hundreds of installed packages say of themselves: once is enough.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    with serving(FakeGateway()) as running:
        monkeypatch.setenv("FRONTEND_GATEWAY_URL", running.url)
        settings_module.settings.cache_clear()
        wire_module.wire.cache_clear()
        st.cache_data.clear()
        yield running
        wire().close()
    settings_module.settings.cache_clear()
    wire_module.wire.cache_clear()


@pytest.fixture
def page(gateway: FakeGateway) -> Open:
    """Opens a page as somebody; the role is the user's name."""

    def opened(name: str, role: str = "analyst", **query: str) -> AppTest:
        test = AppTest.from_file(str(APP), default_timeout=20)
        test.session_state["session"] = SESSIONS.log_in(wire(), role, PASSWORD).id
        for key, value in query.items():
            test.query_params[key] = value
        test.run()
        if name != "home":
            test.switch_page(f"app_pages/{name}.py").run()
        return test

    return opened
