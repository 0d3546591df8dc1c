"""What a rollback goes back to, worked out from the ledger alone."""

from collections.abc import Iterable
from typing import NamedTuple

from services.control.deployments.schemas import LedgerEntry

CHANGES = ("promote", "rollback")
"""Actions after which another version may serve."""


class Served(NamedTuple):
    version: str
    policy: int | None


def undo_stack(entries: Iterable[LedgerEntry]) -> list[Served]:
    """What served before each promotion that has not been undone, the latest last. `entries` in the order they were written.

    A promotion pushes what served until then, with the policy it had at the end. A rollback takes away everything down to what
    it restored, so that the next one goes further back instead of bringing back what was just undone. A rollback to a
    version that is not below, because it had been undone itself, is a change like a promotion. One of the policy alone changes no version.
    """
    stack: list[Served] = []
    now: Served | None = None
    for entry in entries:
        if entry.from_version == entry.to_version:
            pass
        elif entry.action == "rollback" and (depth := find(stack, entry.to_version)) is not None:
            del stack[depth:]
        elif entry.action in CHANGES and now is not None:
            stack.append(now)
        now = Served(entry.to_version, entry.to_policy)
    return stack


def find(stack: list[Served], version: str) -> int | None:
    """The position nearest to the top."""
    return next((depth for depth in reversed(range(len(stack))) if stack[depth].version == version), None)


def last_served(entries: Iterable[LedgerEntry], version: str) -> Served | None:
    """The version with the policy that it served with last; None when it never served."""
    return next((Served(version, entry.to_policy) for entry in reversed(list(entries)) if entry.to_version == version), None)


def policy_stack(entries: Iterable[LedgerEntry]) -> list[int]:
    """The policies before the present one, the latest last, as `undo_stack` has versions: a rollback takes away down to what it restored."""
    stack: list[int] = []
    now: int | None = None
    for entry in entries:
        if entry.action == "rollback" and entry.to_policy in stack:
            del stack[len(stack) - 1 - stack[::-1].index(entry.to_policy) :]
        elif now is not None and now != entry.to_policy:
            stack.append(now)
        now = entry.to_policy
    return stack
