"""The one module of control with side effects: reads the environment, configures logging, opens the ports."""

import os
import sys

from bentos import catalogue
from services.control.app import create_app
from services.control.settings import Settings
from services.kit import logging, metrics, service
from services.kit.settings import read


def step_environment(settings: Settings) -> dict[str, str]:
    """What a pipeline step sees: ours without control's own settings (the database's address among them), plus its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith("CONTROL_")}
    return inherited | {
        "MLFLOW_TRACKING_URI": settings.mlflow_url,
        "PIPELINE_ENVIRONMENT": settings.environment,
        "PIPELINE_CONTROL_URL": settings.url,
        "PIPELINE_CONTROL_TOKEN": settings.token.get_secret_value(),
        "PYTHONUNBUFFERED": "1",
    }


def main() -> None:
    settings = read("control", Settings)
    logging.configure("control", settings)
    metrics.serve(settings.metrics_port, settings.host, logs=settings.log_dir)
    app = create_app(settings, catalogue.load(), pipeline=[sys.executable, "-m", "services.pipeline"], environment=step_environment(settings))
    service.serve(app, host=settings.host, port=settings.port, stopping=app.state.waiters.close)
