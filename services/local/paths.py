"""Where local mode keeps its things: one git-ignored folder of the project."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EVIDENTLY = ROOT / ".venv-evidently" / "bin" / "python"
"""There after `make evidently`."""


@dataclass(frozen=True)
class Home:
    """`folder` is `.modelyard` in the project, or what MODELYARD_HOME names."""

    folder: Path

    @property
    def identity(self) -> str:
        """Tells this platform's processes and outside folders from those of other clones."""
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    @property
    def view(self) -> Path:
        return self.folder / "run.json"

    @property
    def lock(self) -> Path:
        return self.folder / "supervisor.lock"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def outside(self) -> Path:
        """For what an account that cannot enter the project must reach; used by root only."""
        return Path("/var/lib/modelyard") / self.identity

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def create(self) -> None:
        """Others may pass through (PostgreSQL's account must), and read nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)
        self.logs.mkdir(exist_ok=True)
        self.logs.chmod(0o700)


def home() -> Home:
    given = os.environ.get("MODELYARD_HOME")
    return Home(Path(given).resolve() if given else ROOT / ".modelyard")
