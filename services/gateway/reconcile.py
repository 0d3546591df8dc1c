"""`python -m services.gateway.reconcile`: proves that every answered prediction is stored or in the spool.

Three sources that know nothing of each other: what the HTTP layer counted, what lies in the spool's files, what the table holds of each process. They
are asked in this order: a row only ever moves from the earlier ones to the later ones, so that a platform at work is never accused of a loss.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from services.gateway.predictions import repository
from services.gateway.predictions.rows import identifier_of, split
from services.gateway.predictions.spool import answered, files, records
from services.gateway.predictions.spool.answered import Tally
from services.gateway.settings import Settings
from services.kit import postgres
from services.kit.ids import node_of
from services.kit.postgres import Connection
from services.kit.settings import read

LOOKED_UP = 5_000
"""Ids of one query."""
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Balance:
    """One gateway process's rows."""

    node: str
    started: datetime | None
    runs: bool
    answered: int
    stored: int
    spooled: int
    """Durable in the spool and not in the table yet."""
    set_aside: int
    """In segments that were set aside, and not in the table."""
    undelivered: int
    """Stored, and the caller was told that there is no answer."""
    dropped: bool
    """It began before the oldest month that is kept, so that its rows are not all there to be counted."""

    @property
    def lost(self) -> int:
        """Answered, and neither stored nor in a file."""
        return 0 if self.dropped else max(0, self.answered + self.undelivered - self._kept)

    @property
    def unheard(self) -> int:
        """Stored or spooled, but the answer did not leave: the process died, or is about to give it."""
        return 0 if self.dropped else max(0, self._kept - self.answered - self.undelivered)

    @property
    def _kept(self) -> int:
        return self.stored + self.spooled + self.set_aside


async def reconcile(connection: Connection, folder: Path) -> list[Balance]:
    """Of every process that has a file in the spool's folder, oldest first."""
    told = {node: answered.read(path) for node, path in files.of_kind(folder, "answered")}
    alive = {node for node in told if not files.is_dead(folder, node)}
    in_spool, aside = _ids(folder, "segment"), _ids(folder, "corrupt")
    here = {identifier for part in _parts([*in_spool, *aside]) for identifier in await repository.stored(connection, part)}
    spooled, set_aside = _by_node(in_spool - here), _by_node(aside - in_spool - here)

    nodes = told.keys() | spooled.keys() | set_aside.keys()
    known: Mapping[str, Tally] = {node: tally for node, tally in told.items() if tally is not None}
    since = min((tally.started for tally in known.values()), default=datetime.now(UTC))
    stored = await repository.tallies(connection, nodes, since)
    oldest = await repository.oldest_month(connection)

    def balance(node: str) -> Balance:
        tally = known.get(node)
        rows, undelivered = stored.get(node, (0, 0))
        return Balance(
            node=node,
            started=tally.started if tally else None,
            runs=node in alive,
            answered=tally.rows if tally else 0,
            stored=rows,
            spooled=spooled[node],
            set_aside=set_aside[node],
            undelivered=undelivered,
            dropped=bool(tally and oldest and tally.started < oldest),
        )

    return sorted(map(balance, nodes), key=lambda one: (one.started or datetime.min.replace(tzinfo=UTC), one.node))


def settle(folder: Path, balances: Sequence[Balance]) -> int:
    """Removes the counts of processes that ended with nothing open, and returns how many."""
    done = [one for one in balances if not (one.runs or one.lost or one.spooled or one.set_aside)]
    for one in done:
        files.remove(files.answered_file(folder, one.node))
    return len(done)


def _ids(folder: Path, kind: str) -> set[bytes]:
    """Looks again when a file was gone before it was read: replayed, or renamed by a process that took it over."""
    found: set[bytes] = set()
    gone = True
    while gone:
        gone = False
        for _, path in files.of_kind(folder, kind):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                gone = True
            else:
                found.update(identifier_of(one) for record in records.decode(content).records for one in split(record.payload))
    return found


def _parts(ids: list[bytes]) -> Iterator[list[bytes]]:
    for begin in range(0, len(ids), LOOKED_UP):
        yield ids[begin : begin + LOOKED_UP]


def _by_node(ids: set[bytes]) -> Counter[str]:
    return Counter(map(node_of, ids))


def shown(balances: Sequence[Balance]) -> str:
    """Columns for people, and a sentence that says what they mean."""
    head = ("process", "started", "", "answered", "stored", "spooled", "set aside", "undelivered", "unheard", "lost")
    counted = [(one.answered, one.stored, one.spooled, one.set_aside, one.undelivered, one.unheard, one.lost) for one in balances]
    rows = [
        (one.node, f"{one.started:%Y-%m-%d %H:%M:%S}" if one.started else "", "runs" if one.runs else "dropped" if one.dropped else "ended", *map(str, numbers))
        for one, numbers in zip(balances, counted, strict=True)
    ]
    total = ("all", "", "", *(str(sum(column)) for column in zip(*counted, strict=True))) if counted else ()
    lines = [head, *rows, *([total] if total else [])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    aligned = [
        "  ".join(text.rjust(width) if column > 2 else text.ljust(width) for column, (text, width) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]
    return "\n".join([*(line.rstrip() for line in aligned), "", verdict(balances)])


def verdict(balances: Sequence[Balance]) -> str:
    lost, aside = sum(one.lost for one in balances), sum(one.set_aside for one in balances)
    if lost:
        return f"{lost} answered predictions are neither stored nor in the spool."
    if aside:
        return f"{aside} predictions are only in segments that were set aside; docs/audit.md says what to do."
    return "Every answered prediction is stored or in the spool."


def is_sound(balances: Sequence[Balance]) -> bool:
    return not any(one.lost or one.set_aside for one in balances)


def document(balances: Sequence[Balance]) -> str:
    processes = [asdict(one) | {"lost": one.lost, "unheard": one.unheard} for one in balances]
    return json.dumps({"sound": is_sound(balances), "verdict": verdict(balances), "processes": processes}, indent=2, default=str)


async def _balances(url: str, folder: Path) -> list[Balance]:
    async with await postgres.connect(url, "cli", autocommit=True, statement_timeout_ms=HOUR_MS) as connection:
        return await reconcile(connection, folder)


def report(url: str, folder: Path, *, as_json: bool, settles: bool) -> int:
    """Prints; returns the exit code: 1 when something is lost or set aside. Raises psycopg.OperationalError or OSError when it cannot look."""
    balances = asyncio.run(_balances(url, folder))
    sys.stdout.write((document(balances) if as_json else shown(balances)) + "\n")
    if settles:
        sys.stderr.write(f"removed the counts of {settle(folder, balances)} processes that ended with nothing open\n")
    return 0 if is_sound(balances) else 1


def main() -> int:
    parser = argparse.ArgumentParser("python -m services.gateway.reconcile", description="Compare answered predictions with stored and spooled ones.")
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.add_argument("--settle", action="store_true", help="then remove the counts of processes that ended with nothing open")
    given = parser.parse_args()
    settings = read("reconcile", Settings)
    try:
        return report(settings.database_url.get_secret_value(), settings.spool_dir, as_json=given.json, settles=given.settle)
    except (psycopg.Error, OSError) as error:
        sys.stderr.write(f"reconcile cannot look: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
