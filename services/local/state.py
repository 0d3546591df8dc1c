"""What must be the same at the next start: ports, secrets, which PostgreSQL made the data."""

import secrets
from dataclasses import asdict, dataclass, field

from services.local import files, ports
from services.local.paths import Home

ADMINISTRATOR = "admin"


@dataclass
class State:
    ports: dict[str, int] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    postgres_programs: str | None = None
    postgres_data: str | None = None

    def port(self, name: str, preferred: int) -> int:
        """The remembered port when it is free, else the next free one from the preferred on, which is then remembered."""
        taken = {port for other, port in self.ports.items() if other != name}
        self.ports[name] = ports.choose(self.ports.get(name), preferred, taken)
        return self.ports[name]

    def secret(self, name: str) -> str:
        return self.secrets.setdefault(name, secrets.token_urlsafe(24))


def load(home: Home) -> State:
    """Raises ValueError when the file is damaged."""
    document = files.read(home.state) or {}
    try:
        return State(**document)
    except TypeError as error:
        raise ValueError(f"{home.state} is damaged ({error}): restore it, or remove it to start anew") from error


def save(home: Home, state: State) -> None:
    files.write_private(home.state, asdict(state))
