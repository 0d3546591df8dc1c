"""Many rows as a block of columns: the same answers as for rows, to the bit, from the state that the block asks for."""

import asyncio
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from bentos import catalogue, contract
from bentos.serving import artifact
from bentos.serving.slots import Runner, Slot, Slots
from tests.unit.serving.conftest import MODEL
from tests.unit.serving.test_hot import opened
from tests.versions import POLICY, Version, build

KIND = "application/vnd.modelyard.columns"


def described(model: str, columns: contract.Columns) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Header entry and bytes of each column."""
    for name, kind in contract.kinds(contract.schema(model).Input).items():
        values = columns[name]
        if kind == "text":
            levels = sorted(set(values.tolist()) - {None})
            codes = [-1 if value is None else levels.index(value) for value in values.tolist()]
            yield {"name": name, "kind": "text", "levels": levels}, np.array(codes, dtype="<i4").tobytes()
        else:
            about = {"name": name, "kind": "number"}
            yield about | ({"width": values.shape[1]} if values.ndim == 2 else {}), np.asarray(values, dtype="<f8").tobytes()


def packed(header: dict[str, Any], blocks: list[bytes]) -> bytes:
    encoded = json.dumps(header).encode()
    return struct.pack("<I", len(encoded)) + encoded + b"".join(blocks)


def block(model: str, columns: contract.Columns, rows: int, **more: Any) -> bytes:
    parts = list(described(model, columns))
    return packed({"rows": rows, "columns": [about for about, _ in parts]} | more, [content for _, content in parts])


def unpacked(body: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The header, and one dict per row."""
    (length,) = struct.unpack_from("<I", body)
    header = json.loads(body[4 : 4 + length])
    at = 4 + length
    columns: dict[str, list[Any]] = {}
    for column in header["columns"]:
        dtype = np.dtype({"number": "<f8", "integer": "<i8", "text": "<i4"}[column["kind"]])
        values = np.frombuffer(body, dtype, header["rows"], at)
        at += values.nbytes
        columns[column["name"]] = [[*column["levels"], None][code] for code in values] if column["kind"] == "text" else values.tolist()
    assert at == len(body)
    return header, [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


async def send(client: httpx.AsyncClient, body: bytes) -> httpx.Response:
    return await client.post("/columns", content=body, headers={"Content-Type": KIND})


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Version]:
    return {model: build(tmp_path_factory.mktemp(model), model) for model in catalogue.names()}


def served(version: Version, model: str, name: str = "1") -> Slots:
    policy = POLICY if catalogue.load().models[model].decisions else None
    return Slots(Slot(name, artifact.read(version.folder, model, None), "cache"), None, policy)


@pytest.mark.parametrize("model", catalogue.names())
@pytest.mark.parametrize("rows", [1, 7, artifact.BLOCK + 7])
async def test_a_block_is_answered_as_its_rows_are(model: str, rows: int, versions: dict[str, Version]) -> None:
    examples = versions[model].examples
    columns = examples.take(np.arange(rows) % len(examples)).columns
    async with opened(served(versions[model], model), model=model) as (client, _):
        answer = await send(client, block(model, columns, rows))
        alike = (await client.post("/rows", json={"rows": contract.rows_of_columns(columns, contract.kinds(contract.schema(model).Input))})).json()
    assert (answer.status_code, answer.headers["content-type"]) == (200, KIND)
    header, found = unpacked(answer.content)
    assert found == alike["answers"]
    assert [list(row) for row in found[:1]] == [list(row) for row in alike["answers"][:1]]
    assert [row[header["score"]] for row in found] == alike["scores"]
    assert [header["decision"] and row[header["decision"]] for row in found] == alike["decisions"]
    assert {name: header[name] for name in ("model", "version", "policy_version", "engine")} == {
        name: alike[name] for name in ("model", "version", "policy_version", "engine")
    }


@pytest.mark.parametrize("model", catalogue.names())
async def test_scores_are_in_units_of_the_answer(model: str, versions: dict[str, Version]) -> None:
    async with opened(served(versions[model], model), model=model) as (client, _):
        document = (await client.post("/rows", json={"rows": versions[model].rows})).json()
    name = "probability" if catalogue.load().models[model].task == "classification" else "prediction"
    assert document["scores"] == [answer[name] for answer in document["answers"]]
    assert document["decisions"] == [answer.get("decision") if name == "probability" else None for answer in document["answers"]]


async def test_a_block_may_ask_for_the_state_that_answered_before(versions: dict[str, Version], tmp_path: Path) -> None:
    version = versions[MODEL]
    state = served(version, MODEL)
    assert state.champion is not None
    columns = version.examples.take(np.arange(3)).columns
    async with opened(state) as (client, runner):
        first, rows = unpacked((await send(client, block(MODEL, columns, 3))).content)
        other = build(tmp_path / "2", MODEL, seed=2)
        runner.slots = replace(served(other, MODEL, "2"), policy=POLICY | {"version": 2})
        now, changed = unpacked((await send(client, block(MODEL, columns, 3))).content)
        pin = {"version": first["version"], "policy_version": first["policy_version"]}
        again, same = unpacked((await send(client, block(MODEL, columns, 3, serving=pin))).content)
        gone = await send(client, block(MODEL, columns, 3, serving={"version": "1", "policy_version": 2}))
    assert (now["version"], now["policy_version"], again["version"], again["policy_version"]) == ("2", 2, "1", 1)
    assert same == rows != changed
    assert gone.status_code == 409
    assert "Version 1 with policy 2 does not serve" in gone.json()["detail"]


