from pathlib import Path

from services.local import files
from services.local.rotating import RotatingLog


def test_tail_reads_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {number}\n" for number in range(100_000)))
    assert files.tail(path, 2) == ["line 99998", "line 99999"]
    assert files.tail(tmp_path / "none", 2) == []


def test_a_log_rotates_and_keeps_three(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "a.log", limit=100)
    for number in range(20):
        log.write(f"{number:02d} {'x' * 46}\n".encode())
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2", "a.log.3"]
    kept = "".join((tmp_path / name).read_text() for name in ("a.log.3", "a.log.2", "a.log.1", "a.log"))
    assert [line[:2] for line in kept.splitlines()] == [f"{number:02d}" for number in range(12, 20)]
    assert log.last_line.startswith("19 ")


def test_a_log_that_is_there_is_continued(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("before\n")
    log = RotatingLog(tmp_path / "a.log", limit=10)
    log.write(b"after\n")
    log.close()
    assert (tmp_path / "a.log.1").read_text() == "before\n"
