"""The process that reads a Parquet file: what a hostile file can do to it, and that it never stays."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import psutil
import pyarrow as pa
import pytest

from services.gateway.predictions.batch.arrow import process
from services.kit.errors import TooLarge, Unavailable
from tests.conftest import ROOT
from tests.unit.gateway.parquets import LARGE, opened, read, written

MB = 1024 * 1024


OTHERS: list[psutil.Process] = []
"""Children of this process that other tests have left."""


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if one not in OTHERS]


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    OTHERS[:] = psutil.Process().children()
    yield
    assert children() == []


def repeated(text: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, "i4")), pa.array([text]))


def bombs() -> dict[str, bytes]:
    """None of them has more than some KB."""
    long = {"age": pa.array(np.ones(5000, "i8")), "note": repeated("x" * 40 * MB, 5000)}
    many = pa.ListArray.from_arrays(pa.array([0, 20 * MB], pa.int32()), pa.array(np.ones(20 * MB)))
    return {
        "a text": written(long, compression="zstd", store_schema=False),
        "a category": written(long, compression="zstd"),
        "a list": written({"age": [1], "income": many}, compression="zstd"),
    }


def test_a_bomb_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MEMORY", 128 * MB)
    for name, body in bombs().items():
        assert len(body) < 100_000, name
        before = psutil.Process().memory_info().rss
        with pytest.raises(TooLarge, match="128 MiB of memory"):
            read(body)
        assert psutil.Process().memory_info().rss - before < 16 * MB, name


def test_a_file_that_takes_long_to_read_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SECONDS", 1)
    body = written({"age": pa.array(np.ones(1_000_000, "i8")), "note": repeated("x" * 20_000, 1_000_000)}, compression="zstd", store_schema=False)
    with closing(opened(body)) as reader, pytest.raises(TooLarge, match="more than 1 s"):
        list(iter(reader.take, []))


def child() -> psutil.Process:
    [found] = children()
    return found


def test_the_process_waits_for_whoever_reads() -> None:
    with closing(opened(LARGE)) as reader:
        found = len(reader.take())
        spent = -1.0
        while child().status() != psutil.STATUS_SLEEPING or child().cpu_times().user != spent:
            spent = child().cpu_times().user
            time.sleep(0.2)
        assert found + sum(map(len, iter(reader.take, []))) == 100_000


def test_only_few_files_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PATIENCE", 0.1)
    with closing(opened(LARGE)), closing(opened(LARGE)), pytest.raises(Unavailable, match="Too many Parquet files"):
        opened(LARGE)
    monkeypatch.setattr(sys, "executable", "/not/there")
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            opened(LARGE)


def test_the_process_ends_when_its_rows_are_wanted_no_more() -> None:
    reader = opened(LARGE)
    reader.take()
    reader.close()
    assert children() == []
    lost = opened(LARGE)
    assert child().is_running()
    del lost
    gc.collect()
    assert children() == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and other kernels tell nobody of a parent's end")
def test_the_process_knows_no_secret_and_dies_with_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import sys, time; from tests.unit.gateway.test_parquet_process import LARGE, child, opened;"
        "reader = opened(LARGE); reader.take(); print(child().pid, flush=True); time.sleep(60)"
    )
    environment = os.environ | {"GATEWAY_JWT_SECRET": "not to be told"}
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT, env=environment, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        reading = psutil.Process(int(parent.stdout.readline()))
        assert reading.environ().keys() == {"PYTHONPATH"}
        assert reading.nice() > psutil.Process(parent.pid).nice()
        # Stopped, it cannot notice by itself that nobody reads any more.
        reading.send_signal(signal.SIGSTOP)
        parent.kill()
    psutil.wait_procs([reading], timeout=5)
    assert not reading.is_running() or reading.status() == psutil.STATUS_ZOMBIE


def test_a_fault_of_the_process_is_not_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "FRAME_ROWS", "many")
    with pytest.raises(RuntimeError, match="ValueError: invalid literal"):
        opened(LARGE)
    monkeypatch.setattr(process, "PROGRAM", ROOT / "not there.py")
    with pytest.raises(RuntimeError, match="without a word"):
        opened(LARGE)
