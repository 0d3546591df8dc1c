"""The output of one process in a file that cannot grow without bound."""

from pathlib import Path

LIMIT = 10_000_000
KEPT = 3


class RotatingLog:
    """`name.log`, then `name.log.1` … `name.log.3`. Keeps the last whole line for whoever shows progress."""

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self.path = path
        self.limit = limit
        self.last_line = ""
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size

    def write(self, data: bytes) -> None:
        if self._size + len(data) > self.limit and self._size > 0:
            self._rotate()
        self._file.write(data)
        self._size += len(data)
        lines = [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
        if lines:
            self.last_line = lines[-1][:300]

    def close(self) -> None:
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        for number in range(KEPT, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            if newer.exists():
                newer.replace(older)
        self._file = self.path.open("ab", buffering=0)
        self._size = 0
