"""What a rollback goes back to, worked out from the ledger alone."""

from collections.abc import Iterable
from typing import NamedTuple

from services.control.deployments.schemas import LedgerEntry


class Served(NamedTuple):
    version: str
    policy: int | None


def undo_stack(entries: Iterable[LedgerEntry]) -> list[Served]:
    """What served before each promotion that has not been undone, the latest last. `entries` in the order they were written.

    A promotion pushes what served until then, with the policy it had at the end. A rollback takes away everything down to what
    it restored, so that the next one goes further back instead of bringing back what was just undone. A rollback to a
    version that is not below, because it had been undone itself, is a change like a promotion.
    """
    stack: list[Served] = []
    now: Served | None = None
    for entry in entries:
        if entry.action == "rollback" and (depth := find(stack, entry.to_version)) is not None:
            del stack[depth:]
        elif entry.action != "policy" and now is not None:
            stack.append(now)
        now = Served(entry.to_version, entry.to_policy)
    return stack


def find(stack: list[Served], version: str) -> int | None:
    """The position nearest to the top."""
    return next((depth for depth in reversed(range(len(stack))) if stack[depth].version == version), None)


def last_served(entries: Iterable[LedgerEntry], version: str) -> Served | None:
    """The version with the policy that it served with last; None when it never served."""
    return next((Served(version, entry.to_policy) for entry in reversed(list(entries)) if entry.to_version == version), None)
