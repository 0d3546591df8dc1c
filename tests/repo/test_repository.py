"""Rules that no linter knows: where things stand, who may name what, how long a module may be."""

import ast
import re
import statistics
import subprocess
from functools import cache
from pathlib import Path

import pytest

from bentos import catalogue

ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL = {
    *("README.md", "LICENSE", "Makefile", "pyproject.toml", "uv.lock", "skaffold.yaml"),
    *("bentos", "services", "frontend", "argo-workflows", "charts", "k8s", "tests", "docs"),
}


@cache
def tracked() -> tuple[Path, ...]:
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(path for path in map(Path, listed.stdout.splitlines()) if (ROOT / path).is_file())


def modules(*folders: str) -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and path.parts[0] in folders]


def source(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_top_level_holds_only_what_the_design_lists() -> None:
    found = {path.parts[0] for path in tracked() if not path.parts[0].startswith(".")}
    assert found <= TOP_LEVEL, found - TOP_LEVEL


def test_only_a_models_folder_and_the_catalogue_know_its_name() -> None:
    names = "|".join(catalogue.names())
    pattern = re.compile(rf"\b({names}|{names.replace('_', '-')})\b")
    allowed = {Path("bentos/catalogue.yaml"), *(path for path in tracked() if path.parts[0] == "bentos" and path.parts[1] in catalogue.names())}
    code = {".py", ".yaml", ".yml", ".tpl", ".toml", ".json", ".sql"}
    offenders = [
        f"{path}:{number}: {line.strip()}"
        for path in tracked()
        if path.suffix in code and path.parts[0] not in {"tests", "docs"} and path not in allowed and path.name != "uv.lock"
        for number, line in enumerate(source(path).splitlines(), 1)
        if pattern.search(line)
    ]
    assert not offenders, "\n".join(offenders)


@pytest.mark.parametrize("model", catalogue.names())
def test_models_are_independent_of_each_other(model: str) -> None:
    """Here and not in import-linter's contracts, which would have to name each model: a third place to edit."""
    others = "|".join(name for name in catalogue.names() if name != model)
    pattern = re.compile(rf"^\s*(from|import) bentos\.({others})\b|^from bentos import .*\b({others})\b", re.MULTILINE)
    offenders = [str(path) for path in modules("bentos") if path.parts[1] == model and pattern.search(source(path))]
    assert not offenders


SQL = re.compile(r"^\s*(SELECT\s.+|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|COPY\s+\w+\s|WITH\s+\w+\s+AS\s)", re.DOTALL)


def test_sql_stands_in_repositories_only() -> None:
    offenders = [
        f"{path}:{node.lineno}: {node.value.strip()[:80]}"
        for path in modules("services", "bentos", "frontend")
        if path.name != "repository.py" and "migrations" not in path.parts
        for node in ast.walk(ast.parse(source(path)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    ]
    assert not offenders, "\n".join(offenders)


def test_nobody_waits_with_wait_for() -> None:
    """Before Python 3.12 a cancellation that meets the awaited result is lost in it, and the process never ends; asyncio.timeout keeps it."""
    offenders = [
        f"{path}:{number}" for path in modules("services", "bentos") for number, line in enumerate(source(path).splitlines(), 1) if ".wait_for(" in line
    ]
    assert not offenders


def test_modules_are_small() -> None:
    lengths = {path: source(path).count("\n") for path in modules("services", "bentos", "frontend")}
    long = {str(path): length for path, length in lengths.items() if length > 300}
    assert not long
    assert statistics.median(length for length in lengths.values() if length) < 90


@pytest.mark.parametrize("word", ["/work/", "/root/", "shared/cluster", "TODO", "FIXME", "raise NotImplementedError"])
def test_nothing_unfinished_or_of_one_machine_is_committed(word: str) -> None:
    exempt = {Path("tests/repo/test_repository.py"), Path("uv.lock"), Path("LICENSE")}
    offenders = [
        f"{path}:{number}"
        for path in tracked()
        if path not in exempt and path.parts[0] != ".ci" and path.suffix in {".py", ".md", ".yaml", ".toml", ".sh", ".sql", ""}
        for number, line in enumerate(source(path).splitlines(), 1)
        if word in line
    ]
    assert not offenders, "\n".join(offenders)


@pytest.mark.parametrize("path", [path for path in modules("services", "bentos", "frontend") if path.name == "settings.py"], ids=str)
def test_every_setting_is_followed_by_its_sentence(path: Path) -> None:
    for node in ast.walk(ast.parse(source(path))):
        if not isinstance(node, ast.ClassDef):
            continue
        for field, following in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                documented = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant) and isinstance(following.value.value, str)
                assert documented, f"{path}: {node.name}.{field.target.id} has no sentence"


def test_runtime_dependencies_are_what_the_traps_allow() -> None:
    """bentoml 1.4.40 and mlflow 3.18 cannot be installed together with the rest; an unpinned bentoml falls back to 0.9."""
    import importlib.metadata

    assert importlib.metadata.version("bentoml").startswith("1.4.")
    assert importlib.metadata.version("mlflow-skinny") == importlib.metadata.version("mlflow")
