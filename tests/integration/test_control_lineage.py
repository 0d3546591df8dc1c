"""Control's answers about the past: the chain recomputed, what served then, where an answer comes from, when replicas followed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from services.control.lineage.schemas import Link
from services.control.lineage.service import broken_links, hash_of
from tests.integration.control_server import control, promote, registered

MODEL = "attrition"


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with control(database_url, tmp_path) as client:
        yield client


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(f"/models/{MODEL}{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def story(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Version 1, then 2, another policy, the policy before, back to 1."""
    await registered(client, MODEL, "1", "2")
    changes = [await promote(client, MODEL, "1"), await promote(client, MODEL, "2")]
    changes.append(await client.put(f"/models/{MODEL}/policy", json={"reason": "budget", "actor": "eve", "threshold": 0.7}))
    changes.append(await client.post(f"/models/{MODEL}/rollback", json={"reason": "too strict", "actor": "bob", "policy_only": True}))
    changes.append(await client.post(f"/models/{MODEL}/rollback", json={"reason": "worse", "actor": "cy"}))
    assert [change.status_code for change in changes] == [200] * 5, [change.text for change in changes]
    return [change.json() for change in changes]


async def test_every_change_answers_with_the_head_of_the_chain(client: httpx.AsyncClient) -> None:
    entries = await story(client)
    assert len({entry["hash"] for entry in entries}) == 5
    checked = await get(client, "/ledger/verify", known=entries[2]["hash"])
    assert checked == {"model": MODEL, "rows": 5, "ok": True, "head": entries[-1]["hash"], "broken": [], "known": True}
    chain = await get(client, "/ledger/chain")
    assert [link["hash"] for link in chain["entries"]] == [entry["hash"] for entry in entries]
    assert chain["head"] == entries[-1]["hash"]


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE deployments SET actor = 'mallory' WHERE id = {2}", [(2, "hash")]),
        ("DELETE FROM deployments WHERE id = {1}", [(2, "link")]),
        ("UPDATE policies SET threshold = 0.5 WHERE version = 3", [(2, "hash")]),
        ("UPDATE model_versions SET data_hash = 'other' WHERE version = '1'", [(0, "hash"), (4, "hash")]),
    ],
)
async def test_whoever_gets_around_the_rules_is_found(client: httpx.AsyncClient, database_url: str, statement: str, broken: list[tuple[int, str]]) -> None:
    ids = [entry["id"] for entry in await story(client)]
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(statement.format(*ids).encode())
    checked = await get(client, "/ledger/verify")
    assert checked["ok"] is False
    assert [(one["id"], one["rule"]) for one in checked["broken"]] == [(ids[place], rule) for place, rule in broken]


async def test_a_chain_that_was_written_anew_does_not_have_a_hash_noted_before(client: httpx.AsyncClient) -> None:
    entries = await story(client)
    checked = await get(client, "/ledger/verify", known="f" * 64)
    assert (checked["ok"], checked["known"], checked["broken"], checked["rows"]) == (False, False, [], len(entries))
    assert (await client.get(f"/models/{MODEL}/ledger/verify?known=xyz")).status_code == 422
    empty = (await client.get("/models/credit_scoring/ledger/verify")).json()
    assert (empty["ok"], empty["rows"], empty["head"]) == (True, 0, None)


def test_links_are_told_by_what_is_wrong_with_them() -> None:
    links: list[Link] = []
    for number, text in enumerate("abcd", 1):
        made = Link(id=number, text=text, previous_hash=links[-1].hash if links else None, hash="")
        links.append(made.model_copy(update={"hash": hash_of(made, made.previous_hash)}))
    assert broken_links(links) == []
    assert [(one.id, one.rule) for one in broken_links([links[0], links[2], links[1], links[3]])] == [(3, "link"), (2, "link"), (4, "link")]
    forged = links[1].model_copy(update={"text": "x"})
    forged = forged.model_copy(update={"hash": hash_of(forged, forged.previous_hash)})
    assert [(one.id, one.rule) for one in broken_links([links[0], forged, *links[2:]])] == [(3, "link")]


