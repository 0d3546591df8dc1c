"""What the step `sample` puts side by side, and Evidently's page about it."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bentos.serving import artifact
from bentos.serving.artifact import Artifact
from services.local.paths import EVIDENTLY
from tests.integration.control_server import promote
from tests.integration.pipeline_steps import MODEL, Platform, running
from tests.integration.test_drift import answered, of_seed


@dataclass(frozen=True)
class Served:
    platform: Platform
    url: str
    version: str
    loaded: Artifact

    def ask(self, rows: int, drift: float = 0.0) -> None:
        answered(self.url, self.loaded, of_seed(11, rows, drift=drift), version=self.version)

    async def sample(self, drift: float, folder: Path) -> tuple[str, pd.DataFrame, pd.DataFrame]:
        """Of 600 rows: (run id, reference, current)."""
        self.ask(600, drift)
        run_id = (await self.platform.here("sample", "--rows", 600))["run_id"]
        place = Path(self.platform.mlflow.download_artifacts(run_id, "sample", str(folder)))
        return run_id, *(pd.read_parquet(place / f"{name}.parquet") for name in ("reference", "current"))


@pytest.fixture
async def served(database_url: str, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A version of the pipeline's own: its reference is that of its run's data set."""
    async with running(database_url, mlflow_url, tmp_path, monkeypatch) as platform:
        run_id, registered = await platform.registered("--rows", 2000)
        assert (await promote(platform.control, MODEL, registered["version"], force=True)).status_code == 200
        place = Path(platform.mlflow.download_artifacts(run_id, "model", str(tmp_path)))
        yield Served(platform, database_url, registered["version"], artifact.read(place, MODEL, registered["sha256"]))


async def test_the_reference_is_what_the_versions_profile_was_made_of(served: Served, tmp_path: Path) -> None:
    _, reference, current = await served.sample(0.0, tmp_path / "sample")
    profile = json.loads((served.loaded.folder / artifact.REFERENCE).read_text())
    *columns, score = current
    assert (list(reference), score) == ([*columns, "score"], "score")
    assert len(columns) > 10
    for name in columns:
        known, about = reference[name].dropna(), profile["columns"][name]
        assert len(known) == round(about["rows"] * (1 - about["missing"])), name
        if about["kind"] == "number":
            assert (known.mean(), known.std(ddof=0), known.max()) == (pytest.approx(about["mean"]), pytest.approx(about["std"]), about["max"])
        else:
            assert known.value_counts(normalize=True).to_dict() == pytest.approx(about["categories"])
    assert reference["score"].dropna().mean() == pytest.approx(profile["score"]["mean"])
    rows = of_seed(11, 600)
    assert np.array_equal(current["score"], served.loaded.score_columns(rows.columns, 600))
    assert all(current[name].tolist() == rows.columns[name].tolist() for name in columns)


async def test_too_few_rows_make_no_page(served: Served) -> None:
    served.ask(199)
    refused = await served.platform.step("sample", code=2)
    assert "sample: too few rows: 199 in the window, 200 is the least" in refused["words"].splitlines()


def text(path: str) -> str:
    return Path(path).read_text()


@pytest.mark.skipif(not EVIDENTLY.exists(), reason="Evidently is not installed: `make evidently`")
async def test_evidentlys_page_tells_drift_from_none(served: Served, tmp_path: Path) -> None:
    for drift, least, most in ((0.0, 0, 2), (1.0, 5, 99)):
        folder = tmp_path / f"drift {drift}"
        run_id, _, current = await served.sample(drift, folder)
        process = await asyncio.create_subprocess_exec(
            *(EVIDENTLY, "-m", "services.pipeline", "evidently", "--model", MODEL, "--run-id", run_id),
            env=os.environ | served.platform.addresses,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, words = await process.communicate()
        assert process.returncode == 0, words.decode()
        found = json.loads(out)
        assert (found["rows"], found["columns"]) == (len(current), len(current.columns))
        assert least <= found["drifted"] <= most, found["words"]
        page = served.platform.mlflow.download_artifacts(run_id, "evidently/report.html", str(folder))
        assert found["artifact"].endswith(f"{run_id}/artifacts/evidently/report.html")
        assert all(name in text(page) for name in current)
        assert served.platform.mlflow.get_run(run_id).info.status == "FINISHED"
