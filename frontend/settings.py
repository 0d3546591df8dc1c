"""The dashboard's settings, all from FRONTEND_… in the environment."""

import sys
from functools import cache

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="FRONTEND_", extra="forbid", frozen=True)

    gateway_url: str = "http://127.0.0.1:8000"
    """The gateway, the only service that the dashboard talks to."""
    public_gateway_url: str = ""
    """The gateway as other programs reach it, for the curl lines that the dashboard offers. Empty: `FRONTEND_GATEWAY_URL`."""
    gateway_seconds: float = Field(15.0, gt=0, le=120)
    """How long an answer of the gateway is waited for; a batch may take eight times as long."""
    host: str = "0.0.0.0"  # noqa: S104 - a container listens on its pod's address; local mode says 127.0.0.1
    """Address to listen on."""
    port: int = Field(8501, ge=1, le=65535)
    """Port to listen on."""
    base_path: str = Field("", pattern=r"^(/[A-Za-z0-9._-]+)*$")
    """Path below which the dashboard answers, such as /dashboard, behind a route that keeps it."""
    allowed_hosts: list[str] = Field(default_factory=list)
    """Host names under which the dashboard may be asked, as JSON. Empty: any."""
    max_upload_megabytes: int = Field(200, ge=1, le=1024)
    """Largest file of a batch. It is in memory while its page is open."""
    grafana_url: str = ""
    """Where people find Grafana; without it no link is shown."""
    mlflow_url: str = ""
    """Where people find MLflow; without it no link is shown."""

    @field_validator("gateway_url", "public_gateway_url", "grafana_url", "mlflow_url")
    @classmethod
    def is_a_url(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError(f"{value} does not begin with http:// or https://")
        return value.rstrip("/")

    @property
    def shown_gateway_url(self) -> str:
        return self.public_gateway_url or self.gateway_url


@cache
def settings() -> Settings:
    """Read once; ends the process with a line for each setting that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        for part in error.errors(include_url=False, include_input=False):
            name = "_".join(map(str, part["loc"])).upper()
            sys.stderr.write(f"frontend cannot start: FRONTEND_{name}: {part['msg'].removeprefix('Value error, ')}\n")
        raise SystemExit(2) from None
