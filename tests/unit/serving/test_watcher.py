"""The slots follow control, and nothing that goes wrong stops what serves."""

import asyncio
from pathlib import Path

import pytest

from bentos.serving import lifecycle
from bentos.serving.artifact import digest
from bentos.serving.bake import bake
from bentos.serving.predictor import Predictor
from bentos.serving.settings import RunnerSettings
from bentos.serving.upstream import Away
from tests.fakes import DeploymentServer
from tests.unit.serving.conftest import until
from tests.versions import POLICY, build


def champion(predictor: Predictor) -> str | None:
    slot = predictor.runner.slots.champion
    return slot and slot.version


def source(predictor: Predictor) -> str | None:
    slot = predictor.runner.slots.champion
    return slot and slot.source


def refused(predictor: Predictor) -> dict[str, str]:
    return {entry["version"]: entry["reason"] for entry in predictor.runner.document()["refused"]}


def damage(folder: Path) -> None:
    content = (folder / "engine.npz").read_bytes()
    (folder / "engine.npz").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


async def test_it_serves_what_control_wants_and_says_so(control: DeploymentServer, settings: RunnerSettings) -> None:
    async with lifecycle.running(settings) as predictor:
        assert (predictor.runner.idle, predictor.runner.unready()) == (False, "No version of attrition is loaded.")
        await until(lambda: predictor.runner.idle)
        assert predictor.runner.unready() == "No version of attrition has been promoted yet."
        control.promote("1", policy=POLICY)
        await until(lambda: champion(predictor) == "1")
        assert not predictor.runner.idle
        assert (source(predictor), predictor.runner.unready()) == ("mlflow", None)
        await until(lambda: control.last_report().get("champion"))
        report = control.last_report()
        assert (report["model"], report["replica"], report["policy"], report["refused"]) == ("attrition", "r1", POLICY, [])
        assert report["champion"]["engine"] == "linear"
        control.promote("2", challenger="1", policy=POLICY | {"version": 2, "threshold": 0.9})
        await until(lambda: control.last_report()["champion"]["version"] == "2" and control.last_report()["challenger"])
        assert predictor.runner.slots.policy == POLICY | {"version": 2, "threshold": 0.9}
        text = predictor.metrics.text().decode()
        assert 'modelyard_runner_slot_info{engine="linear",model="attrition",slot="champion",version="2"} 1.0' in text
        assert 'slot="champion",version="1"' not in text
        control.promote("2")
        await until(lambda: predictor.runner.slots.challenger is None)


async def test_a_new_policy_alone_needs_no_files(control: DeploymentServer, settings: RunnerSettings) -> None:
    control.promote("1", policy=POLICY)
    async with lifecycle.running(settings) as predictor:
        await until(lambda: champion(predictor) == "1")
        files = len(control.downloads)
        slot = predictor.runner.slots.champion
        control.promote("1", policy=POLICY | {"version": 9})
        await until(lambda: (predictor.runner.slots.policy or {})["version"] == 9)
        assert predictor.runner.slots.champion is slot
        assert len(control.downloads) == files


async def test_a_refused_version_leaves_the_old_one_with_its_policy(control: DeploymentServer, settings: RunnerSettings) -> None:
    damage(control.files / "2")
    control.promote("1", policy=POLICY)
    async with lifecycle.running(settings) as predictor:
        await until(lambda: champion(predictor) == "1")
        control.promote("2", policy=POLICY | {"version": 2})
        await until(lambda: control.last_report().get("refused"))
        assert champion(predictor) == "1"
        assert predictor.runner.slots.policy == POLICY
        assert predictor.runner.unready() is None
        assert refused(predictor)["2"].startswith("engine.npz: expected sha256 ")
        tries = control.downloads.count("2/SHA256SUMS")
        await asyncio.sleep(1)
        assert control.downloads.count("2/SHA256SUMS") == tries == 1
        assert "modelyard_runner_refused_total" in predictor.metrics.text().decode()
        control.promote("1", policy=POLICY | {"version": 3})
        await until(lambda: (predictor.runner.slots.policy or {})["version"] == 3)


