"""What a row of the ledger and a run say of a trial."""

from typing import Any

import pytest

from frontend import ledger_panel, runs

ROW = {"from_version": "1", "to_version": "1", "from_policy": 1, "to_policy": 1, "challenger": None}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"action": "shadow", "challenger": "2"}, "version 1, in its shadow 2"),
        ({"action": "canary", "challenger": "2"}, "version 1, beside it as a canary 2"),
        ({"action": "withdraw"}, "version 1 alone"),
        ({"action": "policy", "to_policy": 2, "challenger": "2"}, "policy 1 → 2"),
        ({"action": "promote", "to_version": "2", "to_policy": 2}, "version 1 → 2, policy 2"),
    ],
)
def test_a_row_says_what_it_changed(entry: dict[str, Any], words: str) -> None:
    assert ledger_panel.change(ROW | entry) == words


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"promoted": True}, "version 2 serves"),
        ({"promoted": False}, "version 2 was not promoted"),
        ({"promoted": False, "challenger": True}, "version 2 is tried"),
        ({}, "version 2"),
    ],
)
def test_a_training_says_what_became_of_its_version(result: dict[str, Any], words: str) -> None:
    assert runs.outcome({"result": {"version": "2"} | result, "error": None}) == words
