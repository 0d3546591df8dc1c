"""The gateway's process: the only module here with side effects."""

from services.gateway.app import create
from services.gateway.auth.passwords import Passwords
from services.gateway.lifespan import running
from services.gateway.predictions import contracts
from services.gateway.settings import Settings
from services.kit import logging, metrics, service
from services.kit.settings import read


def main() -> None:
    settings = read("gateway", Settings)
    logging.configure("gateway", settings)
    known = contracts.of_catalogue()
    app = create(known, lambda: running(settings, known, Passwords()))
    metrics.serve(settings.metrics_port, settings.host)
    service.serve(app, host=settings.host, port=settings.port)
