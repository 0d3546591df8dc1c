"""`python -m services.control` with rules that a few rows satisfy."""

import os

from services.control.app import create_app
from services.control.settings import Settings
from services.kit import logging, service
from tests.integration.test_control_rollouts import AUTOMATIC, models

if __name__ == "__main__":
    settings = Settings()  # type: ignore[call-arg]
    logging.configure("control", settings)
    app = create_app(settings, models(AUTOMATIC), pipeline=["false"], environment=os.environ)
    service.serve(app, host=settings.host, port=settings.port, stopping=app.state.waiters.close)
