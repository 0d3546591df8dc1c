"""What an image's code imports is among its packages: tests run with those of all images together."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OURS = {"services", "bentos", "frontend"}
IMAGES = {
    "gateway": ["services.gateway"],
    "control": ["services.control"],
    "pipeline": ["services.pipeline"],
    # One step, and what every step is given.
    "evidently": [f"services.pipeline.{module}" for module in ("__main__", "evidently", "control", "gateway", "job", "runs", "settings")] + ["bentos.contract"],
    "runner": ["bentos.serving"],
    "mlflow": ["services.mlflow_server"],
    "frontend": ["frontend"],
}
"""By group of dependencies, the packages or modules that are run."""


@cache
def file_of(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def imports(file: Path, module: str) -> Iterator[str]:
    """Modules that importing this one imports: what stands in functions or under TYPE_CHECKING does not count."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    waiting: list[ast.AST] = [ast.parse(file.read_text())]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
                continue
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = f"{package}.{node.module}" if node.level else str(node.module)
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)
            else:
                waiting.append(node)


def modules(root: str) -> Iterator[str]:
    """The module, or those of the package."""
    folder = ROOT.joinpath(*root.split("."))
    for file in folder.rglob("*.py") if folder.is_dir() else [folder]:
        yield ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def reached(roots: list[str]) -> dict[str, str]:
    """Top-level names of what is not ours, each with the module that asks for it."""
    waiting = [module for root in roots for module in modules(root)]
    known, found = set(waiting), {}
    while waiting:
        module = waiting.pop()
        file = file_of(module)
        if file is None:
            continue
        for name in (part for imported in imports(file, module) for part in upwards(imported)):
            top = name.partition(".")[0]
            if top not in OURS and top not in sys.stdlib_module_names:
                found.setdefault(top, module)
            elif top in OURS and name not in known:
                known.add(name)
                waiting.append(name)
    return found


def upwards(module: str) -> Iterator[str]:
    """`a.b.c` imports `a` and `a.b` first."""
    parts = module.split(".")
    yield from (".".join(parts[: count + 1]) for count in range(len(parts)))


def distributions(group: str) -> set[str]:
    waiting = [Requirement(one) for one in [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"][group]]]
    found: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        extras = wanted.extras or {""}
        if name in found and not wanted.extras:
            continue
        found.add(name)
        if name == "evidently":  # not installed here; nothing of ours may rely on what it brings along
            continue
        for line in requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return found


@pytest.mark.parametrize("group", IMAGES)
def test_an_image_has_what_its_code_imports(group: str) -> None:
    there, providers = distributions(group), packages_distributions()
    missing = {name: module for name, module in reached(IMAGES[group]).items() if not there & {canonicalize_name(one) for one in providers.get(name, [])}}
    assert missing == {}
