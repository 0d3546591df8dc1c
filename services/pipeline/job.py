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
    tables_url: str | None = None
    """Of the database with tables that may be scored."""
    part_rows: int = 50_000
    revision: str | None = None
    """Commit of the code, where it is told."""

    def place(self, name: str) -> Path:
        """A new folder inside `folder`."""
        made = self.folder / name
        made.mkdir(parents=True)
        return made
