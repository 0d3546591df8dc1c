"""The folder that a runner keeps: its latest versions, each written whole or not at all, and the last desired state."""

import os
import shutil
import tempfile
from pathlib import Path

from pydantic import ValidationError

from bentos.serving.wanted import Wanted, WantedVersion

KEPT_VERSIONS = 5
STATE = "state.json"


class Cache:
    def __init__(self, folder: Path) -> None:
        """Removes what a killed download left behind."""
        self._folder = folder
        self._versions = folder / "versions"
        self._versions.mkdir(parents=True, exist_ok=True)
        self._incoming = folder / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir()

    def path(self, wanted: WantedVersion) -> Path:
        return self._versions / f"{wanted.version}@{wanted.sha256}"

    def sha256(self, version: str) -> str | None:
        """Of the version's copy in the cache, if there is one."""
        return next((path.name.rpartition("@")[2] for path in self._versions.glob(f"{version}@*")), None)

    def incoming(self) -> Path:
        """A new empty folder to download to."""
        return Path(tempfile.mkdtemp(dir=self._incoming))

    def keep(self, incoming: Path, wanted: WantedVersion) -> Path:
        """Moves a complete download to its place in one step."""
        target = self.path(wanted)
        self.drop(target)
        incoming.rename(target)
        return target

    def drop(self, folder: Path) -> None:
        """Renamed first: a reader never meets half a folder."""
        if folder.exists():
            doomed = self.incoming() / "dropped"
            folder.rename(doomed)
            shutil.rmtree(doomed.parent, ignore_errors=True)

    def prune(self, serving: set[Path]) -> None:
        """Keeps what serves and the most recently used others, KEPT_VERSIONS in all."""
        others = sorted((path for path in self._versions.iterdir() if path not in serving), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in others[max(KEPT_VERSIONS - len(serving), 0) :]:
            self.drop(path)

    def touch(self, folder: Path) -> None:
        os.utime(folder)

    def remember(self, wanted: Wanted) -> None:
        write_state(self._folder, wanted)

    def remembered(self) -> Wanted | None:
        return read_state(self._folder)


def write_state(folder: Path, wanted: Wanted) -> None:
    handle, name = tempfile.mkstemp(dir=folder, prefix=STATE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(wanted.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(folder / STATE)


def read_state(folder: Path) -> Wanted | None:
    """None when there is none, or none that can be understood."""
    try:
        return Wanted.model_validate_json((folder / STATE).read_bytes())
    except (OSError, ValidationError):
        return None
