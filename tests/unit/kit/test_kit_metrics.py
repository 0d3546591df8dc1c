import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.kit import metrics

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux only")

BUSY = "import time; end = time.process_time() + 0.3; held = bytearray(30_000_000)\nwhile time.process_time() < end: pass\nprint(flush=True); time.sleep(5)"


def described(**folders: Path) -> CollectorRegistry:
    registry = CollectorRegistry()
    metrics.describe(registry, **folders)
    return registry


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    found = registry.get_sample_value(name, labels)
    assert found is not None, name
    return found


def test_what_children_use_counts_while_they_live_and_after() -> None:
    registry = described()
    names = ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds")
    cpu, memory, files, started = (value(registry, name) for name in names)
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with_child = value(registry, names[0])
        assert with_child >= cpu + 0.29  # the kernel counts in hundredths
        assert value(registry, names[1]) >= memory + 30_000_000
        assert value(registry, names[2]) >= files + 3
        child.kill()
    assert value(registry, names[0]) >= with_child
    assert value(registry, names[1]) < memory + 20_000_000
    assert value(registry, names[3]) == started <= time.time()


def test_a_disk_is_asked_for_before_and_after_its_folder_is_made(tmp_path: Path) -> None:
    registry = described(spool=tmp_path / "not/yet")
    before = value(registry, "modelyard_disk_size_bytes", folder="spool")
    (tmp_path / "not/yet").mkdir(parents=True)
    assert value(registry, "modelyard_disk_size_bytes", folder="spool") == before > 0
    assert 0 <= value(registry, "modelyard_disk_free_bytes", folder="spool") <= before


def test_a_process_says_which_version_it_is() -> None:
    (family,) = (family for family in described().collect() if family.name == "modelyard_build_info")
    (sample,) = family.samples
    assert sample.value == 1
    assert sample.labels["python"].startswith("3.")
    assert sample.labels["version"][0].isdigit()
