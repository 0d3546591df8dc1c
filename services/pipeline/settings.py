"""Where the steps find the rest of the platform."""

from pydantic import Field, SecretStr, field_validator
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
    gateway_url: str = "http://127.0.0.1:8000"
    """The gateway, which the step `predict` asks."""
    gateway_key: SecretStr | None = None
    """An API key of an account with the role analyst, for the step `predict`; no other step needs it."""
    actor: str = "pipeline"
    """Who asked for the run: the ledger names them when it promotes."""

    @field_validator("gateway_key")
    @classmethod
    def empty_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is not None and value.get_secret_value() else None