def test_the_last_states_are_kept_and_let_go(versions: dict[str, Version]) -> None:
    first = served(versions[MODEL], MODEL)
    assert first.champion is not None
    runner = Runner(MODEL, "r1", decides=True)
    for number in range(10):
        runner.slots = replace(first, champion=replace(first.champion, version=str(number)))
        # A challenger comes and goes: the state that answers is the same one.
        runner.slots = replace(runner.slots, challenger=first.champion)
    kept = [number for number in range(10) if runner.kept(str(number), 1) is not None]
    assert kept == list(range(1, 10))
    runner.forget()
    assert runner.kept("1", 1) is not None
    runner.forget(0.0)
    assert [number for number in range(10) if runner.kept(str(number), 1) is not None] == [9]


@dataclass
class Sent:
    header: dict[str, Any]
    values: list[bytes]


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (lambda sent: sent.values.clear(), 400, "The block ends within column age"),
        (lambda sent: sent.values.append(b"more"), 400, "The block has 4 bytes more than its header says."),
        (lambda sent: sent.header.update(rows=0), 400, "says 0 rows"),
        (lambda sent: sent.header.update(rows=2**60), 400, "The block ends within column "),
        (lambda sent: sent.header.update(rows="3"), 400, "Expected `int`, got `str` - at `$.rows`"),
        (lambda sent: sent.header["columns"][0].update(kind="blob"), 400, "The header of the block is not as agreed"),
        (lambda sent: sent.header["columns"][0].update(kind="text"), 422, "must be a column of numbers"),
        (lambda sent: sent.header["columns"][0].update(name="height"), 422, "is no field of a request row"),
        (lambda sent: sent.header["columns"].pop(), 422, "column is missing"),
        (lambda sent: sent.header["columns"].append(sent.header["columns"][0]), 422, "is there twice"),
        (lambda sent: next(one for one in sent.header["columns"] if one["kind"] == "text").update(levels=[]), 400, "has 0 levels and a position"),
        (lambda sent: sent.header["columns"][0].update(width=0), 422, "`width` must be 1 at least"),
        (lambda sent: sent.header.update(serving={"version": 3}), 400, "The header of the block is not as agreed"),
    ],
)
async def test_what_is_no_block_is_told_why(change: Callable[[Sent], object], status: int, words: str, versions: dict[str, Version]) -> None:
    columns = versions[MODEL].examples.take(np.arange(3)).columns
    parts = list(described(MODEL, columns))
    sent = Sent({"rows": 3, "columns": [about for about, _ in parts]}, [content for _, content in parts])
    change(sent)
    async with opened(served(versions[MODEL], MODEL)) as (client, _):
        answer = await send(client, packed(sent.header, sent.values))
    assert answer.status_code == status
    assert words in answer.text


@pytest.mark.parametrize("body", [b"", b"\xff\xff\xff\xff", b"\x02\x00\x00\x00{}", b"\x00\x00\x00\x00"])
async def test_anything_else_is_no_block_either(body: bytes, versions: dict[str, Version]) -> None:
    async with opened(served(versions[MODEL], MODEL)) as (client, _):
        assert (await send(client, body)).status_code == 400


async def test_rows_that_cannot_be_scored_are_told_why(versions: dict[str, Version]) -> None:
    columns = dict(versions[MODEL].examples.take(np.arange(3)).columns)
    columns["monthly_income"] = np.array([3000.0, np.nan, 4000.0])
    columns["over_time"] = np.array(["Yes", "No", None], dtype=object)
    async with opened(served(versions[MODEL], MODEL)) as (client, _):
        answer = await send(client, block(MODEL, columns, 3))
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {"rows.1.monthly_income", "rows.2.over_time"}


async def test_each_answer_names_the_version_that_made_it_whatever_is_promoted_meanwhile(tmp_path: Path) -> None:
    """Two versions and two policies take turns every 20 ms while rows and blocks, inline and in threads, are scored."""
    model = "credit_scoring"
    both = [build(tmp_path / str(seed), model, seed=seed) for seed in (1, 2)]
    read = [artifact.read(version.folder, model, None) for version in both]
    examples = both[0].examples
    many = examples.take(np.arange(3000) % len(examples)).columns
    few = examples.take(np.arange(5)).columns
    rows = contract.rows_of_columns(few, contract.kinds(contract.schema(model).Input))
    right = {str(number): found.score_columns(many, 3000).tolist() for number, found in enumerate(read)}
    states = [
        Slots(Slot(str(number % 2), read[number % 2], "cache"), None, POLICY | {"version": number, "threshold": 0.05 * (number + 1)}) for number in range(4)
    ]
    seen: list[tuple[str, int]] = []

    def checked(header: dict[str, Any], answers: list[dict[str, Any]]) -> None:
        expected = right[header["version"]][: len(answers)]
        assert [answer["probability"] for answer in answers] == expected
        threshold = 0.05 * (header["policy_version"] + 1)
        assert header["version"] == str(header["policy_version"] % 2)
        assert [answer["prediction"] for answer in answers] == [int(probability >= threshold) for probability in expected]
        seen.append((header["version"], len(answers)))

    async def ask(client: httpx.AsyncClient) -> None:
        while not stop.is_set():
            document = (await client.post("/rows", json={"rows": rows})).json()
            checked(document, document["answers"])
            checked(*unpacked((await send(client, block(model, few, 5))).content))
            checked(*unpacked((await send(client, block(model, many, 3000))).content))

    stop = asyncio.Event()
    async with opened(states[0], model=model) as (client, runner), asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(ask(client))
        for turn in range(40):
            await asyncio.sleep(0.02)
            runner.slots = states[turn % 4]
        stop.set()
    assert len(set(seen)) == 4
