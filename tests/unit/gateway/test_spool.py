"""The spool without a database: what was appended is on disk, whatever happens to the process, the disk or the file."""

import asyncio
import os
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from services.gateway.predictions.spool import Answered, Spool, SpoolBroken, SpoolFull, answered, records
from services.gateway.predictions.spool.files import of_kind
from tests.conftest import ROOT

LIMIT = 1024 * 1024
ROWS = [b"a" * 90, b"b" * 5, b"c" * 700]


@asynccontextmanager
async def opened(folder: Path, node: str = "00000001", limit: int = LIMIT) -> AsyncIterator[Spool]:
    spool = await Spool.open(folder, node, limit)
    try:
        yield spool
    finally:
        await spool.close()


def on_disk(folder: Path) -> list[bytes]:
    return [one.payload for _, path in of_kind(folder, "segment") for one in records.decode(path.read_bytes()).records]


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """A full disk for the account that may not make one: writing on is refused with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def segment(*groups: list[bytes]) -> bytes:
    return b"".join((records.BEGIN, *map(records.encode, groups)))


def test_a_segment_is_read_as_it_was_written() -> None:
    found = records.decode(segment(ROWS, [b"one"], []))
    assert [(one.rows, one.payload) for one in found.records] == [(3, b"".join(ROWS)), (1, b"one"), (0, b"")]
    assert (found.rows, found.torn, found.damaged) == (4, 0, 0)


def test_a_last_record_torn_at_any_byte_is_no_damage_and_costs_no_other() -> None:
    whole = segment(ROWS, [b"x" * 50])
    complete = len(segment(ROWS))
    for cut in range(complete, len(whole)):
        found = records.decode(whole[:cut])
        assert (found.rows, found.torn, found.damaged) == (3, cut - complete, 0), cut
        # After a power cut the file may have its full length and zeros at the end.
        found = records.decode(whole[:complete] + bytes(cut))
        assert (found.rows, found.torn, found.damaged) == (3, cut, 0), cut
    for cut in range(len(records.BEGIN)):
        assert records.decode(whole[:cut]) == records.Contents(torn=cut)


def test_a_flipped_bit_anywhere_is_noticed_and_costs_one_record_at_most() -> None:
    whole = segment(ROWS, [b"m" * 40, b"n"], [b"z" * 60])
    for place in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        found = records.decode(bytes(damaged))
        in_the_beginning = place // 8 < len(records.BEGIN)
        assert found.damaged > 0, place
        assert len(found.records) == (3 if in_the_beginning else 2), place
        assert found.torn == 0, place


async def test_appends_at_once_share_a_sync_and_are_all_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        rows = [[f"{caller}-{number}".encode() for number in range(caller % 3 + 1)] for caller in range(500)]
        await asyncio.gather(*map(spool.append, rows))
        assert sorted(on_disk(tmp_path)) == sorted(b"".join(one) for one in rows)
        assert spool.pending_rows == sum(map(len, rows))
        assert spool.pending_bytes == sum(path.stat().st_size for _, path in of_kind(tmp_path, "segment"))
    assert {one.stat().st_mode & 0o777 for one in os.scandir(tmp_path)} == {0o600}


async def test_a_long_spool_is_many_segments(tmp_path: Path) -> None:
    async with opened(tmp_path, limit=32 * LIMIT) as spool:
        for _ in range(12):
            await spool.append([bytes(LIMIT)])
        assert len([*of_kind(tmp_path, "segment")]) == 3
        assert spool.pending_rows == 12


async def test_a_full_disk_takes_nothing_of_what_it_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.append([b"first"])
        with files_no_larger_than(2_000):
            for _ in range(3):
                with pytest.raises(SpoolFull):
                    await spool.append([b"large" * 1000])
            results = await asyncio.gather(spool.append([b"large" * 1000]), spool.append([b"small"]), return_exceptions=True)
        assert [type(result) for result in results] == [SpoolFull, type(None)], "one that does not fit spoils no other"
        await spool.append([b"last"])
        assert on_disk(tmp_path) == [b"first", b"small", b"last"]
        assert spool.pending_rows == 3
        assert len([*of_kind(tmp_path, "segment")]) == 1
    assert all(records.decode(path.read_bytes()).torn == 0 for _, path in of_kind(tmp_path, "segment"))


async def test_the_bound_holds_for_all_processes_of_the_folder_together(tmp_path: Path) -> None:
    async with opened(tmp_path, "00000001") as one, opened(tmp_path, "00000002") as other:
        await one.append([bytes(LIMIT // 2)])
        await other.append([bytes(LIMIT // 2 - 1000)])
        one.check()
        for spool in (one, other):
            with pytest.raises(SpoolFull, match=str(LIMIT)):
                await spool.append([bytes(2000)])
        await other.append([bytes(850)])
        await asyncio.sleep(0.3)
        assert one.pending_bytes + other.pending_bytes < LIMIT
        async with opened(tmp_path, "00000003", LIMIT - 100) as third:
            with pytest.raises(SpoolFull):
                third.check()


def test_a_folder_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolBroken, match=r"file.* cannot be written \(Not a directory\): set GATEWAY_SPOOL_DIR"):
        asyncio.run(Spool.open(tmp_path / "file" / "spool", "00000001", LIMIT))


async def test_a_folder_that_went_away_takes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path / "spool") as spool:
        for path in (tmp_path / "spool").iterdir():
            path.unlink()
        (tmp_path / "spool").rmdir()
        with pytest.raises(SpoolBroken):
            await spool.append([b"row"])
        with pytest.raises(SpoolBroken):
            spool.check()


WRITER = """
import asyncio, sys
from pathlib import Path
from services.gateway.predictions.spool import Spool

