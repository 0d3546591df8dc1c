"""What the harness is tried on: a server whose cost is known. `python server.py PORT`, with its behaviour in the environment."""

import asyncio
import os
import subprocess
import sys
import time

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

BURN_MS, SLEEP_MS = float(os.environ.get("BURN_MS", "0")), float(os.environ.get("SLEEP_MS", "0"))
FAIL_EVERY = int(os.environ.get("FAIL_EVERY", "0"))
CHILD = "import sys, time\nkept = bytearray(b'x' * 60_000_000)\nwhile time.process_time() < 0.3: pass\nprint('burnt', flush=True)\nsys.stdin.read()"
answered = 0


def burn(milliseconds: float) -> None:
    until = time.thread_time() + milliseconds / 1e3
    while time.thread_time() < until:
        pass


async def work(_: Request) -> JSONResponse:
    global answered
    answered += 1
    burn(BURN_MS)
    if SLEEP_MS:
        await asyncio.sleep(SLEEP_MS / 1e3)
    return JSONResponse({"answer": 42}, 500 if FAIL_EVERY and answered % FAIL_EVERY == 0 else 200)


async def count(_: Request) -> JSONResponse:
    return JSONResponse(answered)


def start_child(_: Request) -> JSONResponse:
    """A child that has used 0.3 s of CPU and holds 60 MB when this is answered."""
    global child
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()  # type: ignore[union-attr]
    return JSONResponse({})


def end_child(_: Request) -> JSONResponse:
    child.communicate()
    return JSONResponse({})


if __name__ == "__main__":
    routes = [
        Route("/", work, methods=["POST"]),
        Route("/count", count),
        Route("/child", start_child, methods=["POST"]),
        Route("/end", end_child, methods=["POST"]),
    ]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
