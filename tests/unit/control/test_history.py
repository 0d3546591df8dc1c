"""What a rollback goes back to."""

from datetime import UTC, datetime

import pytest

from services.control.deployments.history import Served, last_served, undo_stack
from services.control.deployments.schemas import LedgerEntry


def ledger(story: str) -> list[LedgerEntry]:
    """`+3/1` promotes version 3 with policy 1, `-2/1` rolls back to version 2, `~3/4` changes the policy."""
    actions = {"+": "promote", "-": "rollback", "~": "policy"}
    entries = []
    for number, word in enumerate(story.split(), 1):
        version, _, policy = word[1:].partition("/")
        entries.append(
            LedgerEntry.model_validate(
                {
                    "id": number,
                    "action": actions[word[0]],
                    "from_version": None,
                    "to_version": version,
                    "from_policy": None,
                    "to_policy": int(policy) if policy else None,
                    "actor": "ada",
                    "reason": "r",
                    "verdict": None,
                    "created_at": datetime(2026, 11, 21, tzinfo=UTC),
                }
            )
        )
    return entries


@pytest.mark.parametrize(
    ("story", "stack"),
    [
        ("", []),
        ("+1/1", []),
        ("+1/1 +2/2", [("1", 1)]),
        ("+1/1 +2/2 +3/3", [("1", 1), ("2", 2)]),
        ("+1/1 +2/2 -1/1", []),
        ("+1/1 +2/2 +3/3 -2/2", [("1", 1)]),
        ("+1/1 +2/2 +3/3 -1/1", []),
        ("+1/1 ~1/2 +2/3", [("1", 2)]),
        ("+1/1 +2/2 ~2/3", [("1", 1)]),
        ("+1/1 +2/2 -1/1 +2/2", [("1", 1)]),
        ("+1/1 +2/2 -1/1 -2/2", [("1", 1)]),
        ("+1/1 +2/2 +1/1 +3/3", [("1", 1), ("2", 2), ("1", 1)]),
        ("+1/1 +2/2 +1/1 +3/3 -1/1", [("1", 1), ("2", 2)]),
        ("+1 +2", [("1", None)]),
    ],
)
def test_the_undo_stack_follows_the_ledger(story: str, stack: list[tuple[str, int | None]]) -> None:
    assert undo_stack(ledger(story)) == [Served(*served) for served in stack]


def test_a_version_is_remembered_with_the_policy_it_served_with_last() -> None:
    entries = ledger("+1/1 ~1/2 +2/3 -1/2 ~1/4")
    assert last_served(entries, "1") == Served("1", 4)
    assert last_served(entries, "3") is None