async def main():
    spool = await Spool.open(Path(sys.argv[1]), "0000dead", 64 * 1024 * 1024)
    async def client(name):
        number = 0
        while True:
            await spool.append([f"{name}-{number};".encode()])
            spool.answered.add(1)
            sys.stdout.write(f"{name}-{number};\\n")
            sys.stdout.flush()
            number += 1
    await asyncio.gather(*map(client, range(8)))

asyncio.run(main())
"""


async def test_what_a_killed_process_said_is_durable_is_taken_over_once(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT)  # noqa: ASYNC220 - nothing else runs yet
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(300)]
    async with opened(tmp_path, "00000001") as living:
        await living.adopt()
        assert living.pending_rows == 0, "its process lives"
        os.kill(process.pid, signal.SIGKILL)
        said += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        async with opened(tmp_path, "00000002") as other:
            await asyncio.gather(living.adopt(), other.adopt())
            kept = b"".join(on_disk(tmp_path)).split(b";")[:-1]
            assert {one.strip(b";\n") for one in said} <= set(kept)
            assert len(kept) == len(set(kept))
            assert sorted([living.pending_rows, other.pending_rows]) == [0, len(kept)], "one of them has all of it"
    tally = answered.read(tmp_path / "0000dead.answered")
    assert tally is not None
    assert len(said) <= tally.rows <= len(kept)


def test_the_count_of_answers_is_kept_by_a_killed_process(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from services.gateway.predictions.spool import Answered
count = Answered.open(Path({str(tmp_path)!r}), "0000dead")
for _ in range(1000):
    count.add(3)
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == -signal.SIGKILL
    tally = answered.read(tmp_path / "0000dead.answered")
    assert tally is not None
    assert tally.rows == 3000


def test_a_count_belongs_to_one_process(tmp_path: Path) -> None:
    count = Answered.open(tmp_path, "00000001")
    with pytest.raises(SpoolBroken, match="File exists"):
        Answered.open(tmp_path, "00000001")
    count.close()


def test_a_count_that_was_never_finished_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "00000001.answered"
    assert answered.read(path) is None
    path.write_bytes(struct.pack("<8s", b"answered"))
    assert answered.read(path) is None
