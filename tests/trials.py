"""Answered rows, and versions of which one is tried, for tests of rollouts."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.types.json import Jsonb

from bentos import catalogue, contract
from bentos.serving.shadow.orders import Orders, Place
from services.kit.ids import floor_of
from tests.conftest import ROOT
from tests.integration.control_server import PASSED, TOKEN
from tests.integration.control_server import version as registered_version
from tests.versions import POLICY, Version, examples_of

INSERT = (
    "INSERT INTO predictions (id, created_at, model, model_version, policy_version, username, request_id, input, output, score, decision, latency_ms) "
    "VALUES (%s, %s, %s, %s, %s, 'ada', 'r', %s, '{}', %s, %s, 1.5)"
)


def rows_of(model: str, most: int = 800) -> list[dict[str, Any]]:
    inputs = contract.kinds(contract.schema(model).Input)
    examples = examples_of(model)
    return contract.rows_of_columns(examples.columns, inputs)[:most]


def scores_of(version: Version, model: str, rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """What a runner says of them."""
    columns = contract.columns_of_rows(rows, contract.kinds(contract.schema(model).Input))
    found: list[float] = version.engine.scores(contract.features(model).matrix(columns)).tolist()
    return found


def answer(
    database_url: str,
    model: str,
    rows: Sequence[Mapping[str, Any]],
    scores: Sequence[float],
    *,
    version: str = "1",
    policy: int | None = 1,
    threshold: float = POLICY["threshold"],
    ago: float = 5.0,
    outcomes: Sequence[float] | None = None,
) -> list[str]:
    """Writes them into the audit, a millisecond after each other, the last of them `ago` seconds old."""
    decisions = catalogue.load().models[model].decisions
    begin = datetime.now(UTC) - timedelta(seconds=ago, milliseconds=len(rows))
    made: list[str] = []
    written: list[list[Any]] = []
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        for n, (row, score) in enumerate(zip(rows, scores, strict=True)):
            moment = begin + timedelta(milliseconds=n)
            made.append(str(floor_of(moment)))
            decision = decisions and (decisions.positive if score >= threshold else decisions.negative)
            written.append([made[-1], moment, model, version, policy, Jsonb(dict(row)), score, decision])
        cursor.executemany(INSERT, written)
        if outcomes is not None:
            cursor.executemany("INSERT INTO outcomes (prediction_id, value, actor) VALUES (%s, %s, 'bob')", list(zip(made, outcomes, strict=True)))
    return made


async def registered(client: httpx.AsyncClient, model: str, versions: Mapping[str, Version], threshold: float = POLICY["threshold"]) -> None:
    """As real versions with the gate's blessing; `client` has control's token."""
    for number, built in versions.items():
        document = registered_version(number, threshold) | {"sha256": built.sha256}
        assert (await client.post(f"/models/{model}/versions", json=document)).status_code == 201
        assert (await client.post(f"/models/{model}/versions/{number}/verdict", json={"verdict": PASSED})).status_code == 200


def orders(model: str, control_url: str, champion: Version, challenger: Version, replica: str = "r1") -> Orders:
    return Orders.model_validate(
        {
            "model": model,
            "replica": replica,
            "control_url": control_url,
            "token": TOKEN,
            "champion": Place(version="1", folder=champion.folder, sha256=champion.sha256),
            "challenger": Place(version="2", folder=challenger.folder, sha256=challenger.sha256),
            "policy": POLICY,
            "costs": POLICY["costs"],
        }
    )


EAGER = "import os, runpy; os.nice = lambda _: 0; runpy.run_module('bentos.serving.shadow', run_name='__main__')"
"""Beside other tests a process that lets everybody go first would not come to work for minutes."""


@contextmanager
def shadow(given: Orders, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process that a runner starts."""
    with log.open("ab") as output:
        process = subprocess.Popen([sys.executable, "-c", EAGER], cwd=ROOT, env=os.environ, stdin=subprocess.PIPE, stderr=output)
        assert process.stdin is not None
        process.stdin.write(given.model_dump_json().encode() + b"\n")
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
