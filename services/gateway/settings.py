"""The gateway's settings, all from GATEWAY_… in the environment."""

import re
import secrets
from itertools import chain
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from limits import parse
from pydantic import Field, Secret, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from services.kit.settings import HttpSettings

MIN_PASSWORD = 12
KEY = re.compile(r"my_pipeline_[A-Za-z0-9_-]{32,}")


class Settings(HttpSettings):
    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    workers: int = Field(1, ge=1, le=64)
    """Processes that answer on the port. With more than one, a small parent starts them, replaces those that die and serves /metrics for all."""
    database_url: Secret[str]
    """PostgreSQL with the migrations applied: postgresql://user:password@host:port/database."""
    control_url: str = "http://control:8001"
    """The control plane, which promotes, rolls back and lists models."""
    control_token: SecretStr = SecretStr("")
    """What control asks for before it changes anything."""
    runner_url: str = "http://runner-{model}:3000"
    """Where each model's runner answers; {model} becomes the model's name with hyphens for underscores."""
    runners: dict[str, str | list[str]] = Field(default_factory=dict)
    """Runners that are elsewhere: a JSON object from model to URL, or to a list of URLs. A host name stands for all its addresses."""
    runner_calls: int = Field(1, ge=1)
    """Calls to each replica of a runner at a time; rows that arrive meanwhile travel together in the next one. More cost more and gain nothing."""
    max_wait_ms: float = Field(40.0, gt=0)
    """Longest time in milliseconds that a prediction may be expected to wait in an overload; one that would wait longer is refused with 503 at once."""

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
    pipeline_key: Secret[str] | None = None
    """API key of the account `pipeline`, an analyst, with which workflows ask for predictions. Another value revokes the one before."""

    cors_origins: str = ""
    """Origins whose pages may call the gateway from a browser, separated by commas: https://app.example.com. Empty: none; * is all."""
    rate_limit: str = "600/minute"
    """Requests per user, counted for all workers of a gateway together, in the notation of the limits library."""
    login_limit: str = "10/minute"
    """Log-in attempts per user name and address."""
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1024)
    """Largest body of an Open Inference request with several rows, which is kept in memory whole."""
    max_batch_bytes: int = Field(256 * 1024 * 1024, ge=1024)
    """Largest body of a batch, with its compression and without it; it is kept in a temporary file."""
    max_batch_rows: int = Field(1_000_000, ge=1)
    """Most rows of a batch."""
    batches_at_once: int = Field(4, ge=1, le=64)
    """Large batches (above 256 KiB) that a process works on at a time; each takes a database connection and about 10 MB."""
    max_row_bytes: int = Field(256 * 1024, ge=1024)
    """Largest body of everything else, and largest row of a batch."""
    client_seconds: float = Field(30.0, ge=1, le=600)
    """What a client has to send its headers, or its body (a second more for each 16 KiB), and to read an answer, before its connection is ended."""
    drain_seconds: float = Field(5.0, ge=0, le=60)
    """How long a process that was told to stop still answers, each time with `Connection: close` and `X-Draining: 1`, so that callers turn to others."""
    audit_patience_seconds: float = Field(2.0, gt=0, le=30)
    """How long an answer waits for its audit row before the caller is told to try again."""
    spool_dir: Path = Path("/var/lib/modelyard/spool")
    """Folder that keeps answered predictions while the database is away. It has to outlive the process, on a disk of its own machine."""
    spool_max_bytes: int = Field(256 * 1024 * 1024, ge=1024 * 1024)
    """Most that all processes of the folder together keep there; then predictions are refused until the database is back."""

    @field_validator("rate_limit", "login_limit")
    @classmethod
    def is_a_rate(cls, value: str) -> str:
        parse(value)
        return value

    @field_validator("cors_origins")
    @classmethod
    def are_origins(cls, value: str) -> str:
        for origin in _listed(value):
            parts = urlsplit(origin)
            if origin != "*" and (parts.scheme not in {"http", "https"} or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}"):
                raise ValueError(f"{origin} is not of the form https://host or https://host:port")
        return value

    @property
    def origins(self) -> list[str]:
        return _listed(self.cors_origins)

    @field_validator("runners")
    @classmethod
    def are_urls(cls, value: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        for url in chain.from_iterable([urls] if isinstance(urls, str) else urls for urls in value.values()):
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
                raise ValueError(f"{url} is not of the form http://host:port")
        return value

    @field_validator("bootstrap_password")
    @classmethod
    def is_long_enough(cls, value: Secret[str] | None) -> Secret[str] | None:
        if value is not None and len(value.get_secret_value()) < MIN_PASSWORD:
            raise ValueError(f"must have at least {MIN_PASSWORD} characters")
        return value

    @field_validator("pipeline_key")
    @classmethod
    def is_a_key(cls, value: Secret[str] | None) -> Secret[str] | None:
        if value is not None and not KEY.fullmatch(value.get_secret_value()):
            raise ValueError("must be my_pipeline_ and then at least 32 letters or digits")
        return value

    @model_validator(mode="after")
    def signs(self) -> Self:
        """Local mode may go without a secret; elsewhere the base class has refused a short or missing one."""
        if not self.jwt_secret.get_secret_value():
            object.__setattr__(self, "jwt_secret", SecretStr(secrets.token_urlsafe(48)))
        return self

    def runner(self, model: str) -> list[str]:
        """URLs; the address of each is a replica."""
        known = self.runners.get(model) or self.runner_url.format(model=model.replace("_", "-"))
        return [known] if isinstance(known, str) else known


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
