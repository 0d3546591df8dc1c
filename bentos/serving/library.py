"""Finds a version's files: in the cache, in the image, or at MLflow; checks them; makes a slot of them."""

import asyncio
import logging
import shutil
from pathlib import Path

from bentos.serving import artifact
from bentos.serving.artifact import Refused
from bentos.serving.cache import Cache, read_state
from bentos.serving.slots import Slot, Source
from bentos.serving.upstream import Away, Unknown, Upstream
from bentos.serving.wanted import WantedVersion

log = logging.getLogger(__name__)


class Library:
    def __init__(self, model: str, cache: Cache, baked: Path | None, upstream: Upstream) -> None:
        """`baked`: a folder of the image with the files of a version in `model/` and the state that it served in, `state.json`."""
        self._model, self._cache, self._upstream = model, cache, upstream
        self._baked_folder = baked / "model" if baked is not None else None
        self.baked = read_state(baked) if baked is not None else None

    def known(self, version: str) -> WantedVersion | None:
        """A version that is on this machine; control knows where else it is."""
        if self.baked is not None and self.baked.champion is not None and self.baked.champion.version == version:
            return self.baked.champion
        sha256 = self._cache.sha256(version)
        return None if sha256 is None else WantedVersion(version=version, artifact="unknown", sha256=sha256)

    async def registered(self, version: str) -> Slot:
        """Any version that control knows; while it is away, any that is on this machine. Raises as `load` does."""
        try:
            wanted = await self._upstream.version(version)
        except Unknown:
            raise
        except Away:
            known = self.known(version)
            if known is None:
                raise
            return await self.load(known, download=False)
        return await self.load(wanted)

    async def load(self, wanted: WantedVersion, *, download: bool = True) -> Slot:
        """Reading and checking happen in a thread. Raises Refused with the failed check, or Away when nobody has the files at present."""
        local = await asyncio.to_thread(self._local, wanted)
        if local is not None:
            folder, source = local
        elif download:
            folder, source = await self._download(wanted), "mlflow"
        else:
            raise Away(f"version {wanted.version} is not on this machine")
        loaded = await asyncio.to_thread(artifact.read, folder, self._model, wanted.sha256)
        return Slot(wanted.version, loaded, source)

    def _local(self, wanted: WantedVersion) -> tuple[Path, Source] | None:
        """A copy whose bytes are as they should be; a damaged one in the cache is removed, so that it is fetched again."""
        cached = self._cache.path(wanted)
        if cached.exists():
            try:
                artifact.check_bytes(cached, wanted.sha256)
            except Refused as damage:
                log.warning("the cached copy is damaged and is dropped", extra={"model": self._model, "version": wanted.version, "reason": str(damage)})
                self._cache.drop(cached)
            else:
                self._cache.touch(cached)
                return cached, "cache"
        if self._baked_folder is not None and self.baked is not None and self.baked.champion == wanted:
            return self._baked_folder, "baked"
        return None

    async def _download(self, wanted: WantedVersion) -> Path:
        incoming = self._cache.incoming()
        try:
            await self._upstream.download(wanted, incoming)
            await asyncio.to_thread(artifact.check_bytes, incoming, wanted.sha256)
            return self._cache.keep(incoming, wanted)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
