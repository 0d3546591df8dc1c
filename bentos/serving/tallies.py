"""What each version did here, for control to watch: rows answered and failed, and how long calls took."""

from bisect import bisect_left
from typing import Any

BOUNDS = (20e-6, 30e-6, 50e-6, 70e-6, 100e-6, 150e-6, 200e-6, 300e-6, 500e-6, 700e-6, 1e-3, 1.5e-3, 2e-3, 3e-3, 5e-3, 7e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.5, 1.0)
"""Upper ends of the buckets in seconds; the last one is open."""
FEW = 16
"""Rows of a call that tells how long calls take: larger ones say more of their size."""
MOST_VERSIONS = 8


class Tally:
    __slots__ = ("answered", "buckets", "failed")

    def __init__(self) -> None:
        self.answered = self.failed = 0
        self.buckets = [0] * (len(BOUNDS) + 1)


class Tallies:
    def __init__(self) -> None:
        self._of: dict[str, Tally] = {}

    def begin(self, version: str) -> None:
        """It serves from now on: what it did before, in an earlier life, does not count."""
        self._of.pop(version, None)
        self._of[version] = Tally()
        while len(self._of) > MOST_VERSIONS:
            self._of.pop(next(iter(self._of)))

    def answered(self, version: str, rows: int, seconds: float) -> None:
        tally = self._tally(version)
        tally.answered += rows
        if rows <= FEW:
            tally.buckets[bisect_left(BOUNDS, seconds)] += 1

    def failed(self, version: str, rows: int) -> None:
        self._tally(version).failed += rows

    def _tally(self, version: str) -> Tally:
        if version not in self._of:
            self.begin(version)
        return self._of[version]

    def document(self) -> dict[str, Any]:
        versions = {name: {"answered": one.answered, "failed": one.failed, "calls": list(one.buckets)} for name, one in self._of.items()}
        return {"bounds": list(BOUNDS), "versions": versions}
