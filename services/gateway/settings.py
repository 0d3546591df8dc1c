"""The gateway's settings, all from GATEWAY_… in the environment."""

import secrets
from typing import Self

from limits import parse
from pydantic import Field, Secret, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from services.kit.settings import HttpSettings

MIN_PASSWORD = 12


class Settings(HttpSettings):
    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    database_url: Secret[str]
    """PostgreSQL with the migrations applied: postgresql://user:password@host:port/database."""
    control_url: str = "http://control:8001"
    """The control plane, which promotes, rolls back and lists models."""
    control_token: SecretStr = SecretStr("")
    """What control asks for before it changes anything."""
    runner_url: str = "http://runner-{model}:3000"
    """Where each model's runner answers; {model} becomes the model's name with hyphens for underscores."""
    runners: dict[str, str] = Field(default_factory=dict)
    """Runners that are elsewhere: a JSON object from model to URL."""
    runner_calls: int = Field(4, ge=1)
    """Calls to one model's runner at a time; rows that arrive meanwhile travel together in the next call."""

    jwt_secret: SecretStr = SecretStr("")
    """Signs access tokens. Empty in local mode: a new one at each start, which ends every session."""
    access_minutes: int = Field(15, ge=1, le=60)
    """Life of an access token."""
    refresh_days: int = Field(30, ge=1, le=365)
    """Life of a refresh token; each use gives a new one."""
    bootstrap_username: str = "admin"
    """Name of the first administrator, made when there are no users."""
    bootstrap_password: Secret[str] | None = None
    """Its password; without it nobody is made."""

    rate_limit: str = "600/minute"
    """Requests per user and gateway process, in the notation of the limits library."""
    login_limit: str = "10/minute"
    """Log-in attempts per user name and address."""
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1024)
    """Largest body of a batch."""
    max_row_bytes: int = Field(256 * 1024, ge=1024)
    """Largest body of everything else."""
    audit_patience_seconds: float = Field(2.0, gt=0, le=30)
    """How long an answer waits for its audit row before the caller is told to try again."""

    @field_validator("rate_limit", "login_limit")
    @classmethod
    def is_a_rate(cls, value: str) -> str:
        parse(value)
        return value

    @field_validator("bootstrap_password")
    @classmethod
    def is_long_enough(cls, value: Secret[str] | None) -> Secret[str] | None:
        if value is not None and len(value.get_secret_value()) < MIN_PASSWORD:
            raise ValueError(f"must have at least {MIN_PASSWORD} characters")
        return value

    @model_validator(mode="after")
    def signs(self) -> Self:
        """Local mode may go without a secret; elsewhere the base class has refused a short or missing one."""
        if not self.jwt_secret.get_secret_value():
            object.__setattr__(self, "jwt_secret", SecretStr(secrets.token_urlsafe(48)))
        return self

    def runner(self, model: str) -> str:
        return self.runners.get(model) or self.runner_url.format(model=model.replace("_", "-"))
