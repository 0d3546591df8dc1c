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
    """An API key of an account with the role analyst, for the steps `predict` and `forecast`, and `score` with audit rows."""
    tables_url: SecretStr | None = None
    """PostgreSQL with tables that may be scored, for a role that may read them and nothing else; for the step `ingest` with a table as its input."""
    part_rows: int = Field(50_000, ge=100, le=200_000)
    """Rows of a part of a file or a table that is scored: what is in a process's memory at a time, and what is repeated after an end by force."""
    actor: str = "pipeline"
    """Who asked for the run: the ledger names them when it promotes."""

    revision: str | None = None
    """Commit of the code that trains; images say it. Without it, that of the repository that the code stands in."""

    @field_validator("gateway_key", "tables_url")
    @classmethod
    def empty_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is not None and value.get_secret_value() else None
