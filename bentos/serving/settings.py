"""What a runner reads from its environment."""

import os
import socket
import tempfile
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.kit.settings import Settings


class RunnerSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="RUNNER_")

    model: str
    """Which model of the catalogue this process serves."""
    host: str = "0.0.0.0"  # noqa: S104 - a container listens on its pod's address; local mode says 127.0.0.1
    """Address to listen on."""
    port: int = Field(3000, ge=0, le=65535)
    """Port to listen on."""
    control_url: str = "http://control:8001"
    """Where the desired state comes from."""
    control_token: SecretStr = SecretStr("")
    """Sent with the reports about what serves."""
    mlflow_url: str = "http://mlflow:5000"
    """Where the files of versions come from."""
    cache_dir: Path = Field(default_factory=lambda data: Path(tempfile.gettempdir(), f"modelyard-runner-{data['model']}"))
    """Keeps the latest versions and the last desired state: a restarted runner needs nobody to serve again."""
    baked_dir: Path | None = None
    """A version built into the image: its files in `model/`, and the state that it serves in as `state.json`."""
    pin: str | None = None
    """Serve this version whatever is promoted; the catalogue's `pin` says the same for all runners of a model."""
    replica: str = Field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}")
    """This process in reports; unique among the model's runners."""
    max_concurrency: int = Field(64, ge=1)
    """Calls under way at once; one more is answered 429."""
    max_explanations: int = Field(4, ge=1)
    """Explanations under way at once, of which one is computed and the others wait; one more is answered 429."""
    drain_seconds: float = Field(2.0, ge=0, le=60)
    """How long a stopping runner still answers, and says that it stops. A gateway that has no call for it notices within 0.7 s."""
