"""Valid rows on their way to the runner, kept in a temporary file: a batch may have to be answered again, by another version, from its first row on."""

import asyncio
import struct
from collections.abc import AsyncGenerator, Callable, Coroutine
from tempfile import SpooledTemporaryFile
from typing import Any

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
    """All chunks of one batch. They are read while later ones are still to come, and as often as needed. `fill` adds them; its end is the batch's."""

    def __init__(self, fill: Callable[["Prepared"], Coroutine[Any, Any, None]]) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._encode, self._decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Chunk).decode
        self._compressor, self._decompressor = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()
        self._size = 0
        self._grown = asyncio.Event()
        self.refused = False
        """A row has spoilt the batch: no chunk is given out any more, and `whole` will say why."""
        self.rows = 0
        self.valid = 0
        self._filling = asyncio.create_task(fill(self))
        self._filling.add_done_callback(lambda _: self._grown.set())

    async def close(self) -> None:
        self._filling.cancel()
        await asyncio.gather(self._filling, return_exceptions=True)
        self._file.close()

    @property
    def failed(self) -> int:
        return self.rows - self.valid

    def add(self, chunk: Chunk) -> None:
        encoded = self._compressor.compress(self._encode(chunk))
        self._file.seek(0, 2)
        self._file.write(_LENGTH.pack(len(encoded)))
        self._file.write(encoded)
        self._size = self._file.tell()
        self.rows = chunk.end
        self.valid += len(chunk.texts)
        self._grown.set()

    async def whole(self) -> None:
        """Returns when every row is there. Raises what is wrong with them."""
        await asyncio.shield(self._filling)

    async def has_at_most(self, rows: int) -> bool:
        """Returns as soon as it is known. Raises as `whole` does."""
        while self.rows <= rows and await self._more():
            pass
        return self.rows <= rows

    async def chunks(self) -> AsyncGenerator[Chunk]:
        """From the first on, each when it is there. Raises as `whole` does, and then not before all chunks were read."""
        at = 0
        while not self.refused:
            if at < self._size:
                self._file.seek(at)
                encoded = self._file.read(*_LENGTH.unpack(self._file.read(_LENGTH.size)))
                at = self._file.tell()
                yield self._decode(self._decompressor.decompress(encoded))
            elif not await self._more():
                return
        await self.whole()

    async def _more(self) -> bool:
        """Waits for another chunk. False when there will be none."""
        if self._filling.done():
            await self.whole()
            return False
        self._grown.clear()
        await self._grown.wait()
        return True