async def test_a_version_of_another_numpy_is_refused_and_not_fetched_again(control: DeploymentServer, settings: RunnerSettings) -> None:
    sums = control.files / "2" / "SHA256SUMS"
    contract = control.files / "2" / "contract.json"
    contract.write_text(contract.read_text().replace('"numpy": "', '"numpy": "0.'))
    lines = [line for line in sums.read_text().splitlines() if "contract.json" not in line]
    sums.write_text("\n".join([*lines, f"{digest(contract)}  contract.json"]) + "\n")
    control.add("2", digest(sums))
    control.promote("2", policy=POLICY)
    async with lifecycle.running(settings) as predictor:
        await until(lambda: refused(predictor))
        assert refused(predictor)["2"].startswith("contract.json: version of numpy: expected ")
        assert "Version 2 was refused: contract.json: version of numpy" in str(predictor.runner.unready())
        control.promote("2", policy=POLICY | {"version": 2})
        await asyncio.sleep(0.3)
        assert control.downloads.count("2/SHA256SUMS") == 1


async def test_a_restart_without_anybody_serves_from_the_cache(control: DeploymentServer, settings: RunnerSettings) -> None:
    control.promote("1", policy=POLICY)
    async with lifecycle.running(settings) as predictor:
        await until(lambda: champion(predictor) == "1")
        await until((settings.cache_dir / "state.json").exists)
    control.control_away = control.mlflow_away = True
    async with lifecycle.running(settings) as predictor:
        assert (champion(predictor), source(predictor), predictor.runner.unready()) == ("1", "cache", None)
        assert predictor.runner.slots.policy == POLICY
        control.control_away = control.mlflow_away = False
        control.promote("2")
        await until(lambda: champion(predictor) == "2")
        await until(lambda: control.last_report().get("champion", {}).get("version") == "2")


async def test_a_damaged_copy_in_the_cache_is_fetched_again(control: DeploymentServer, settings: RunnerSettings) -> None:
    control.promote("1", policy=POLICY)
    async with lifecycle.running(settings) as predictor:
        await until((settings.cache_dir / "state.json").exists)
    (cached,) = (settings.cache_dir / "versions").iterdir()
    damage(cached)
    async with lifecycle.running(settings) as predictor:
        assert champion(predictor) is None
        await until(lambda: champion(predictor) == "1")
        assert source(predictor) == "mlflow"
        assert refused(predictor) == {}


async def test_mlflow_away_is_tried_again_soon(control: DeploymentServer, settings: RunnerSettings) -> None:
    control.mlflow_away = True
    control.promote("1", policy=POLICY)
    async with lifecycle.running(settings) as predictor:
        await asyncio.sleep(0.3)
        assert champion(predictor) is None
        assert refused(predictor) == {}
        control.mlflow_away = False
        await until(lambda: champion(predictor) == "1")
        assert list((settings.cache_dir / "incoming").iterdir()) == []


async def test_nonsense_from_control_changes_nothing(control: DeploymentServer, settings: RunnerSettings) -> None:
    control.promote("1", policy=POLICY)
    async with lifecycle.running(settings) as predictor:
        await until(lambda: champion(predictor) == "1")
        control.versions["2"]["artifact"] = "../../etc\n"
        control.promote("2")
        await asyncio.sleep(0.3)
        assert champion(predictor) == "1"
        assert predictor.alive


async def baked(control: DeploymentServer, settings: RunnerSettings, folder: Path) -> RunnerSettings:
    control.promote("1", policy=POLICY)
    assert await bake(settings, folder) == "1"
    return settings.model_copy(update={"baked_dir": folder})


async def test_an_image_with_a_model_needs_nobody(control: DeploymentServer, settings: RunnerSettings, tmp_path: Path) -> None:
    settings = await baked(control, settings, tmp_path / "baked")
    control.control_away = control.mlflow_away = True
    async with lifecycle.running(settings) as predictor:
        assert (champion(predictor), source(predictor), predictor.runner.unready()) == ("1", "baked", None)
    control.control_away = False
    async with lifecycle.running(settings) as predictor:
        await until(lambda: control.last_report().get("champion"))
        assert source(predictor) == "baked"


