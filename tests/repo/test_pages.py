"""Pages that repeat what the code says are compared with it. MODELYARD_REGENERATE=1 rewrites the generated one."""

import ast
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic_settings import BaseSettings

from bentos.serving.settings import RunnerSettings
from frontend.settings import Settings as FrontendSettings
from services.control.settings import Settings as ControlSettings
from services.gateway.settings import Settings as GatewaySettings
from services.pipeline.settings import PipelineSettings

ROOT = Path(__file__).resolve().parents[2]
PROCESSES: dict[str, type[BaseSettings]] = {
    "Gateway": GatewaySettings,
    "Control": ControlSettings,
    "Runner": RunnerSettings,
    "Pipeline": PipelineSettings,
    "Frontend": FrontendSettings,
}

INTRODUCTION = """# Settings

For platform engineers. Every process reads its settings from the environment and nothing else; a wrong one ends it with a line that says why. A secret
shorter than 32 characters is refused, unless `…_ENVIRONMENT=local` says that this is somebody's own machine. This page is made from the code and
compared with it by a test.
"""


def sentences(kind: type[BaseSettings]) -> dict[str, str]:
    """The sentence after each field, of the class and those it inherits from."""
    found: dict[str, str] = {}
    for cls in kind.__mro__:
        if not issubclass(cls, BaseSettings) or cls is BaseSettings:
            continue
        path = Path(str(sys.modules[cls.__module__].__file__))
        tree = ast.parse(path.read_text())
        body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == cls.__name__)
        for field, following in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(following, ast.Expr):
                found.setdefault(field.target.id, str(ast.literal_eval(following.value)))
    return found


def page() -> str:
    parts = [INTRODUCTION]
    for process, kind in PROCESSES.items():
        said = sentences(kind)
        parts.append(f"## {process}\n\n| variable | default | |\n| --- | --- | --- |")
        for name, field in kind.model_fields.items():
            variable = str(field.validation_alias or f"{kind.model_config['env_prefix']}{name}").upper()
            value = field.default
            if field.is_required():
                default = "required"
            elif field.default_factory is not None or value is None or not str(getattr(value, "get_secret_value", lambda v=value: v)()):
                default = ""
            else:
                default = f"`{value}`"
            parts.append(f"| `{variable}` | {default} | {said[name]} |")
        parts.append("")
    return "\n".join(parts)


def test_the_settings_page_is_what_the_code_says() -> None:
    path = ROOT / "docs/settings.md"
    if os.environ.get("MODELYARD_REGENERATE"):
        path.write_text(page())
    assert path.read_text() == page(), "MODELYARD_REGENERATE=1 .venv/bin/pytest tests/repo/test_pages.py rewrites it"


METRIC = re.compile(r"""(Counter|Gauge|Histogram)\(\s*["'](modelyard_[a-z_]+)["']""")


def test_the_metrics_page_lists_what_the_code_exports() -> None:
    documented = {entry["name"]: entry for entry in yaml.safe_load((ROOT / "docs/metrics.yaml").read_text())}
    exported: dict[str, str] = {}
    for path in (*(ROOT / "services").rglob("*.py"), *(ROOT / "bentos").rglob("*.py")):
        for kind, name in METRIC.findall(path.read_text()):
            counted = kind == "Counter" and not name.endswith("_total")
            exported[f"{name}_total" if counted else name] = kind.lower()
    standard = {name for name in documented if name.startswith("process_")}  # prometheus_client's own
    assert exported == {name: entry["type"] for name, entry in documented.items() if name not in standard}
    assert all(entry["meaning"] and entry["healthy"] for entry in documented.values())


@pytest.mark.parametrize("path", sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "bentos").rglob("README.md")]), ids=str)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_every_dependency_has_its_sentence() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = [*project["project"]["dependencies"], *(one for group in project["dependency-groups"].values() for one in group if isinstance(one, str))]
    names = {re.split(r"[\[<>=~ ]", one)[0] for one in declared}
    table = (ROOT / "docs/decisions/0005-dependencies.md").read_text()
    missing = {name for name in names if not re.search(rf"^\|[^|]*\b{re.escape(name)}\b", table, re.MULTILINE)}
    assert not missing


def test_every_command_of_the_readme_exists() -> None:
    commands = set(re.findall(r"^modelyard ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    shown = subprocess.run([sys.executable, "-m", "services.cli", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert commands
    assert all(re.search(rf"│ {command} ", shown) for command in commands), commands
