"""Who is logged in. The browser holds one HttpOnly cookie; tokens are kept here, in the memory of the process that also runs the pages.

The cookie is `ID.REFRESH_TOKEN`. A page knows the session by its id alone. The refresh token is there for a page load that meets a process which does not
know the id (it was restarted, or it is another replica): with it the session is opened again, and the cookie renewed. A refresh token works once, so several
replicas need sticky sessions, as Streamlit's own WebSocket does.
"""

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

from frontend.problems import SessionOver
from frontend.wire import Wire

COOKIE = "modelyard_session"
COOKIE_SECONDS = 30 * 24 * 3600
EARLY_SECONDS = 30
"""An access token is renewed this long before it ends, so that none ends on its way."""
MOST = 10_000
"""Sessions in memory; the one that was used longest ago goes first, and comes back with its cookie."""


@dataclass
class Session:
    id: str
    username: str
    role: str
    access: str
    refresh: str
    ends: float
    """Of the access token, by the monotonic clock."""
    lock: Lock = field(default_factory=Lock)

    @property
    def cookie(self) -> str:
        return f"{self.id}.{self.refresh}"

    def token(self, wire: Wire, spent: str | None = None) -> str:
        """An access token that works; `spent` is one that the gateway has just refused. Raises SessionOver and Away."""
        with self.lock:  # pages of one session run in parallel, and a refresh token works once
            if self.access == spent or self.ends - EARLY_SECONDS < time.monotonic():
                self._take(wire.json("POST", "/auth/refresh", json={"refresh_token": self.refresh}))
            return self.access

    def _take(self, tokens: dict[str, object]) -> None:
        self.access, self.refresh = str(tokens["access_token"]), str(tokens["refresh_token"])
        self.ends = time.monotonic() + float(str(tokens["expires_in"]))
        self.username, self.role = str(tokens["username"]), str(tokens["role"])


class Sessions:
    def __init__(self) -> None:
        self._known: OrderedDict[str, Session] = OrderedDict()
        self._lock = Lock()
        self._reopening = Lock()

    def log_in(self, wire: Wire, username: str, password: str) -> Session:
        """Raises SessionOver when the gateway does not know them, GatewayError otherwise."""
        return self._open(wire.json("POST", "/auth/login", json={"username": username, "password": password}))

    def get(self, key: str | None) -> Session | None:
        with self._lock:
            session = self._known.get(key or "")
            if session:
                self._known.move_to_end(session.id)
            return session

    def of_cookie(self, wire: Wire, value: str) -> Session | None:
        """The session of a cookie, opened again if need be; None when it is over. Raises Away."""
        key, _, refresh = value.partition(".")
        with self._reopening:  # two tabs that reload after a restart bring the same token
            session = self.get(key)
            if session is None and key and refresh:
                try:
                    session = self._open(wire.json("POST", "/auth/refresh", json={"refresh_token": refresh}), key)
                except SessionOver:
                    return None
            return session

    def forget(self, key: str) -> None:
        with self._lock:
            self._known.pop(key, None)

    def _open(self, tokens: dict[str, object], key: str = "") -> Session:
        session = Session(key or secrets.token_urlsafe(24), "", "", "", "", 0.0)
        session._take(tokens)
        with self._lock:
            self._known[session.id] = session
            while len(self._known) > MOST:
                self._known.popitem(last=False)
        return session


SESSIONS = Sessions()
"""One for the process: the routes that log in and the scripts of the pages share it."""
