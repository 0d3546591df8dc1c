"""How long a call of a certain size takes, learned from the calls there were."""

KEEPS = 0.98
"""Weight of a call after each later one."""


class Durations:
    """A straight line through the latest calls (least squares with exponential forgetting): what a call costs, and what each unit of its size adds.

    A plain rate, such as rows per second, would call a runner slow that has had one row at a time, though it takes sixty-four of them just as fast.
    """

    def __init__(self) -> None:
        self._weight = self._size = self._seconds = self._size_size = self._size_seconds = 0.0
        self._base = self._slope = 0.0
        self.mean = 0.0
        """Seconds of a call lately."""

    def observe(self, size: float, seconds: float) -> None:
        """`size` above 0."""
        self._weight = self._weight * KEEPS + 1
        self._size = self._size * KEEPS + size
        self._seconds = self._seconds * KEEPS + seconds
        self._size_size = self._size_size * KEEPS + size * size
        self._size_seconds = self._size_seconds * KEEPS + size * seconds
        self.mean = self._seconds / self._weight
        mean_size = self._size / self._weight
        variance = self._size_size / self._weight - mean_size * mean_size
        slope = (self._size_seconds / self._weight - mean_size * self.mean) / variance if variance > 1e-6 * mean_size * mean_size else 0.0
        # What falls outside is noise: no call gets shorter by growing, and none takes less than no time when it is empty.
        self._slope = min(max(slope, 0.0), self.mean / mean_size)
        self._base = self.mean - self._slope * mean_size

    def of(self, size: float) -> float:
        """Seconds; 0 as long as nothing is known."""
        return self._base + self._slope * size

    def size_within(self, seconds: float) -> float:
        """The largest call that takes no longer."""
        return 0.0 if seconds < self._base else (seconds - self._base) / max(self._slope, 1e-12)
