"""What a step may see of control's settings."""

from pathlib import Path

import pytest

from services.control.main import step_environment
from services.control.settings import Settings


def test_a_step_gets_addresses_and_the_token_but_not_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DATABASE_URL": "postgresql://secret", "MLFLOW_URL": "http://m", "TOKEN": "t", "URL": "http://c", "LOG_DIR": "/tmp/logs"}.items():  # noqa: S108
        monkeypatch.setenv(f"CONTROL_{name}", value)
    settings = Settings()
    assert settings.log_dir == Path("/tmp/logs")  # noqa: S108
    seen = step_environment(settings)
    assert (seen["MLFLOW_TRACKING_URI"], seen["PIPELINE_CONTROL_URL"], seen["PIPELINE_CONTROL_TOKEN"]) == ("http://m", "http://c", "t")
    assert not [name for name in seen if name.startswith("CONTROL_")]
    assert "PATH" in seen
