"""What a rollback goes back to."""

from datetime import UTC, datetime

import pytest

from services.control.deployments.history import Served, last_served, policy_stack, undo_stack
from services.control.deployments.schemas import LedgerEntry


def ledger(story: str) -> list[LedgerEntry]:
    """`+3/1` promotes version 3 with policy 1, `-2/1` rolls back to version 2, `~3/4` changes the policy, `=3/1` rolls back the policy alone."""
    actions = {"+": "promote", "-": "rollback", "~": "policy", "=": "rollback"}
    entries: list[LedgerEntry] = []
    for number, word in enumerate(story.split(), 1):
        version, _, policy = word[1:].partition("/")
        entries.append(
            LedgerEntry.model_validate(
                {
                    "id": number,
                    "action": actions[word[0]],
                    "from_version": entries[-1].to_version if entries else None,
                    "to_version": version,
                    "from_policy": None,
                    "to_policy": int(policy) if policy else None,
                    "actor": "ada",
                    "reason": "r",
                    "hash": "",
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


@pytest.mark.parametrize(
    ("story", "policies"),
    [
        ("+1/1", []),
        ("+1/1 ~1/2", [1]),
        ("+1/1 ~1/2 ~1/3", [1, 2]),
        ("+1/1 ~1/2 ~1/3 =1/2", [1]),
        ("+1/1 ~1/2 ~1/3 =1/2 =1/1", []),
        ("+1/1 ~1/2 =1/1 ~1/3", [1]),
        ("+1/1 +2/2", [1]),
        ("+1/1 +2/1 ~2/3", [1]),
        ("+1/1 +2/2 -1/1", []),
        ("+1 +2", []),
    ],
)
def test_policies_are_gone_back_through_one_after_the_other(story: str, policies: list[int]) -> None:
    assert policy_stack(ledger(story)) == policies


def test_a_rollback_of_the_policy_alone_is_none_of_the_version() -> None:
    assert undo_stack(ledger("+1/1 +2/2 +1/1 ~1/3 =1/1")) == undo_stack(ledger("+1/1 +2/2 +1/1"))
