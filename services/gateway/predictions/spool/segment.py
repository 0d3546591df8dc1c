"""A segment while this process writes it, and what is known of one that waits to be replayed."""

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.gateway.predictions.spool import files, records
from services.gateway.predictions.spool.files import SpoolBroken, SpoolFull

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def broken(error: OSError) -> SpoolBroken:
    kind = SpoolFull if error.errno in _FULL else SpoolBroken
    return kind(str(error.strerror))


@dataclass(frozen=True, slots=True)
class Sealed:
    """Never written again."""

    path: Path
    size: int
    """Bytes that are durable, or may be: what stands behind them counts for nobody."""
    rows: int
    may_be_torn: bool = False
    """Its process died, perhaps while it wrote."""


class Segment:
    """Not safe for threads: the spool has one that writes."""

    def __init__(self, path: Path) -> None:
        """Durable as an empty segment on return. Raises SpoolBroken, and then there is no file."""
        self.path = path
        self.size = self.rows = 0
        self.spoilt = False
        """Nobody knows what the disk made of the last append: what was durable before is kept, and a new segment begun."""
        try:
            self._descriptor = files.create(self.path)
        except OSError as error:
            raise broken(error) from error
        try:
            self.append(records.BEGIN, 0)
            files.sync(path.parent)
        except (OSError, SpoolBroken) as error:
            os.close(self._descriptor)
            with suppress(OSError):
                self.path.unlink()
            raise broken(error) if isinstance(error, OSError) else error from None

    def append(self, content: bytes, rows: int) -> None:
        """Durable on return. Raises SpoolBroken, and then the segment is as it was before."""
        try:
            written = 0
            while written < len(content):
                written += os.pwrite(self._descriptor, memoryview(content)[written:], self.size + written)
            self.spoilt = True  # what a failed sync leaves is not known, and a second one would not say
            os.fdatasync(self._descriptor)
            self.spoilt = False
        except OSError as error:
            try:
                os.ftruncate(self._descriptor, self.size)
            except OSError:
                self.spoilt = True
            raise broken(error) from error
        self.size += len(content)
        self.rows += rows

    def seal(self) -> Sealed:
        os.close(self._descriptor)
        return Sealed(self.path, self.size, self.rows)
