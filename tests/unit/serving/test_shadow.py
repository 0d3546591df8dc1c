from pathlib import Path

import pytest

from bentos.serving.shadow.__main__ import MOST_MEMORY, most_memory


@pytest.mark.parametrize(
    ("files", "bound"),
    [
        ({"memory.max": "402653184\n"}, 402653184 // 2),
        ({"memory/memory.limit_in_bytes": "402653184\n"}, 402653184 // 2),
        ({"memory.max": "max\n"}, MOST_MEMORY),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, MOST_MEMORY),
        ({}, MOST_MEMORY),
    ],
)
def test_the_shadow_leaves_the_runner_half_of_the_container(tmp_path: Path, files: dict[str, str], bound: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert most_memory(tmp_path) == bound
