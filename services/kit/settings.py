"""Settings come from the environment and nowhere else; each process has one small class with its own prefix."""

import sys
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Environment = Literal["local", "dev", "staging", "production"]


class Settings(BaseSettings):
    """Secrets are `SecretStr` fields: outside `local`, one shorter than 32 characters is refused at start."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    environment: Environment = "production"
    """Where this runs. Only `local` accepts short or missing secrets, and it has to be said."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe record that is written."""
    log_file: Path | None = None
    """A rotating JSON log beside standard error; for a laptop, where nothing collects the output of processes."""

    @model_validator(mode="after")
    def secrets_are_secret(self) -> Self:
        if self.environment == "local":
            return self
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr) and len(value.get_secret_value()) < 32:
                raise ValueError(f"{self.model_config.get('env_prefix', '').upper()}{name.upper()} must have at least 32 characters outside local mode")
        return self


class HttpSettings(Settings):
    host: str = "0.0.0.0"  # noqa: S104 - a container listens on its pod's address; local mode says 127.0.0.1
    """Address to listen on."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to listen on."""
    metrics_port: int = Field(9100, ge=0, le=65535)
    """Port of /metrics, apart so that it is never public. 0 switches it off."""


S = TypeVar("S", bound=BaseModel)


def read(process: str, kind: type[S], **given: str) -> S:
    """The settings, or the end of the process with exit code 2 and a line for each setting that is wrong."""
    try:
        return kind(**given)
    except ValidationError as error:
        prefix = str(kind.model_config.get("env_prefix", ""))
        for part in error.errors(include_url=False, include_input=False):
            name = "_".join(map(str, part["loc"])).upper()
            sys.stderr.write(f"{process} cannot start: {prefix + name + ': ' if name else ''}{part['msg'].removeprefix('Value error, ')}\n")
        raise SystemExit(2) from None
