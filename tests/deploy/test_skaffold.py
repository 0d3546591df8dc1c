"""skaffold.yaml: what it says, compared with what it must agree with, and what skaffold makes of it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bentos import catalogue
from services.cluster import images, kubernetes
from services.cluster.skaffold import RUNNERS
from tests.conftest import ROOT
from tests.deploy import helm3

CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
ARTIFACTS = {artifact["image"]: artifact["custom"] for artifact in CONFIG["build"]["artifacts"]}
RELEASE = CONFIG["deploy"]["helm"]["releases"][0]


def test_artifacts_are_the_images_that_the_chart_needs() -> None:
    assert set(ARTIFACTS) == {f"modelyard/{name}" for name in (*images.SERVICES, RUNNERS)}
    for image, custom in ARTIFACTS.items():
        assert custom["buildCommand"] == f".venv/bin/python -m services.cluster.skaffold {image.removeprefix('modelyard/')}"
    values = yaml.safe_load((ROOT / "charts/modelyard/values.yaml").read_text())
    for path, template in RELEASE["setValueTemplates"].items():
        place = values
        for part in path.split("."):
            assert part in place, path
            place = place[part]
        for name in re.findall(r"\.IMAGE_[A-Z_]+?_(modelyard_\w+)", template):
            assert name.replace("_", "/", 1) in ARTIFACTS
    named = {re.sub(r".*_modelyard_(\w+).*", r"\1", template) for template in RELEASE["setValueTemplates"].values()}
    assert named == {*images.SERVICES, RUNNERS}


def test_an_artifact_depends_on_what_its_image_is_made_of() -> None:
    for name in images.SERVICES:
        text = re.sub(r"\\\n\s*", " ", (ROOT / "services/Dockerfile").read_text())
        (copied,) = re.findall(rf"AS {name}-code\nRUN .*?--parents (.*?) /app", text)
        paths = ARTIFACTS[f"modelyard/{name}"]["dependencies"]["paths"]
        assert set(copied.split()) - {"LICENSE", "*.dist-info"} <= set(paths), name
        assert "services/Dockerfile" in paths, name
        assert "uv.lock" in paths
    included = yaml.safe_load((ROOT / "bentos" / catalogue.names()[0] / "bentofile.yaml").read_text())["include"]
    paths = ARTIFACTS[f"modelyard/{RUNNERS}"]["dependencies"]["paths"]
    assert all(any(f"{one}/".startswith(f"{path}/") or one == path for path in paths) for one in (part.rstrip("/") for part in included))


def test_profiles_bring_their_values() -> None:
    profiles = {profile["name"]: profile for profile in CONFIG["profiles"]}
    assert set(profiles) == {"kind", "production"}
    assert profiles["kind"]["activation"] == [{"kubeContext": kubernetes.CONTEXT}]
    for name, profile in profiles.items():
        assert [patch["value"] for patch in profile["patches"]] == [f"charts/modelyard/values/{name}.yaml"]
        assert (ROOT / profile["patches"][0]["value"]).exists()
        assert profile["build"]["local"]["push"] is (name == "production")
    assert (RELEASE["name"], RELEASE["namespace"], RELEASE["chartPath"]) == ("modelyard", kubernetes.PLATFORM.namespace, "charts/modelyard")
    assert RELEASE["valuesFiles"] == ["bentos/catalogue.yaml"]


# --- with skaffold ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def skaffold(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs it, with no cluster in sight."""
    if shutil.which("skaffold") is None or shutil.which("helm") is None:
        pytest.skip("skaffold or helm is not on this machine")
    folder = tmp_path_factory.mktemp("skaffold")
    path, helm = os.environ["PATH"], str(shutil.which("helm"))
    if subprocess.run(["helm", "version", "--client"], capture_output=True, check=False).returncode:
        (folder / "helm").symlink_to(ROOT / "tests/deploy/helm3.py")
        path = f"{folder}{os.pathsep}{path}"
    environment = os.environ | {"PATH": path, helm3.REAL: helm, "KUBECONFIG": "/nowhere", "SKAFFOLD_INTERACTIVE": "false", "SKAFFOLD_UPDATE_CHECK": "false"}

    def run(*arguments: str) -> str:
        done = subprocess.run(["skaffold", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_skaffold_understands_the_file(skaffold: Any) -> None:
    said = skaffold("diagnose")
    assert f"Number of artifacts: {len(ARTIFACTS)}" in said
    assert all(int(count) > 3 for count in re.findall(r"Dependencies: (\d+) files", said))


@pytest.mark.parametrize("registry", ["", "registry.example.com/team"])
@pytest.mark.parametrize("profile", ["kind", "production"])
def test_skaffold_renders_the_chart_with_its_images(profile: str, registry: str, skaffold: Any, tmp_path: Path) -> None:
    target = tmp_path / "rendered.yaml"
    skaffold("render", "-p", profile, "--digest-source=tag", f"--output={target}", *([f"--default-repo={registry}"] if registry else []))
    objects = [one for one in yaml.safe_load_all(target.read_text()) if one]
    used = {image for one in objects for image in re.findall(r'"image": "([^"]*modelyard[^"]*)"', json.dumps(one))}
    names = {image.rpartition(":")[0] for image in used}
    runners = {f"{registry}/".lstrip("/") + f"modelyard/runner-{model.replace('_', '-')}" for model in catalogue.names()}
    services = {f"{registry}/modelyard_{name}" if registry else f"modelyard/{name}" for name in images.SERVICES}
    assert names == runners | services
    assert len({image.rpartition(":")[2] for image in used}) == 1, "one tag"


def test_the_builder_is_for_skaffold() -> None:
    done = subprocess.run([sys.executable, "-m", "services.cluster.skaffold"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "this is for skaffold" in done.stderr
