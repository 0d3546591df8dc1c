import hashlib
import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from services.local import bootstrap_uv


def test_the_lock_file_has_a_wheel_for_this_machine() -> None:
    version, wheels = bootstrap_uv.pinned()
    chosen = bootstrap_uv.choose(wheels, bootstrap_uv.tag())
    assert f"uv-{version}-" in chosen
    assert re.fullmatch("[0-9a-f]{64}", wheels[chosen])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("manylinux_.*_x86_64", "manylinux_2_17_x86_64"), ("manylinux_.*_aarch64", "aarch64"), ("macosx_.*_arm64", "macosx_11_0_arm64")],
)
def test_wheels_are_told_apart(wanted: str, expected: str) -> None:
    assert expected in bootstrap_uv.choose(bootstrap_uv.pinned()[1], wanted)


def test_a_wheel_that_was_changed_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "uv.whl"
    wheel.write_bytes(b"changed")
    with pytest.raises(bootstrap_uv.Impossible, match="its sha256 is"):
        bootstrap_uv.fetch(wheel.as_uri(), hashlib.sha256(b"original").hexdigest())


def test_a_wheel_is_unpacked_to_a_program(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("uv-1.0.data/scripts/uv", "#!/bin/sh\necho uv 1.2.3\n")
        archive.writestr("uv-1.0.data/scripts/uvx", "")
    target = tmp_path / "folder" / "uv"
    bootstrap_uv.unpack(content.getvalue(), target)
    assert bootstrap_uv.version_of(target) == (1, 2, 3)
    assert [path.name for path in target.parent.iterdir()] == ["uv"]


def test_it_runs_isolated_with_the_standard_library_alone() -> None:
    """As `make` runs it: the modules beside it must not stand in for those of the standard library."""
    code = "import runpy, sys; sys.argv = ['x']; runpy.run_path('services/local/bootstrap_uv.py')"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, cwd=bootstrap_uv.ROOT)
