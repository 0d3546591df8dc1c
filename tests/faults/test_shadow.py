"""Shadow scoring while its process, control and the database are killed: each prediction is scored once, and as the version scores it."""

import asyncio
import itertools
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from tests import trials
from tests.faults.database import server
from tests.integration.control_server import promote
from tests.integration.test_control_process import environment, started
from tests.versions import build

MODEL = "attrition"
ROWS, ROUNDS = 700, 6


async def scored(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM shadow_scores").fetchone()
    assert row is not None
    return int(row[0])


async def test_each_prediction_is_scored_once_whoever_is_killed(tmp_path: Path, free_port: int) -> None:
    versions = {number: build(tmp_path / number, MODEL, seed=int(number)) for number in ("1", "2")}
    rows = trials.rows_of(MODEL, ROWS)
    champion, challenger = (trials.scores_of(versions[number], MODEL, rows) for number in ("1", "2"))
    known: dict[str, float] = {}
    with server() as database, ExitStack() as stack:
        url = f"{database.url}/gateway"
        variables = environment(url, free_port, tmp_path, KRAKEN_URL="")
        orders = [trials.orders(MODEL, f"http://127.0.0.1:{free_port}", versions["1"], versions["2"], replica) for replica in ("r1", "r2")]
        running = [stack.enter_context(trials.shadow(one, tmp_path / "shadow.log")) for one in orders]
        asked = {"version": "2", "mode": "shadow", "reason": "tested", "actor": "ada"}
        for kill in itertools.islice(itertools.cycle(("shadow", "control", "database")), ROUNDS):
            async with started(["-m", "services.control"], variables, tmp_path) as (control, client):
                if not known:
                    await trials.registered(client, MODEL, versions)
                    assert (await promote(client, MODEL, "1")).status_code == 200
                    assert (await client.post(f"/models/{MODEL}/challenger", json=asked)).status_code == 200
                known |= zip(trials.answer(url, MODEL, rows, champion, ago=-0.7), challenger, strict=True)
                await asyncio.sleep(3.5)
                if kill == "shadow":
                    running[0].kill()
                    running = [*running[1:], stack.enter_context(trials.shadow(orders[0], tmp_path / "shadow.log"))]
                    orders.reverse()
                elif kill == "control":
                    control.kill()
                else:
                    database.end(signal.SIGKILL)
                    database.run()
        async with started(["-m", "services.control"], variables, tmp_path):
            for _ in range(300):
                if await scored(url) >= len(known):
                    break
                await asyncio.sleep(0.1)
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT prediction_id::text, score, error FROM shadow_scores").fetchall()
    assert len(known) == ROWS * ROUNDS
    assert {identifier: score for identifier, score, _ in found} == known, (tmp_path / "shadow.log").read_text()[-2000:]
    assert len(found) == len(known)
    assert not [error for _, _, error in found if error]


async def test_a_rollout_ends_in_one_promotion_however_often_control_is_killed(tmp_path: Path, free_port: int) -> None:
    """Before, during and after the decision: the ledger's last row, the desired state and what runners are told agree after each restart."""
    versions = {number: build(tmp_path / number, MODEL, seed=int(number)) for number in ("1", "2")}
    rows = trials.rows_of(MODEL, 300)
    truth = versions["1"].examples.target[:300].tolist()
    with server() as database:
        url = f"{database.url}/gateway"
        variables = environment(url, free_port, tmp_path, KRAKEN_URL="")
        entries: list[dict[str, Any]] = []
        with trials.shadow(trials.orders(MODEL, f"http://127.0.0.1:{free_port}", versions["1"], versions["2"]), tmp_path / "shadow.log"):
            for life in range(12):
                async with started(["-m", "tests.faults.rollout_control"], variables, tmp_path) as (control, client):
                    if life == 0:
                        await trials.registered(client, MODEL, versions)
                        assert (await promote(client, MODEL, "1")).status_code == 200
                        asked = {"version": "2", "mode": "shadow", "reason": "tested", "actor": "ada"}
                        assert (await client.post(f"/models/{MODEL}/challenger", json=asked)).status_code == 200
                        trials.answer(url, MODEL, rows, trials.scores_of(versions["1"], MODEL, rows), ago=-0.4, outcomes=truth)
                    before = len(entries)
                    await asyncio.sleep(2.0 + 0.37 * life)
                    entries = (await client.get(f"/models/{MODEL}/ledger")).json()["entries"]
                    serving = (await client.get(f"/serving/{MODEL}")).json()
                    control.kill()
                assert (serving["deployment"], serving["champion"]["version"]) == (entries[0]["id"], entries[0]["to_version"])
                assert (serving["challenger"] or {}).get("version") == entries[0]["challenger"]
                if before == len(entries) == 3:
                    break
    assert [(entry["action"], entry["actor"], entry["to_version"]) for entry in entries] == [
        ("promote", "rollout", "2"),
        ("shadow", "ada", "1"),
        ("promote", "ada", "1"),
    ]
