"""What every verb is given."""

from dataclasses import dataclass
from pathlib import Path

from bentos.catalogue import Entry
from services.pipeline.control import Control
from services.pipeline.gateway import Gateway
from services.pipeline.runs import Runs


@dataclass(frozen=True)
class Job:
    model: str
    entry: Entry
    runs: Runs
    control: Control
    gateway: Gateway
    folder: Path
    """Empty, of this process alone, gone afterwards."""

    def place(self, name: str) -> Path:
        """A new folder inside `folder`."""
        made = self.folder / name
        made.mkdir(parents=True)
        return made
