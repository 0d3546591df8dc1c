"""The one module of control with side effects: reads the environment, configures logging, opens the ports."""

import os
import sys

from bentos import catalogue
from services.control.app import create_app
from services.control.notifications import configuration
from services.control.settings import Settings
from services.kit import logging, metrics, service
from services.kit.settings import read


def step_environment(settings: Settings) -> dict[str, str]:
    """What a pipeline step sees: ours without control's own settings (the database's address among them) and the channels' secrets, plus its own."""
    hidden = configuration.load(settings.notifications).variables()
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith("CONTROL_") and name not in hidden}
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
    try:
        environment = step_environment(settings)
    except ValueError as error:
        sys.stderr.write(f"control cannot start: CONTROL_NOTIFICATIONS: {error}\n")
        raise SystemExit(2) from None
    app = create_app(settings, catalogue.load(), pipeline=[sys.executable, "-m", "services.pipeline"], environment=environment)
    service.serve(app, host=settings.host, port=settings.port, stopping=app.state.waiters.close)
