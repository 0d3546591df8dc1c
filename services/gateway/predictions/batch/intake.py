"""A body from the network into a temporary file, and out of it again without its compression: never more than a few MB of it in memory."""

import asyncio
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import IO

import zstandard
from starlette.requests import Request

from services.kit.errors import BadRequest, TooLarge

IN_MEMORY = 1024 * 1024
"""Bytes of a body that stay in memory; a longer one goes to disk, in pieces of this size."""
PIECE = 64 * 1024
ZSTD_WINDOW = 8 * 1024 * 1024
"""RFC 9659: the largest window that a decoder of HTTP bodies has to have."""
ZSTD_BITE = 256
"""Compressed bytes taken at a time. Four of them can stand for 128 KiB, so a bite never becomes more than 8 MiB."""


async def receive(request: Request, limit: int) -> IO[bytes]:
    """The whole body, at its beginning; the caller closes it. Raises TooLarge as soon as that is certain."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise too_large(limit)
    with ExitStack() as stack:
        file = stack.enter_context(SpooledTemporaryFile(IN_MEMORY))
        waiting = bytearray()
        size = 0
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise too_large(limit)
            waiting += piece
            if len(waiting) >= IN_MEMORY:
                await asyncio.to_thread(file.write, bytes(waiting))
                waiting.clear()
        file.write(waiting)
        file.seek(0)
        stack.pop_all()
    return file


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body may have {limit} bytes at most, also after decompression; send the rows in several batches, or as NDJSON or CSV.")


class Plain(io.RawIOBase):
    """The body without its compression, read piece by piece. Raises TooLarge past `limit` bytes, BadRequest for what is not in that coding."""

    def __init__(self, file: IO[bytes], coding: str | None, limit: int) -> None:
        self._pieces = {None: _as_it_is, "gzip": _gunzipped, "zstd": _unzstd}[coding](file)
        self._rest = memoryview(b"")
        self._limit = self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left -= len(piece)
            if self._left < 0:
                raise too_large(self._limit)
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _as_it_is(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _gunzipped(file: IO[bytes]) -> Iterator[bytes]:
    """All members, one after the other."""
    inflater = zlib.decompressobj(wbits=31)
    begun = False
    while True:
        piece = inflater.unconsumed_tail or inflater.unused_data or file.read(PIECE)
        if not piece:
            break
        if inflater.eof:
            inflater = zlib.decompressobj(wbits=31)
        try:
            yield inflater.decompress(piece, PIECE)
        except zlib.error as error:
            raise BadRequest(f"The body is not gzip: {error}.") from None
        begun = True
    if begun and not inflater.eof:
        # What the inflater still holds back needs no more input.
        yield inflater.flush()
    if not inflater.eof:
        raise BadRequest("The body is not gzip: it ends too early.")


def _unzstd(file: IO[bytes]) -> Iterator[bytes]:
    """All frames, one after the other."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
    frame = decompressor.decompressobj()
    while True:
        piece = frame.unused_data or file.read(ZSTD_BITE)
        if not piece:
            break
        if frame.eof:
            frame = decompressor.decompressobj()
        try:
            yield frame.decompress(piece)
        except zstandard.ZstdError as error:
            raise BadRequest(f"The body is not zstd: {error}.") from None
    if not frame.eof:
        raise BadRequest("The body is not zstd: it ends too early.")
