"""The small gateway as a real HTTP server. `python -m tests.frontend.serving 8777` is for looking at the pages without a platform."""

import json
import math
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.frontend.fake_gateway import FakeGateway, Problem


@contextmanager
def serving(gateway: FakeGateway, port: int = 0) -> Iterator[FakeGateway]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            body = _chunked(self.rfile) if self.headers.get("Transfer-Encoding") else self.rfile.read(int(self.headers.get("Content-Length") or 0))
            more: dict[str, str] = {}
            kind = "application/json"
            try:
                status, answer = gateway.answer(
                    self.command, parts.path, dict(parse_qsl(parts.query)), body, self.headers.get("Authorization", "").removeprefix("Bearer ")
                )
                if isinstance(answer, tuple):
                    answer, more = answer
            except Problem as problem:
                status, kind = problem.status, "application/problem+json"
                answer = {"type": "urn:x", "title": "No", "status": status, "detail": problem.detail, "request_id": "0f" * 16} | (
                    {"errors": problem.errors} if problem.errors else {}
                )
            content = b"" if answer is None else answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    gateway.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield gateway
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _chunked(stream: Any) -> bytes:
    found = b""
    while size := int(stream.readline(), 16):
        found += stream.read(size)
        stream.readline()
    stream.readline()
    return found


if __name__ == "__main__":
    made = FakeGateway()
    made.seed(60)
    made.seed(8, "prices")
    for index in range(0, 40, 2):
        made.predictions[index]["outcome"] = {"value": float(math.sin(index) > 0.3), "recorded_at": made.predictions[index]["created_at"], "actor": "analyst"}
    with serving(made, int(sys.argv[1])):
        while True:
            time.sleep(60)