async def test_a_version_that_does_not_serve_can_be_baked(control: DeploymentServer, settings: RunnerSettings, tmp_path: Path) -> None:
    suggested = {name: value for name, value in POLICY.items() if name != "version"} | {"threshold": 0.4}
    control.versions["2"]["policy"] = suggested
    control.promote("1", policy=POLICY)
    assert await bake(settings, tmp_path / "baked", "2") == "2"
    with pytest.raises(Away, match="control knows no version 9 of attrition"):
        await bake(settings, tmp_path / "none", "9")
    control.control_away = control.mlflow_away = True
    async with lifecycle.running(settings.model_copy(update={"baked_dir": tmp_path / "baked"})) as predictor:
        assert (champion(predictor), source(predictor), predictor.runner.unready()) == ("2", "baked", None)
        assert predictor.runner.slots.policy == suggested | {"version": 0}


async def test_nothing_is_baked_when_nothing_serves(settings: RunnerSettings, tmp_path: Path) -> None:
    with pytest.raises(Away, match="no version of attrition has been promoted"):
        await bake(settings, tmp_path / "baked")


@pytest.mark.parametrize("where", ["control", "cache", "baked"])
async def test_a_pinned_runner_ignores_promotions_but_not_policies(where: str, control: DeploymentServer, settings: RunnerSettings, tmp_path: Path) -> None:
    if where == "baked":
        settings = await baked(control, settings, tmp_path / "baked")
    if where == "cache":
        control.promote("1", policy=POLICY)
        async with lifecycle.running(settings):
            await until((settings.cache_dir / "state.json").exists)
    control.promote("2", policy=POLICY)
    control.mlflow_away = where != "control"
    async with lifecycle.running(settings.model_copy(update={"pin": "1"})) as predictor:
        await until(lambda: champion(predictor) == "1")
        assert source(predictor) == {"control": "mlflow"}.get(where, where)
        control.promote("2", policy=POLICY | {"version": 5})
        await until(lambda: (predictor.runner.slots.policy or {}).get("version") == 5)
        assert champion(predictor) == "1"
        assert predictor.metrics.registry.get_sample_value("modelyard_runner_pin_info", {"model": settings.model, "version": "1"}) == 1


async def test_the_cache_stays_small_and_keeps_what_serves(control: DeploymentServer, settings: RunnerSettings) -> None:
    for seed in range(3, 9):
        version = build(control.files / str(seed), "attrition", seed=seed)
        control.add(str(seed), version.sha256)
    control.promote("1", policy=POLICY)
    async with lifecycle.running(settings) as predictor:
        await until(lambda: champion(predictor) == "1")
        for seed in range(3, 9):
            control.promote(str(seed), challenger="1")
            await until(lambda wanted=str(seed): champion(predictor) == wanted)
            await until(lambda: predictor.runner.slots.challenger is not None)
        await until(lambda: len(list((settings.cache_dir / "versions").iterdir())) <= 5)
        kept = {path.name.partition("@")[0] for path in (settings.cache_dir / "versions").iterdir()}
        assert {"1", "8"} <= kept


async def test_a_killed_download_leaves_nothing_behind(control: DeploymentServer, settings: RunnerSettings) -> None:
    (settings.cache_dir / "incoming" / "half").mkdir(parents=True)
    (settings.cache_dir / "incoming" / "half" / "engine.npz").write_bytes(b"x")
    (settings.cache_dir / "state.json").write_text('{"champion": {"version"')
    control.promote("1", policy=POLICY)
    async with lifecycle.running(settings) as predictor:
        await until(lambda: champion(predictor) == "1")
    assert list((settings.cache_dir / "incoming").iterdir()) == []


async def test_the_pinned_version_must_exist(control: DeploymentServer, settings: RunnerSettings) -> None:
    control.promote("1", policy=POLICY)
    async with lifecycle.running(settings.model_copy(update={"pin": "77"})) as predictor:
        await asyncio.sleep(0.3)
        assert champion(predictor) is None
        assert predictor.alive
