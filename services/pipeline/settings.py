"""Where the steps find the rest of the platform."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.kit.settings import Settings


class PipelineSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="PIPELINE_", populate_by_name=True)

    mlflow_url: str = Field("http://127.0.0.1:5000", validation_alias="MLFLOW_TRACKING_URI")
    """The tracking server, which also passes artifacts on."""
    control_url: str = "http://127.0.0.1:8001"
    """Control, told of versions and verdicts."""
    control_token: SecretStr = SecretStr("")
    """What control asks of whoever changes something."""
    actor: str = "pipeline"
    """Who asked for the run: the ledger names them when it promotes."""
