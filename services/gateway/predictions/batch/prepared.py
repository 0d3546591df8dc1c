"""Valid rows on their way to the runner, kept in a temporary file: a batch may have to be answered again, by another version, from its first row on."""

import struct
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile

import msgspec
import zstandard

from services.gateway.predictions.batch.columns import Block
from services.kit.errors import FieldError

IN_MEMORY = 16 * 1024 * 1024
"""Bytes that stay in memory: those of about 150 000 rows of 16 fields, which compress to a sixth. What a disk would have to write is not free."""
_LENGTH = struct.Struct("<Q")


class RowErrors(msgspec.Struct, omit_defaults=True):
    """What is wrong with one row."""

    row: int
    """From 0, in the order of the request."""
    errors: list[FieldError]
    line: int | None = None


class Chunk(msgspec.Struct, gc=False):
    """Rows that follow each other in the request."""

    begin: int
    end: int
    texts: list[bytes]
    """Valid rows as JSON with all defaults: what the audit keeps."""
    block: Block | None
    """The same rows for the runner; None where it is to have them as JSON."""
    failed: list[RowErrors]

    def numbers(self) -> list[int]:
        """Of the valid rows."""
        if not self.failed:
            return [*range(self.begin, self.end)]
        bad = {failure.row for failure in self.failed}
        return [number for number in range(self.begin, self.end) if number not in bad]


class Prepared:
    """All chunks of one batch. Read as often as needed, once it is complete."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by whoever has it
        self._encode, self._decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Chunk).decode
        self._compressor, self._decompressor = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()
        self.chunks = 0
        self.rows = 0
        self.valid = 0

    def close(self) -> None:
        self._file.close()

    @property
    def failed(self) -> int:
        return self.rows - self.valid

    def add(self, chunk: Chunk) -> None:
        encoded = self._compressor.compress(self._encode(chunk))
        self._file.write(_LENGTH.pack(len(encoded)))
        self._file.write(encoded)
        self.chunks += 1
        self.rows = chunk.end
        self.valid += len(chunk.texts)

    def __iter__(self) -> Iterator[Chunk]:
        self._file.seek(0)
        while length := self._file.read(_LENGTH.size):
            yield self._decode(self._decompressor.decompress(self._file.read(_LENGTH.unpack(length)[0])))