async def test_a_policy_goes_back_while_the_version_stays(client: httpx.AsyncClient) -> None:
    entries = await story(client)
    back = entries[3]
    assert (back["action"], back["from_version"], back["to_version"], back["from_policy"], back["to_policy"]) == ("rollback", "2", "2", 3, 2)
    assert entries[4]["to_version"] == "1"
    since = (await client.get("/models")).json()["models"]
    assert next(one for one in since if one["name"] == MODEL)["champion"]["by"] == "cy"
    both = await client.post(f"/models/{MODEL}/rollback", json={"reason": "both", "actor": "cy", "policy_only": True, "to": "2"})
    assert both.status_code == 422
    regression = await client.post("/models/crypto_price/rollback", json={"reason": "none", "actor": "cy", "policy_only": True})
    assert regression.status_code == 422
    nothing = await client.post("/models/credit_scoring/rollback", json={"reason": "none", "actor": "cy", "policy_only": True})
    assert nothing.status_code == 409


async def test_what_served_at_a_moment(client: httpx.AsyncClient) -> None:
    entries = await story(client)
    then = [await get(client, "/at", moment=entry["created_at"]) for entry in entries]
    assert [(one["version"], one["policy_version"], one["threshold"]) for one in then] == [
        ("1", 1, 0.1),
        ("2", 2, 0.2),
        ("2", 3, 0.7),
        ("2", 2, 0.2),
        ("1", 1, 0.1),
    ]
    assert [one["actor"] for one in then] == ["ada", "ada", "ada", "ada", "cy"]
    assert [one["policy_deployment"]["actor"] for one in then] == ["ada", "ada", "eve", "bob", "cy"]
    assert {one["data_hash"] for one in then} == {"abc"}
    assert (then[2]["since"], then[2]["reason"]) == (entries[1]["created_at"], "tested")
    before = await client.get(f"/models/{MODEL}/at", params={"moment": "2020-01-01T00:00:00Z"})
    assert before.status_code == 404
    assert (await client.get(f"/models/{MODEL}/at", params={"moment": "yesterday"})).status_code == 422


async def test_where_an_answer_comes_from(client: httpx.AsyncClient) -> None:
    entries = await story(client)
    found = await get(client, "/lineage", version="2", policy=3, moment=datetime.now(UTC).isoformat())
    assert (found["version"]["sha256"], found["version"]["data_hash"], found["version"]["verdict"]["passed"]) == ("2".rjust(64, "0"), "abc", True)
    assert (found["deployment"]["id"], found["policy_deployment"]["id"], found["policy"]["threshold"]) == (entries[1]["id"], entries[2]["id"], 0.7)
    assert (found["head"], found["policy"]["actor"]) == (entries[-1]["hash"], "eve")
    # The gateway's clock may be a little behind the database's.
    early = await get(client, "/lineage", version="2", policy=2, moment="2020-01-01T00:00:00Z")
    assert early["deployment"]["id"] == entries[1]["id"]
    none = await client.get(f"/models/{MODEL}/lineage", params={"version": "9", "moment": datetime.now(UTC).isoformat()})
    assert none.status_code == 404


async def test_the_first_verification_counts(client: httpx.AsyncClient) -> None:
    entry = (await story(client))[-1]
    assert entry["verification"] is None
    path = f"/models/{MODEL}/ledger/{entry['id']}/verification"
    said = {"complete": True, "seconds": 0.4, "replicas": [{"address": "10.0.0.1:3000", "version": "1", "policy_version": 1, "seconds": 0.4}]}
    first, later = await client.post(path, json=said), await client.post(path, json=said | {"complete": False, "seconds": 9.0})
    assert (first.status_code, later.status_code) == (200, 200)
    assert later.json()["verification"] == first.json()["verification"]
    assert later.json()["verification"]["seconds"] == 0.4
    assert (await get(client, "/ledger"))["entries"][0]["verification"]["replicas"] == said["replicas"]
    assert (await client.post(f"/models/{MODEL}/ledger/999999/verification", json=said)).status_code == 404
    assert (await client.post(f"/models/credit_scoring/ledger/{entry['id']}/verification", json=said)).status_code == 404
    assert (await client.post(path, json=said | {"seconds": -1.0})).status_code == 422
    assert (await client.post(path, json=said, headers={"Authorization": "Bearer no"})).status_code == 401
