"""`python -m bentos.serving --model M`: one process, one model. BentoML's own `bentoml serve` starts two processes and more memory."""

import argparse
import os
from importlib import import_module

from starlette.types import ASGIApp, Receive, Scope, Send

from bentos import catalogue
from bentos.serving.settings import RunnerSettings
from services.kit.settings import read

GRACE_SECONDS = 5
HOT_PATHS = frozenset({"/rows", "/columns", "/explain", "/slots", "/metrics"})
PROTOCOL = "/v2"


class Outermost:
    """Hot paths go past Bento; its own routes, probes and the lifespan go to it."""

    def __init__(self, bento: ASGIApp, hot: ASGIApp) -> None:
        self._bento, self._hot = bento, hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hot = scope["type"] == "http" and (scope["path"] in HOT_PATHS or scope["path"].startswith(PROTOCOL))
        await (self._hot if hot else self._bento)(scope, receive, send)


def app(model: str) -> ASGIApp:
    """The model's Bento as one ASGI app. Imports BentoML."""
    module = import_module(f"bentos.{model}.service")
    return Outermost(module.Runner.to_asgi(), module.hot)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bentos.serving", description="Serves the champion of one model. Settings: RUNNER_* variables.")
    parser.add_argument("--model", default=os.environ.get("RUNNER_MODEL"), help=f"one of {', '.join(catalogue.names())}; default: RUNNER_MODEL")
    model = parser.parse_args().model
    if model not in catalogue.names():
        parser.error(f"--model must be one of {', '.join(catalogue.names())}, not {model or 'absent'}")
    os.environ["RUNNER_MODEL"] = model
    settings = read("runner", RunnerSettings, model=model)
    # BentoML reads these when it is imported. Its home is shared with nobody: it deletes folders in it at start.
    os.environ["BENTOML_DO_NOT_TRACK"] = "true"
    os.environ["BENTOML_HOME"] = str(settings.cache_dir / "bentoml")
    from services.kit import logging, service

    runner = app(model)
    logging.configure("runner", settings)
    service.serve(runner, host=settings.host, port=settings.port, grace_seconds=GRACE_SECONDS, drain_seconds=settings.drain_seconds)


if __name__ == "__main__":
    main()
