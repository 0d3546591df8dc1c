from pathlib import Path

import pytest

from services.commands.demo.transcript import Transcript
from services.local.failure import Failure


def test_the_transcript_is_markdown_with_the_documents_beside_it(tmp_path: Path) -> None:
    told = Transcript("Drift of attrition")
    told.tell("before")
    told.begin()
    assert told.until("a sum", lambda: 4, 1, "add") == 4
    told.end()
    told.tell("after")
    told.table("Figures", ["feature", "#PSI"], [("age | years", 0.5), (None, 1)])
    told.documents["drift"] = {"alarm": True}
    told.write(tmp_path)
    lines = (tmp_path / "transcript.md").read_text().splitlines()
    assert lines[:5] == ["# Drift of attrition", "", "```", "          before", "   0.0 s  after"]
    assert lines[5:] == ["```", "", "## Figures", "", "| feature | PSI |", "| --- | ---: |", "| age \\| years | 0.5 |", "|  | 1 |"]
    assert (tmp_path / "drift.json").read_text() == '{\n  "alarm": true\n}\n'
    assert [name for name, _ in told.steps] == ["a sum"]
    assert told.seconds < 1


def test_what_never_comes_is_a_failure_with_a_hint() -> None:
    with pytest.raises(Failure, match="the moon: nothing within 0 s") as failure:
        Transcript("t").until("the moon", lambda: None, 0, "look up")
    assert failure.value.hint == "look up"
