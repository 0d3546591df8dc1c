"""`python -m services.control` with the fake pipeline."""

import os

from bentos import catalogue
from services.control.app import create_app
from services.control.settings import Settings
from services.kit import logging, service
from tests.integration.control_server import FAKE_PIPELINE

if __name__ == "__main__":
    settings = Settings()  # type: ignore[call-arg]
    logging.configure("control", settings)
    app = create_app(settings, catalogue.load(), pipeline=FAKE_PIPELINE, environment=os.environ)
    service.serve(app, host=settings.host, port=settings.port, stopping=app.state.waiters.close)
