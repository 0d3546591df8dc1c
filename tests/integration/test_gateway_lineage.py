"""From an answer back to what it stands on, the answer again, and a proof that is checked without the platform."""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from bentos import contract
from services.gateway.lineage.proof.file import sealed
from tests.versions import examples_of
from tests.whole import Whole, whole

MODEL = "attrition"


def checked(folder: Path, *arguments: str) -> tuple[int, str]:
    """As an auditor runs it: nothing of ours can be imported."""
    done = subprocess.run([sys.executable, "-I", "-S", "check.py", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


async def unpacked(served: Whole, identifier: str, folder: Path, role: str = "analyst") -> dict[str, Any]:
    answer = await served.ask("GET", f"/predictions/{identifier}/proof", role)
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["proof.json", "README.txt", "check.py"]
        archive.extractall(folder)
    document: dict[str, Any] = json.loads((folder / "proof.json").read_text())
    return document


def forged(document: dict[str, Any], change: Callable[[dict[str, Any]], Any], *, seals: bool = True) -> str:
    """With a seal that fits, unless it is left as it was."""
    other = json.loads(json.dumps(document))
    change(other)
    return json.dumps(sealed({name: value for name, value in other.items() if name != "seal"}) if seals else other)


def rewrite(document: dict[str, Any]) -> None:
    """As the last entry alone would be changed, with its hash made anew."""
    link = document["chain"][-1]
    link["text"] = link["text"].replace('"tested"', '"another"')
    link["hash"] = document["head"] = hashlib.sha256(f"{link['previous_hash'] or 64 * '0'}\n{link['text']}".encode()).hexdigest()


FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "input": (lambda proof: proof["prediction"]["input"].update(age=60), "proof.json"),
    "score": (lambda proof: proof["prediction"].update(score=0.999), "probability"),
    "decision": (lambda proof: proof["prediction"]["output"].update(prediction=1 - proof["prediction"]["output"]["prediction"]), "probability"),
    "threshold": (lambda proof: proof["policy"].update(threshold=0.5), "the chain binds policy"),
    "data": (lambda proof: proof["version"].update(data_hash="other"), "the chain binds version"),
    "version": (lambda proof: proof["prediction"].update(model_version="7"), "let version 7 answer"),
    "verdict": (lambda proof: proof["version"]["verdict"].update(words="fine"), "the gate"),
    "entry": (lambda proof: proof["chain"].pop(0), "broken at entry"),
    "text": (lambda proof: proof["chain"][0].update(text=proof["chain"][0]["text"].replace("engineer", "somebody")), "broken at entry"),
}


@pytest.mark.timeout(120)
async def test_an_answer_is_traced_repeated_and_proved(database_url: str, tmp_path: Path) -> None:
    async with whole(database_url, tmp_path, MODEL) as served:
        await served.change("promote", version="1")
        await served.change("policy", threshold=0.3)
        row = contract.schema(MODEL).EXAMPLE
        identifier = (await served.ask("POST", f"/predict/{MODEL}", "viewer", json=row))["prediction_id"]
        rows = contract.rows_of_columns(examples_of(MODEL).take(range(300)).columns, contract.kinds(contract.schema(MODEL).Input))  # type: ignore[arg-type]
        batch = await served.ask("POST", f"/predict/{MODEL}/batch", "analyst", json={"rows": rows})
        last = await served.change("promote", version="2")

        found = await served.ask("GET", f"/predictions/{identifier}/lineage", "viewer")
        assert (found["prediction"]["input"] == row, found["version"]["version"], found["version"]["data_hash"]) == (True, "1", "data-1")
        assert (found["code_revision"], found["policy"]["threshold"], found["version"]["verdict"]["passed"]) == ("c0ffee", 0.3, True)
        assert (found["deployment"]["action"], found["policy_deployment"]["action"], found["head"]) == ("promote", "policy", last["hash"])
        assert found["deployment"]["actor"] == "engineer"

        # After its version has left every slot, as a single answer and as one of a batch.
        again = await served.ask("GET", f"/predictions/{identifier}/reproduction", "viewer")
        assert (again["exact"], again["words"][:16]) == (True, "Bit for bit the ")
        for place in (0, 150, 299):
            part = await served.ask("GET", f"/predictions/{batch['predictions'][place]['prediction_id']}/reproduction", "analyst")
            assert (part["exact"], all(run["exact"] for run in part["runs"])) == (True, True), part

        document = await unpacked(served, identifier, tmp_path / "proof", "viewer")
        assert document["card"].startswith("# ")
        code, said = checked(tmp_path / "proof", "--head", last["hash"])
        assert (code, "WRONG" in said, said.count("ok    ")) == (0, False, 10), said
        print("\n" + said)
        assert checked(tmp_path / "proof", "--head", "f" * 64)[0] == 1
        for name, (change, words) in FORGERIES.items():
            (tmp_path / "proof" / "forged.json").write_text(forged(document, change, seals=name != "input"))
            code, said = checked(tmp_path / "proof", "forged.json")
            assert (code, any(line.startswith("WRONG") and words in line for line in said.splitlines())) == (1, True), (name, said)
        # Only a head that was noted elsewhere tells of a last entry that was written anew.
        (tmp_path / "proof" / "forged.json").write_text(forged(document, rewrite))
        assert checked(tmp_path / "proof", "forged.json")[0] == 0
        assert checked(tmp_path / "proof", "forged.json", "--head", last["hash"])[0] == 1

        # What another version or policy would have answered is told.
        async with await AsyncConnection.connect(database_url) as connection:
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute("UPDATE predictions SET model_version = '2' WHERE id = %s", [identifier])
        other = await served.ask("GET", f"/predictions/{identifier}/reproduction")
        assert (other["exact"], "score" in other["words"]) == (False, True)
        assert {part["field"] for run in other["runs"] for part in run["differences"]} >= {"score", "output.probability"}

        then = await served.ask("GET", f"/models/{MODEL}/at?moment={found['prediction']['created_at'].replace('+', '%2B')}", "viewer")
        assert (then["version"], then["policy_version"], then["threshold"], then["data_hash"]) == ("1", 2, 0.3, "data-1")
        assert (await served.ask("GET", f"/models/{MODEL}/ledger/verify?known={last['hash']}", "viewer"))["ok"] is True
        # Somebody else's.
        mine = (await served.ask("POST", f"/predict/{MODEL}", "admin", json=row))["prediction_id"]
        for part in ("lineage", "reproduction", "proof"):
            await served.ask("GET", f"/predictions/{mine}/{part}", "viewer", 404)
