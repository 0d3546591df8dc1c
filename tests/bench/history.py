"""`python -m tests.bench.history`: an audit of a million predictions, read at the gateway by each filter and the worst combinations of them, and exported."""

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import psycopg

from services.gateway.predictions import rows
from services.gateway.predictions.repository import COPY
from services.migrations.__main__ import migrate
from tests.conftest import Cluster, find_free_port
from tests.gateway_process import GatewayProcess, gateway_process

Say = Callable[[str], None]

DAY_MS = 86_400_000
BATCH_ROWS = 20_000
FEW = 30
TIMES = 15
MOST_MS = 50.0
LEAST_EXPORTED = 50_000
OUTPUT = b'{"prediction":0,"probability":0.25,"decision":"%s","risk_level":"low"}'
BATCH, REQUEST = UUID(int=(2**100) + 7), "the-request-of-one"

CASES: dict[str, dict[str, Any]] = {
    "first page": {},
    "first page of 500": {"limit": 500},
    "a page from the middle": {"to": "middle"},
    "a model": {"model": "attrition"},
    "a user of few rows, all old": {"username": "rare"},
    "a user of many rows": {"username": "user1"},
    "a decision of few rows, all old": {"decision": "review"},
    "a version of few rows, all old": {"model": "attrition", "version": "0"},
    "a version of any model": {"version": "0"},
    "a batch of 20 000 rows": {"batch_id": str(BATCH)},
    "a request": {"request_id": REQUEST},
    "nobody": {"username": "nobody"},
    "known outcomes": {"outcome": "known"},
    "unknown outcomes": {"outcome": "unknown"},
    "many of both, none in common: user and model": {"username": "batcher", "model": "attrition"},
    "many of both, none in common: version and decision": {"model": "attrition", "version": "9", "decision": "granted"},
    "many of both, none in common: model and known": {"model": "crypto_price", "outcome": "known"},
    "many rows, few of them without outcome": {"model": "credit_scoring", "outcome": "unknown"},
    "all filters at once": {"username": "user1", "model": "attrition", "version": "9", "decision": "leaves", "outcome": "unknown"},
    "a batch and a user who is not in it": {"batch_id": str(BATCH), "username": "rare"},
    "one hour of a user": {"username": "user2", "from": "middle", "to": "later"},
}


def moments(count: int) -> tuple[int, int]:
    """First millisecond, and how many milliseconds a row takes: the rows fill the last day."""
    return time.time_ns() // 1_000_000 - DAY_MS, max(1, DAY_MS // count)


