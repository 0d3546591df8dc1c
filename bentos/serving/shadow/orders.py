"""What the runner tells the process that scores in its shadow, as one line of JSON on its standard input."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, field_serializer

from bentos.serving.slots import Slot


class Place(BaseModel):
    version: str
    folder: Path
    sha256: str

    @classmethod
    def of(cls, slot: Slot) -> "Place":
        return cls(version=slot.version, folder=slot.artifact.folder, sha256=slot.artifact.sha256)


class Orders(BaseModel):
    model: str
    replica: str
    control_url: str
    token: SecretStr
    challenger: Place
    champion: Place
    policy: dict[str, Any] | None
    """The challenger's."""
    costs: dict[str, float] | None
    """Those of the champion's policy."""

    @field_serializer("token")
    def _plain(self, token: SecretStr) -> str:
        return token.get_secret_value()
