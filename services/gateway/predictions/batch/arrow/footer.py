"""How many rows a Parquet file has, which its footer says before any of them is read.

The footer is a struct of Thrift's compact protocol (FileMetaData in parquet.thrift), of which arro3 tells the columns only.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

MAGIC, ENCRYPTED = b"PAR1", b"PARE"
TAIL = 8
"""Bytes at the file's end: the footer's length, and the magic word."""
NUM_ROWS = 3
"""Number of the field in FileMetaData."""
LONGEST_VARINT = 63


class Unreadable(Exception):
    """Not a Parquet file, or one that cannot be read; its words go to whoever sent the file."""


def rows(file: "BinaryIO") -> int:
    """Raises Unreadable."""
    size = file.seek(0, 2)
    if size < len(MAGIC) + TAIL:
        raise Unreadable(f"{size} bytes are too few")
    file.seek(size - TAIL)
    tail = file.read(TAIL)
    length, magic = int.from_bytes(tail[:4], "little"), tail[4:]
    if magic == ENCRYPTED:
        raise Unreadable("it is encrypted")
    if magic != MAGIC:
        raise Unreadable("it does not end with PAR1: it has another format, or was cut off")
    if length > size - TAIL - len(MAGIC):
        raise Unreadable("it is shorter than its footer says")
    file.seek(size - TAIL - length)
    try:
        found = _Compact(file.read(length)).integer(NUM_ROWS)
    except (IndexError, RecursionError):
        found = None
    if found is None or found < 0:
        raise Unreadable("its footer does not say how many rows there are")
    return found


class _Compact:
    """As much of the protocol as it takes to find an integer. Raises IndexError or RecursionError for anything else."""

    def __init__(self, text: bytes) -> None:
        self._text, self._at = text, 0

    def integer(self, wanted: int | None) -> int | None:
        """A field of the struct that begins here. None, and all of the struct is behind us, when it has none."""
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._integer()
            if field == wanted:
                return self._integer()
            self._skip(head & 15)
        return None

    def _byte(self) -> int:
        self._at += 1
        return self._text[self._at - 1]

    def _count(self) -> int:
        count = shift = 0
        while (byte := self._byte()) > 127:
            count |= (byte & 127) << shift
            shift += 7
            if shift > LONGEST_VARINT:
                raise IndexError(shift)
        return count | byte << shift

    def _integer(self) -> int:
        count = self._count()
        return (count >> 1) ^ -(count & 1)

    def _skip(self, kind: int, *, within: bool = False) -> None:
        """`within` a list or a map a boolean has a byte of its own; elsewhere its kind is its value."""
        match kind:
            case 1 | 2 | 3:
                self._at += within or kind == 3
            case 4 | 5 | 6:
                self._count()
            case 7:
                self._at += 8
            case 8:
                length = self._count()
                self._at += length
            case 9 | 10:
                head = self._byte()
                for _ in range(self._count() if head >> 4 == 15 else head >> 4):
                    self._skip(head & 15, within=True)
            case 11 if count := self._count():
                kinds = self._byte()
                for _ in range(count):
                    self._skip(kinds >> 4, within=True)
                    self._skip(kinds & 15, within=True)
            case 11:
                pass
            case 12:
                self.integer(None)
            case _:
                raise IndexError(kind)