def tuples(count: int) -> Iterator[tuple[bytes, bool]]:
    """Each row in COPY's form, and whether its outcome is known."""
    begin, step = moments(count)
    given = json.dumps({f"a_field_of_the_form_{number}": number * 1.5 for number in range(16)}).encode()
    outputs = {name: OUTPUT % name.encode() for name in ("stays", "leaves", "granted", "refused", "review")}
    for number in range(count):
        identifier = ((begin + number * step) << 80 | 0x7 << 76 | 0x8 << 60 | number).to_bytes(16, "big")
        share, few = number % 20, number < FEW
        model = "attrition" if share < 14 else "credit_scoring" if share < 19 else "crypto_price"
        version = "0" if few else str(1 + number * 9 // count)
        decision = "review" if few else {"attrition": ("stays", "leaves"), "credit_scoring": ("granted", "refused")}.get(model, (None, None))[number % 3 == 0]
        username = "rare" if few else "batcher" if model == "credit_scoring" else f"user{number % 7}"
        in_batch = count // 2 <= number < count // 2 + BATCH_ROWS
        request = REQUEST if number == count // 3 else f"{number * 2654435761 % 2**64:032x}"
        shared = rows.common(model, version, 2, username, request, BATCH.bytes if in_batch else None)
        output = outputs[decision] if decision else b'{"prediction":101.5}'
        known = (model == "credit_scoring" and number > FEW * 20) or (model == "attrition" and number % 3 == 1)
        yield rows.encode(identifier, shared, given, output, 0.25, decision, 1.5, number if in_batch else None), known


def fill(url: str, count: int, say: Say) -> None:
    started = time.perf_counter()
    known: list[UUID] = []
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        with cursor.copy(COPY) as copy:
            copy.write(rows.HEADER)
            part: list[bytes] = []
            for row, told in tuples(count):
                part.append(row)
                if told:
                    known.append(UUID(bytes=rows.identifier_of(row)))
                if len(part) == 2000:
                    copy.write(b"".join(part))
                    part = []
            copy.write(b"".join(part) + rows.TRAILER)
        cursor.execute("INSERT INTO outcomes (prediction_id, value, actor) SELECT *, 1, 'bench' FROM unnest(%s::uuid[])", [known])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE predictions, outcomes")
    say(f"{count} predictions and {len(known)} outcomes stored in {time.perf_counter() - started:.0f} s")


async def page(gateway: GatewayProcess, asked: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    started = time.perf_counter()
    async with gateway.client.get(f"{gateway.url}/predict/history", params=asked, headers=gateway.headers) as answer:
        body = await answer.read()
        assert answer.status == 200, body[:300]
    return (time.perf_counter() - started) * 1000, json.loads(body)


async def pages(gateway: GatewayProcess, count: int, say: Say) -> dict[str, Any]:
    """By case: the median and the longest time of a first page in ms, its rows, and whether there are more."""
    begin, step = moments(count)
    at = {"middle": begin + count // 2 * step, "later": begin + count // 2 * step + 3_600_000}
    found = {}
    for name, given in CASES.items():
        asked = {key: datetime.fromtimestamp(at[value] / 1000, UTC).isoformat() if value in at else value for key, value in given.items()}
        times = []
        for _ in range(TIMES):
            took, document = await page(gateway, asked)
            times.append(took)
        found[name] = {"p50_ms": statistics.median(times), "max_ms": max(times), "rows": len(document["predictions"]), "more": document["next"] is not None}
        say(f"{name:<56} p50 {found[name]['p50_ms']:6.1f} ms  max {max(times):6.1f} ms  {len(document['predictions']):>4} rows{', more' * found[name]['more']}")
    return found


async def export(gateway: GatewayProcess, asked: dict[str, str], say: Say) -> dict[str, Any]:
    """Rows a second, and how far the process that streams grew meanwhile."""
    workers = [psutil.Process(gateway.process.pid), *psutil.Process(gateway.process.pid).children(recursive=True)]
    before = {worker.pid: worker.memory_info().rss for worker in workers}
    grown, lines, size, started = 0, 0, 0, time.perf_counter()
    headers = gateway.headers | {"Accept-Encoding": "identity"}
    async with gateway.client.get(f"{gateway.url}/predict/history/export", params=asked, headers=headers) as answer:
        assert answer.status == 200
        async for piece in answer.content.iter_chunked(1 << 20):
            lines += piece.count(b"\n")
            size += len(piece)
            grown = max(grown, *(worker.memory_info().rss - before[worker.pid] for worker in workers))
    seconds = time.perf_counter() - started
    found = {"rows": lines - 1, "seconds": seconds, "rows_per_second": (lines - 1) / seconds, "megabytes": size / 1e6, "grown_mb": grown / 1e6}
    rate = found["rows_per_second"]
    say(f"export {asked or 'of all'}: {lines - 1} rows, {size / 1e6:.0f} MB in {seconds:.1f} s: {rate:.0f} rows/s, memory +{grown / 1e6:.0f} MB")
    return found


async def measured(url: str, folder: Path, count: int, say: Say) -> dict[str, Any]:
    async with gateway_process(url, folder) as gateway:
        found = {"rows": count, "pages": await pages(gateway, count, say)}
        found["exports"] = [await export(gateway, asked, say) for asked in ({}, {"model": "attrition"})]
    return found


def run(count: int, say: Say) -> dict[str, Any]:
    """On a PostgreSQL of its own."""
    folder = Path(tempfile.mkdtemp(prefix="modelyard-history-"))
    folder.chmod(0o755)
    cluster = Cluster(folder)
    port = find_free_port()
    cluster.start(port)
    try:
        url = f"postgresql://modelyard@127.0.0.1:{port}/postgres"
        migrate(url)
        fill(url, count, say)
        return asyncio.run(measured(url, folder, count, say))
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.history", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="default 1 000 000")
    found = run(parser.parse_args().rows, lambda line: print(line, flush=True))
    slow = [name for name, one in found["pages"].items() if one["p50_ms"] > MOST_MS]
    late = [one for one in found["exports"] if one["rows_per_second"] < LEAST_EXPORTED]
    for name in slow:
        print(f"SLOW: {name} takes more than {MOST_MS:.0f} ms", file=sys.stderr)
    return 1 if slow or late else 0


if __name__ == "__main__":
    sys.exit(main())
