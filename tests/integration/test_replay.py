"""A version beside what was answered, from the audit; and a training that ends in a trial."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from bentos import contract
from bentos.serving import artifact
from tests import trials
from tests.integration.pipeline_steps import MODEL, Platform, running

ROWS = 10_000


@pytest.fixture
async def platform(database_url: str, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    async with running(database_url, mlflow_url, tmp_path, monkeypatch) as found:
        yield found


async def test_a_version_is_tried_first_and_replayed(platform: Platform, database_url: str, tmp_path: Path) -> None:
    first_run, first = await platform.registered("--rows", 1500, "--seed", 11)
    await platform.here("promote", "--version", first["version"], "--rollout", "shadow")
    assert (await platform.control.get(f"/serving/{MODEL}")).json()["champion"]["version"] == first["version"], "there is nothing to be tried beside"
    run, second = await platform.registered("--rows", 1500, "--seed", 12)
    tried = await platform.here("promote", "--version", second["version"], "--reason", "drift of age", "--force")
    if not tried["verdict"]["passed"]:  # the gate judges by few rows here
        verdict = {"verdict": {"passed": True, "rules": []}}
        await platform.control.post(f"/models/{MODEL}/rollback", json={"reason": "tested", "actor": "ada"})
        await platform.control.post(f"/models/{MODEL}/versions/{second['version']}/verdict", json=verdict)
        asked = {"version": second["version"], "mode": "shadow", "reason": "tested", "actor": "ada"}
        assert (await platform.control.post(f"/models/{MODEL}/challenger", json=asked)).status_code == 200
    else:
        assert (tried["promoted"], tried["challenger"]) == (False, True)
    serving = (await platform.control.get(f"/serving/{MODEL}")).json()
    assert (serving["champion"]["version"], serving["challenger"]["version"]) == (first["version"], second["version"])

    loaded = [artifact.read(Path(platform.mlflow.download_artifacts(one, "model", str(tmp_path))), MODEL, None) for one in (first_run, run)]
    rows = trials.rows_of(MODEL)
    champion, challenger = (one.score(rows)[0] for one in loaded)
    rows, times = [row for _ in range(ROWS // len(rows)) for row in rows], ROWS // len(rows)
    threshold = serving["policy"]["threshold"]
    trials.answer(database_url, MODEL, rows, np.tile(champion, times).tolist(), version=first["version"], threshold=threshold)
    found = await platform.step("replay", "--limit", ROWS)
    flips = (challenger >= serving["challenger_policy"]["threshold"]) != (champion >= threshold)
    assert (found["version"], found["champion"], found["rows"]) == (second["version"], first["version"], len(rows))
    assert found["report"]["flips"]["flips"] == int(flips.sum()) * times
    assert found["report"]["score"]["challenger_mean"] == pytest.approx(challenger.mean())
    assert found["report"]["errors"]["rows"] == 0
    assert found["report"]["latency"]["rows"] > 100
    assert {one["feature"] for one in found["report"]["segments"]} <= set(contract.schema(MODEL).Input.model_fields)
    print(f"{found['rows_per_second']:.0f} rows/s")
    assert found["rows_per_second"] > 500, "tests/bench measures it; here others may have the machine"
