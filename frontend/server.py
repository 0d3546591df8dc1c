"""The process of the dashboard: Streamlit, and in front of it the routes that log in and out, which alone can set an HttpOnly cookie."""

import logging
from pathlib import Path
from secrets import token_hex

import streamlit as st
from starlette.middleware import Middleware

from frontend import log_in
from frontend.door import Door
from frontend.settings import settings

log = logging.getLogger(__name__)


def broken(error: Exception) -> bool:
    """A fault of ours: the log has the whole, the person a number that finds it there."""
    number = token_hex(4)
    log.error("a page failed, number %s", number, exc_info=error)
    st.error(
        f"This page has failed, which is our fault and not yours. Nothing was changed by it. The log has the reason under the number {number}.",
        icon=":material/error:",
    )
    st.button("Try again", icon=":material/refresh:", key="broken")
    return True


def create() -> st.App:
    base = settings().base_path
    return st.App(
        Path(__file__).with_name("app.py"),
        routes=log_in.routes(base),
        middleware=[Middleware(Door, base=base)],
        on_script_error=broken,
    )


def main() -> None:
    own = settings()
    create().run(
        config={
            "server.address": own.host,
            "server.port": own.port,
            "server.baseUrlPath": own.base_path.strip("/"),
            "server.allowedHosts": own.allowed_hosts,
            "server.maxUploadSize": own.max_upload_megabytes,
        }
    )
