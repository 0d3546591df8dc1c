"""Which channels there are and what each wants, from a YAML file. Secrets are not in it: it names the environment variables that hold them."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from services.control.notifications.schemas import LEVELS, Event, Level

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+\S*$", max_length=2000)]
NAME = r"^[a-z][a-z0-9-]{0,39}$"
KNOWN = set(get_args(Event)) - {"test"}


class Channel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    events: Literal["all"] | tuple[Event, ...] = "all"
    """What it wants to be told of."""
    models: Literal["all"] | tuple[str, ...] = "all"
    least: Level = "info"
    """Nothing below this level."""

    @field_validator("events", "models", mode="before")
    @classmethod
    def lists(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    def wants(self, event: str, model: str, level: str) -> bool:
        return (self.events == "all" or event in self.events) and (self.models == "all" or model in self.models) and _rank(level) >= _rank(self.least)

    def variables(self) -> tuple[str, ...]:
        """That hold its secrets."""
        return tuple(value for name in type(self).model_fields if name.endswith("_env") and (value := getattr(self, name)))


class Discord(Channel):
    kind: Literal["discord"]
    url_env: Variable
    """Holds the webhook's address: whoever has it may post."""


class Webhook(Channel):
    kind: Literal["webhook"]
    url: Url | None = None
    url_env: Variable | None = None
    """Where the address itself is a secret."""
    secret_env: Variable
    """Holds the key of the signature; one that begins with whsec_ is base64 from there on."""

    @model_validator(mode="after")
    def one_address(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give one of url, url_env")
        return self


class Email(Channel):
    kind: Literal["email"]
    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: Path | None = None
    """Certificates to trust besides the system's."""
    username_env: Variable | None = None
    password_env: Variable | None = None
    sender: Annotated[str, Field(pattern=r"^[^\s<>@]+@[^\s<>@]+$")]
    to: Annotated[tuple[Annotated[str, Field(pattern=r"^[^\s<>@]+@[^\s<>@]+$")], ...], Field(min_length=1, max_length=50)]

    @field_validator("to", mode="before")
    @classmethod
    def addresses(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def password_travels_hidden(self) -> Self:
        if (self.username_env is None) != (self.password_env is None):
            raise ValueError("username_env and password_env belong together")
        if self.password_env is not None and self.security == "none":
            raise ValueError("a password is not sent without security starttls or tls")
        return self


AnyChannel = Annotated[Discord | Webhook | Email, Field(discriminator="kind")]


class Configuration(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: dict[Annotated[str, Field(pattern=NAME)], AnyChannel] = {}

    def variables(self) -> frozenset[str]:
        """The environment variables with secrets, which nobody but the sender is to see."""
        return frozenset(name for channel in self.channels.values() for name in channel.variables())


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Configuration:
    """No channel without a file. Raises ValueError in words that name the file and what is wrong in it, never a secret."""
    if path is None:
        return Configuration()
    try:
        found = Configuration.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise ValueError(f"{path}: " + "; ".join(_words(error))) from None
    if missing := sorted(name for name in found.variables() if not environment.get(name)):
        raise ValueError(f"{path} names {', '.join(missing)}, which the environment does not have")
    return found


def _words(error: ValidationError) -> Iterator[str]:
    for part in error.errors(include_url=False, include_input=False):
        yield f"{'.'.join(map(str, part['loc']))}: {part['msg'].removeprefix('Value error, ')}"


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else 0
